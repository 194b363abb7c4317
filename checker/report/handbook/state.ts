/** The shared state of a protocol in few words: cells by their objects, and objects of one kind together. */
import { code } from "./markdown.ts"

/** A kind of object, and what it consists of. */
export interface StateKind {
  /** `folioN` */
  readonly name: string
  /** `folio0`, `folio1` */
  readonly objects: ReadonlyArray<string>
  /** `refcount`, `lock.holder`; empty where the object is one cell. */
  readonly fields: ReadonlyArray<string>
}

/**
 * Groups cells, which are called `object.field`: objects whose names differ in their numbers only are of one kind, and
 * fields that do are one array.
 */
export const stateKinds = (cells: ReadonlyArray<string>): ReadonlyArray<StateKind> => {
  const kinds = new Map<string, { objects: Set<string>; fields: Set<string> }>()
  for (const cell of cells) {
    const [, object = cell, field = ""] = /^([^.]*)\.(.*)$/s.exec(cell) ?? []
    const kind = unnumbered(object)
    const known = kinds.get(kind) ?? { objects: new Set(), fields: new Set() }
    known.objects.add(object)
    if (field !== "") known.fields.add(unnumbered(field))
    kinds.set(kind, known)
  }
  return [...kinds].map(([name, { objects, fields }]) => ({ name, objects: [...objects], fields: [...fields] }))
}

/** Kinds of objects in a line, each with its fields. */
export const kindsText = (kinds: ReadonlyArray<StateKind>): string =>
  kinds
    .map(({ name, fields }) => [code(name), ...(fields.length === 0 ? [] : [fields.map(code).join(", ")])].join(": "))
    .join("; ")

/** A name with `N` for each of its numbers: what those of one kind have in common. */
export const unnumbered = (name: string): string => name.replace(/\d+/g, "N")

/** Names of one kind, the first and the last where there are many. */
export const namesText = (names: ReadonlyArray<string>): string => {
  const [first = "", second = ""] = names
  const last = names.at(-1) ?? ""
  if (names.length <= 2)
    return [first, second]
      .filter((name) => name !== "")
      .map(code)
      .join(", ")
  return `${code(first)} to ${code(last)}`
}

/** The fields of an object; of one that has the same for each of several names, those names behind them. */
export const fieldsText = (fields: ReadonlyArray<string>): string => {
  if (fields.length === 0) return "one cell"
  const byOwner = new Map<string, ReadonlyArray<string>>()
  for (const field of fields) {
    const [, owner = field, own = ""] = /^([^.]*)\.(.*)$/s.exec(field) ?? []
    byOwner.set(owner, [...(byOwner.get(owner) ?? []), own])
  }
  const [same = [], ...others] = byOwner.values()
  const isSame = others.length > 0 && others.every((own) => own.join("\n") === same.join("\n"))
  if (!isSame || same.includes("")) return fields.map(code).join(", ")
  return `${same.map(code).join(", ")} of each of ${[...byOwner.keys()].map(code).join(", ")}`
}
