/**
 * Plain values: what cells hold and what steps return.
 *
 * They are immutable and compared by content. Equal records, tuples and nested values are made one frozen object, so
 * that inside a program `===` compares content, and so that a state's fingerprint needs no deep walk.
 */
import { createHash } from "node:crypto"

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

/** The value cannot be a cell's content or a step's result; `reason` says which part of it and why. */
export class NotPlain extends Error {
  override readonly name = "NotPlain"
}

const hashKey = Symbol("content hash")
interface Interned {
  readonly [hashKey]?: Hash
}

const interned = new Map<string, object>()
const textHashes = new Map<string, Hash>()

/** The content hash of a text: the first 64 bits of its SHA-256. */
export const digestText = (text: string): Hash => {
  const digest = createHash("sha256").update(text).digest()
  return { low: digest.readInt32LE(0), high: digest.readInt32LE(4) }
}

/** As `digestText`, remembered: for texts that come again and again. */
export const hashText = (text: string): Hash => {
  let hash = textHashes.get(text)
  if (hash === undefined) {
    hash = digestText(text)
    textHashes.set(text, hash)
  }
  return hash
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

const isTuple = (value: object): value is ReadonlyArray<Plain> => Array.isArray(value)

const copy = (value: unknown, path: string): Plain => {
  switch (typeof value) {
    case "number":
      return value === 0 ? 0 : value
    case "undefined":
    case "boolean":
    case "string":
      return value
    case "object":
      break
    default:
      throw new NotPlain(`${path} is a ${typeof value}`)
  }
  if (value === null || hashKey in value) return value as Plain // interned objects are plain by construction
  if (Array.isArray(value)) return unify(Array.from(value, (item, index) => copy(item, `${path}[${index}]`)))
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    throw new NotPlain(`${path} is an instance of ${prototype.constructor?.name ?? "a class"}`)
  }
  const entries = Object.entries(value).map(([key, item]) => [key, copy(item, `${path}.${key}`)] as const)
  return unify(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))))
}

const unify = (value: { readonly [key: string]: Plain } | ReadonlyArray<Plain>): Plain => {
  const text = canonicalText(value)
  const known = interned.get(text)
  if (known !== undefined) return known as Plain // the map holds what this function put there
  Object.defineProperty(value, hashKey, { value: hashText(text) })
  interned.set(text, Object.freeze(value))
  return value
}

/**
 * The one frozen value with this content.
 *
 * @throws NotPlain for functions, symbols, bigints and class instances, anywhere inside.
 */
export const intern = (value: unknown): Plain => {
  if (typeof value === "number") return value === 0 ? 0 : value
  if (value === undefined || value === null || typeof value === "boolean" || typeof value === "string") return value
  return copy(value, "it")
}

const undefinedHash = hashText("undefined")
const nullHash = hashText("null")
const trueHash = hashText("true")
const falseHash = hashText("false")

/** The low half of an interned value's hash. Small integers, the common case, are their own hash: cells salt it. */
export const lowOf = (value: Plain): number =>
  typeof value === "number" && (value | 0) === value ? value : hashOf(value).low

/** The high half of an interned value's hash. */
export const highOf = (value: Plain): number =>
  typeof value === "number" && (value | 0) === value ? ~value : hashOf(value).high

const hashOf = (value: Plain): Hash => {
  switch (typeof value) {
    case "object":
      return value === null ? nullHash : ((value as Interned)[hashKey] ?? hashText(canonicalText(value)))
    case "boolean":
      return value ? trueHash : falseHash
    case "undefined":
      return undefinedHash
    default:
      return hashText(canonicalText(value))
  }
}

/** How a value is shown to people: short, with records as `{page: 1}`. */
export const show = (value: Plain): string => {
  if (typeof value === "string") return value
  if (value === null || typeof value !== "object") return String(value)
  if (isTuple(value)) return `[${value.map(show).join(", ")}]`
  return `{${Object.entries(value)
    .map(([key, item]) => `${key}: ${show(item)}`)
    .join(", ")}}`
}
