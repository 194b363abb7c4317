/** Counterexamples as files. What is read is foreign until the schema has accepted it; nothing in it is ever run. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { printable } from "../report/text.ts"
import { Counterexample, formatVersion } from "./schema.ts"

/** A file is not a counterexample that can be read; `message` is a sentence that names it. */
export class BadFile extends Data.TaggedError("BadFile")<{ readonly message: string }> {}

/** A counterexample has a few kilobytes; whatever is larger than this is something else. */
const largest = 1_000_000

/** A counterexample has three levels; a deeper text is made to exhaust whoever parses it. */
const deepest = 16

/** The name under which a counterexample is saved. */
export const fileName = ({ mutant, scenario, property }: Counterexample): string =>
  `${mutant === undefined ? `${nameOf(scenario)}--${nameOf(property)}` : nameOf(mutant)}.json`

/** An id as a part of a file's name. Ids are free text: what could leave the directory, hide the file or trouble a shell becomes `-`. */
export const nameOf = (id: string) => id.replace(/[^A-Za-z0-9._-]/g, "-").replace(/^\./, "-")

const encode = Schema.encodeSync(Counterexample)

/** A counterexample as the text of its file. The same counterexample is the same text, byte for byte. */
export const fileText = (counterexample: Counterexample): string =>
  `${JSON.stringify(encode(counterexample), undefined, 2)}\n`

/** Saves a counterexample in a directory, which is made if need be. The file appears whole or not at all. */
export const save = Effect.fnUntraced(function* (directory: string, counterexample: Counterexample) {
  const files = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const file = join(directory, fileName(counterexample))
  yield* files.makeDirectory(directory, { recursive: true })
  yield* writeWhole(file, fileText(counterexample))
  return file
})

/** Writes a file so that nobody ever sees half of it. */
export const writeWhole = Effect.fnUntraced(function* (file: string, text: string) {
  const files = yield* FileSystem.FileSystem
  const temporary = `${file}.${process.pid}.tmp`
  yield* files.writeFileString(temporary, text).pipe(
    Effect.andThen(files.rename(temporary, file)),
    Effect.onError(() => Effect.ignore(files.remove(temporary, { force: true }))),
  )
})

/**
 * Reads a saved counterexample. Fails with a sentence for whatever cannot be one.
 *
 * @param shown how the sentence calls the file
 */
export const load = Effect.fnUntraced(function* (file: string, shown: string) {
  const bad = (reason: string) => new BadFile({ message: `${printable(shown)} ${reason}` })
  const files = yield* FileSystem.FileSystem
  const info = yield* Effect.mapError(files.stat(file), ({ reason }) =>
    bad(reason._tag === "NotFound" ? "does not exist" : `cannot be read: ${reason._tag}`),
  )
  if (info.type === "Directory") return yield* bad("is a directory, not a counterexample file")
  if (info.type !== "File") return yield* bad("is not a regular file")
  if (info.size > largest) {
    return yield* bad(`has ${info.size} bytes; a counterexample has at most ${largest}`)
  }
  const text = yield* Effect.mapError(files.readFileString(file), ({ reason }) => bad(`cannot be read: ${reason._tag}`))
  return yield* Effect.mapError(decode(text), bad)
})

const Versioned = Schema.Struct({ formatVersion: Schema.Unknown })

/** Decodes the text of a file. Fails with what is wrong with it, as the predicate of a sentence. */
const decode = Effect.fnUntraced(function* (text: string) {
  if (text.trim() === "") return yield* Effect.fail("is empty")
  if (isDeep(text)) return yield* Effect.fail(`is nested more than ${deepest} levels deep, which no counterexample is`)
  const json = yield* Effect.try({ try: (): unknown => JSON.parse(text), catch: (error) => notJson(text, error) })
  if (Schema.is(Versioned)(json) && json.formatVersion !== formatVersion) {
    const version = printable(JSON.stringify(json.formatVersion), 40)
    return yield* Effect.fail(`has format version ${version}; this version of Shootdown reads version ${formatVersion}`)
  }
  return yield* Effect.mapError(
    Schema.decodeUnknownEffect(Counterexample, { onExcessProperty: "error" })(json),
    ({ issue }) => `is not a counterexample: ${firstFault(issue, json)}`,
  )
})

const notJson = (text: string, error: unknown): string => {
  const message = error instanceof Error ? error.message : String(error)
  const position = Number(/at position (\d+)/.exec(message)?.[1] ?? Number.NaN)
  const atEnd = /end of JSON input|Unterminated/.test(message) || position >= text.trimEnd().length
  return atEnd ? "is truncated: the JSON ends in the middle" : `is not JSON: ${printable(message, 120)}`
}

/** Whether brackets nest too deep anywhere; found without recursion, as the text may be hostile. */
const isDeep = (text: string): boolean => {
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
