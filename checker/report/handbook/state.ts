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
