/** JSON files from outside: foreign until a schema has accepted them. Nothing in them is ever run. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { printable } from "../report/text.ts"

/** A file is not what it should be; `message` is a sentence that names it. */
export class BadFile extends Data.TaggedError("BadFile")<{ readonly message: string }> {}

/** A format of files. */
export interface Format<A> {
  readonly schema: Schema.Codec<A, unknown>
  /** The version that is read: that of the field `formatVersion`. */
  readonly version: number
  /** With its article. */
  readonly called: string
  /** The bytes of the largest file that is read; whatever is larger is something else. */
  readonly largest: number
  /** The levels of the deepest; a deeper text is made to exhaust whoever parses it. */
  readonly deepest: number
}

/**
 * Reads a file of a format. Fails with a sentence for whatever cannot be one.
 *
 * @param shown how the sentence calls the file
 */
export const loadForeign = Effect.fnUntraced(function* <A>(format: Format<A>, file: string, shown: string) {
  const bad = (reason: string) => new BadFile({ message: `${printable(shown)} ${reason}` })
  const files = yield* FileSystem.FileSystem
  const info = yield* Effect.mapError(files.stat(file), ({ reason }) =>
    bad(reason._tag === "NotFound" ? "does not exist" : `cannot be read: ${reason._tag}`),
  )
  if (info.type === "Directory") return yield* bad(`is a directory, not a file with ${format.called}`)
  if (info.type !== "File") return yield* bad("is not a regular file")
  if (info.size > format.largest) {
    return yield* bad(`has ${info.size} bytes; ${format.called} has at most ${format.largest}`)
  }
  const text = yield* Effect.mapError(files.readFileString(file), ({ reason }) => bad(`cannot be read: ${reason._tag}`))
  return yield* Effect.mapError(decode(format, text), bad)
})

const Versioned = Schema.Struct({ formatVersion: Schema.Unknown })

/** Decodes the text of a file. Fails with what is wrong with it, as the predicate of a sentence. */
const decode = Effect.fnUntraced(function* <A>({ schema, version, called, deepest }: Format<A>, text: string) {
  if (text.trim() === "") return yield* Effect.fail("is empty")
  if (isDeep(text, deepest)) {
    return yield* Effect.fail(`is nested more than ${deepest} levels deep, which no ${called.replace(/^an? /, "")} is`)
  }
  const json = yield* Effect.try({ try: (): unknown => JSON.parse(text), catch: (error) => notJson(text, error) })
  if (Schema.is(Versioned)(json) && json.formatVersion !== version) {
    const other = printable(JSON.stringify(json.formatVersion), 40)
    return yield* Effect.fail(`has format version ${other}; this version of Shootdown reads version ${version}`)
  }
  return yield* Effect.mapError(
    Schema.decodeUnknownEffect(schema, { onExcessProperty: "error" })(json),
    ({ issue }) => `is not ${called}: ${firstFault(issue, json)}`,
  )
})

const notJson = (text: string, error: unknown): string => {
  const message = error instanceof Error ? error.message : String(error)
  const position = Number(/at position (\d+)/.exec(message)?.[1] ?? Number.NaN)
  const atEnd = /end of JSON input|Unterminated/.test(message) || position >= text.trimEnd().length
  return atEnd ? "is truncated: the JSON ends in the middle" : `is not JSON: ${printable(message, 120)}`
}

/** Whether brackets nest too deep anywhere; found without recursion, as the text may be hostile. */
const isDeep = (text: string, deepest: number): boolean => {
  let depth = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    if (quoted) {
      if (character === "\\") i++
      else if (character === '"') quoted = false
    } else if (character === '"') quoted = true
    else if (character === "{" || character === "[") {
      if (++depth > deepest) return true
    } else if (character === "}" || character === "]") depth--
  }
  return false
}

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** The first thing that the schema objects to: where, what was expected, and what is there. */
const firstFault = (issue: SchemaIssue.Issue, json: unknown): string => {
  const [first] = format(issue).issues
  const path = (first?.path ?? []).map((part) => (typeof part === "object" ? part.key : part))
  const where = path.length === 0 ? "it" : `its field ${printable(path.map(String).join("."), 80)}`
  if (first?.message === "Missing key") return `${where} is missing`
  if (first?.message === "Expected no excess property") return `${where} is not one of the format's`
  const actual = path.reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), json)
  const expected = (first?.message ?? "").replace(/^Expected /, "").replace(/^(?=[a-z]+$)/, "of type ")
  return `${where} must be ${printable(expected, 120)}, not ${printable(JSON.stringify(actual) ?? "undefined", 60)}`
}

const isRecord = (value: unknown): value is Readonly<Record<PropertyKey, unknown>> =>
  typeof value === "object" && value !== null
