/** Counterexamples as files. What is read is foreign until the schema has accepted it; nothing in it is ever run. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { type Format, loadForeign } from "./foreign.ts"
import { Counterexample, formatVersion } from "./schema.ts"

/** The name under which a counterexample is saved. */
export const fileName = ({
  mutant,
  scenario,
  property,
}: Pick<Counterexample, "mutant" | "scenario" | "property">): string =>
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

/** Writes a file so that nobody ever sees half of it. A device or a pipe is written to, and not replaced by a file. */
export const writeWhole = Effect.fnUntraced(function* (file: string, text: string) {
  const files = yield* FileSystem.FileSystem
  const kind = yield* files.stat(file).pipe(
    Effect.map(({ type }) => type),
    Effect.orElseSucceed(() => "File" as const),
  )
  if (kind !== "File") return yield* files.writeFileString(file, text)
  const temporary = `${file}.${process.pid}.tmp`
  yield* files.writeFileString(temporary, text).pipe(
    Effect.andThen(files.rename(temporary, file)),
    Effect.onError(() => Effect.ignore(files.remove(temporary, { force: true }))),
  )
})

const what: Format<Counterexample> = {
  schema: Counterexample,
  version: formatVersion,
  called: "a counterexample",
  // It has a few kilobytes, and three levels.
  largest: 1_000_000,
  deepest: 16,
}

/**
 * Reads a saved counterexample. Fails with a sentence for whatever cannot be one.
 *
 * @param shown how the sentence calls the file
 */
export const load = (file: string, shown: string) => loadForeign(what, file, shown)
