/**
 * Plain values: what cells hold and what steps return.
 *
 * They are immutable and compared by content. Equal records, tuples and nested values are made one frozen object, so
 * that inside a program `===` compares content, and so that a state's fingerprint needs no deep walk.
 */
import { hash } from "node:crypto"

/** An immutable plain value. Sets are written as sorted tuples. */
export type Plain =
  | undefined
  | null
  | boolean
  | number
  | string
  | ReadonlyArray<Plain>
  | { readonly [key: string]: Plain }

/** A 64-bit hash as two signed 32-bit halves. The same content has the same hash on every machine. */
export interface Hash {
  readonly low: number
  readonly high: number
}

/** The value cannot be a cell's content or a step's result; the message says which part of it and why. */
export class NotPlain extends Error {
  override readonly name = "NotPlain"
  readonly what: string
  readonly place: string

  constructor(what: string, place = "it") {
    super(`${place} is ${what}`)
    this.what = what
    this.place = place
  }
}

const hashKey = Symbol("content hash")
interface Interned {
  readonly [hashKey]?: Hash
}

const primitiveHashes = new Map<Plain, Hash>()

/** The content hash of a text: the first 64 bits of its SHA-256. */
export const digestText = (text: string): Hash => {
  const digest = hash("sha256", text, "buffer")
  return { low: digest.readInt32LE(0), high: digest.readInt32LE(4) }
}

/** One text per content: equal values give equal texts, different ones different texts. */
export const canonicalText = (value: Plain): string => {
  if (typeof value === "number") return Object.is(value, Number.NaN) ? "NaN" : String(value === 0 ? 0 : value)
  if (typeof value === "string") return JSON.stringify(value)
  if (value === null || typeof value !== "object") return String(value)
  if (isTuple(value)) return `[${value.map(canonicalText).join()}]`
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalText(value[key])}`)
    .join()}}`
}

export const isTuple = (value: object): value is ReadonlyArray<Plain> => Array.isArray(value)

/**
 * A tree of all interned tuples or records: the path from the root spells the elements, or the keys and values in
 * turn. Keys are sorted, so that records with the same content share a path.
 */
class Spelling {
  private readonly next = new Map<Plain, Spelling>()
  value: Plain = undefined

  step(by: Plain): Spelling {
    let node = this.next.get(by)
    if (node === undefined) {
      node = new Spelling()
      this.next.set(by, node)
    }
    return node
  }
}

const tuples = new Spelling()
const records = new Spelling()

/** Nested deeper than this, a value is taken to contain itself. */
const deepest = 100

/**
 * The one frozen value with this content.
 *
 * @throws NotPlain for functions, symbols, bigints and class instances, anywhere inside, and for values without an end.
 */
export const intern = (value: unknown): Plain => internAt(0, value)

const internAt = (depth: number, value: unknown): Plain => {
  switch (typeof value) {
    case "number":
      return value === 0 ? 0 : value // -0 and 0 are one
    case "undefined":
    case "boolean":
    case "string":
      return value
    case "object":
      return value === null ? null : internObject(depth, value)
    default:
      throw new NotPlain(`a ${typeof value}`)
  }
}

const internObject = (depth: number, value: object): Plain => {
  if (Object.hasOwn(value, hashKey)) return value as Plain // only `unify` sets the key, on plain values
  if (depth > deepest) throw new NotPlain(`more than ${deepest} levels deep: it may contain itself`)
  if (Array.isArray(value)) return internTuple(depth, value)
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    throw new NotPlain(`an instance of ${prototype.constructor?.name ?? "a class"}`)
  }
  return internRecord(depth, value)
}

const internTuple = (depth: number, value: ReadonlyArray<unknown>): Plain => {
  let node = tuples
  for (let i = 0; i < value.length; i++) node = node.step(internInside(depth, value[i], i))
  node.value ??= unify(Array.from(value, (item) => intern(item)))
  return node.value
}

const internRecord = (depth: number, value: object): Plain => {
  const keys = Object.keys(value).sort()
  let node = records
  for (const key of keys) node = node.step(key).step(internInside(depth, Reflect.get(value, key), key))
  node.value ??= unify(Object.fromEntries(keys.map((key) => [key, intern(Reflect.get(value, key))])))
  return node.value
}

/** Interns an element, and says where it stands if it is not plain. */
const internInside = (depth: number, value: unknown, key: string | number): Plain => {
  try {
    return internAt(depth + 1, value)
  } catch (error) {
    if (!(error instanceof NotPlain)) throw error
    const place = `it[${JSON.stringify(key)}]${error.place.slice("it".length)}`
    throw new NotPlain(error.what, place.length <= longestPlace ? place : `${place.slice(0, longestPlace)}...`)
  }
}

const longestPlace = 60

const unify = (value: { readonly [key: string]: Plain } | ReadonlyArray<Plain>): Plain => {
  Object.defineProperty(value, hashKey, { value: digestText(canonicalText(value)) })
  return Object.freeze(value)
}

/** The low half of an interned value's hash. Small integers, the common case, are their own hash: cells salt it. */
export const lowOf = (value: Plain): number =>
  typeof value === "number" && (value | 0) === value ? value : hashOf(value).low

/** The high half of an interned value's hash. */
export const highOf = (value: Plain): number =>
  typeof value === "number" && (value | 0) === value ? ~value : hashOf(value).high

const hashOf = (value: Plain): Hash => {
  if (typeof value === "object" && value !== null) {
    // An interned object carries its hash; any other has none there.
    return (value as Interned)[hashKey] ?? digestText(canonicalText(value))
  }
  let hash = primitiveHashes.get(value)
  if (hash === undefined) {
    hash = digestText(canonicalText(value))
    primitiveHashes.set(value, hash)
  }
  return hash
}

/** The content hash of a text, remembered: for names that come again with every instance of a program. */
export const hashText = (text: string): Hash => hashOf(text)

/** How a value is shown to people: short, with records as `{page: 1}`. */
export const show = (value: Plain): string => {
  if (typeof value === "string") return value
  if (value === null || typeof value !== "object") return String(value)
  if (isTuple(value)) return `[${value.map(show).join(", ")}]`
  return `{${Object.entries(value)
    .map(([key, item]) => `${key}: ${show(item)}`)
    .join(", ")}}`
}
