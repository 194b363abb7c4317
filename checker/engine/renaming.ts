/** Giving fibers other names, wherever values mention them. */
import { canonicalText, intern, isTuple, type Plain } from "../program/plain.ts"

/** A value with other names in it: tuples by element, records by key and value, texts by word. */
export type Renaming = (value: Plain) => Plain

/** Leaves all names as they are. */
export const sameNames: Renaming = (value) => value

/** A name, where it is mentioned: letters, digits, `_` and `-`, between anything else (`gpu0.lock`, `lock of gpu0`). */
const word = /[\p{L}\p{N}_-]+/gu

/** Whether a name can be mentioned at all. */
export const isName = (name: string): boolean => name.replace(word, "") === "" && name.match(word)?.length === 1

/** The renaming that gives each name of the map its other one, and leaves everything else. */
export const renamingOf = (names: ReadonlyMap<string, string>): Renaming => {
  const known = new Map<Plain, Plain>()
  const renamed = (value: Plain): Plain => {
    if (typeof value === "string") return value.replace(word, (name) => names.get(name) ?? name)
    if (typeof value !== "object" || value === null) return value
    if (isTuple(value)) return intern(value.map(rename))
    return intern(merged(Object.entries(value).map(([key, item]) => [String(rename(key)), rename(item)])))
  }
  const rename = (value: Plain): Plain => {
    if (typeof value !== "string" && typeof value !== "object") return value
    let other = known.get(value)
    if (other === undefined) {
      other = renamed(value)
      known.set(value, other)
    }
    return other
  }
  return rename
}

/**
 * A record of these entries. Of several names that are given one, the values stand together, in an order that does not
 * depend on the names.
 */
const merged = (entries: ReadonlyArray<readonly [string, Plain]>): { readonly [key: string]: Plain } => {
  const byKey = new Map<string, Array<Plain>>()
  for (const [key, value] of entries) byKey.set(key, [...(byKey.get(key) ?? []), value])
  if (byKey.size === entries.length) return Object.fromEntries(entries)
  return Object.fromEntries([...byKey].map(([key, values]) => [key, values.sort(byText)]))
}

const byText = (one: Plain, other: Plain): number => {
  const [a, b] = [canonicalText(one), canonicalText(other)]
  return a < b ? -1 : a > b ? 1 : 0
}

/** The renaming that calls all names of a group by its first one. */
export const firstOfEach = (groups: ReadonlyArray<ReadonlyArray<string>>): Renaming =>
  renamingOf(new Map(groups.flatMap(([first = "", ...others]) => others.map((other) => [other, first] as const))))

/** The names, of those given, that a value mentions. */
export const mentionedIn = (value: Plain, names: ReadonlySet<string>): ReadonlySet<string> => {
  const found = new Set<string>()
  const look = (inside: Plain): void => {
    if (typeof inside === "string") {
      for (const name of inside.match(word) ?? []) if (names.has(name)) found.add(name)
    } else if (typeof inside === "object" && inside !== null) {
      for (const [key, item] of Object.entries(inside)) {
        look(key)
        look(item)
      }
    }
  }
  look(value)
  return found
}
