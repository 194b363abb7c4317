/** The directory of a handbook: nothing in it that is not the handbook's is ever overwritten or removed. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { writeWhole } from "../counterexample/files.ts"
import { printable } from "../report/text.ts"
import { tool } from "../report/tool.ts"
import { badInput } from "./errors.ts"

/** The file in which a handbook says which files are its own. */
const manifestName = "handbook.json"

const Manifest = Schema.fromJsonString(
  Schema.Struct({
    formatVersion: Schema.Literal(1),
    tool: Schema.Literal(tool.name),
    files: Schema.Array(Schema.String),
  }),
)

const encodeManifest = Schema.encodeSync(Manifest)

/** A directory that a handbook may be written to, and what is there of an earlier one. */
export interface HandbookDirectory {
  readonly path: string
  /** How messages call it. */
  readonly shown: string
  readonly earlier: ReadonlyArray<string>
}

/**
 * Looks whether a handbook may be written to a directory: there is none yet, or it is empty, or has an earlier handbook and
 * nothing else. Fails with a sentence otherwise; writes nothing.
 */
export const prepareDirectory = Effect.fnUntraced(function* (path: string, shown: string) {
  const files = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const cannot = (reason: string) => badInput(`--out ${printable(shown)} cannot take a handbook: ${reason}`)
  const info = yield* Effect.result(files.stat(path))
  if (info._tag === "Failure") {
    if (info.failure.reason._tag === "NotFound") return { path, shown, earlier: [] } satisfies HandbookDirectory
    return yield* cannot(`it cannot be read: ${info.failure.reason._tag}`)
  }
  if (info.success.type !== "Directory") return yield* cannot("it is not a directory")
  const there = yield* Effect.mapError(files.readDirectory(path), ({ reason }) => cannot(reason._tag))
  if (there.length === 0) return { path, shown, earlier: [] } satisfies HandbookDirectory
  const manifest = yield* files.readFileString(join(path, manifestName)).pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(Manifest)),
    Effect.orElseSucceed(() => undefined),
  )
  const own = new Set([manifestName, ...(manifest?.files ?? [])])
  const foreign = manifest === undefined ? [...there].sort() : there.filter((name) => !own.has(name)).sort()
  const [first, ...others] = foreign
  if (first !== undefined) {
    const more = others.length === 0 ? "" : ` and ${others.length} more`
    return yield* cannot(`it has files that are no handbook's: ${printable(first, 60)}${more}; name another directory`)
  }
  return { path, shown, earlier: there } satisfies HandbookDirectory
})

/** Writes the files of a handbook, and removes those that an earlier one had and this one has not. */
export const writeHandbook = Effect.fnUntraced(function* (
  { path, shown, earlier }: HandbookDirectory,
  contents: ReadonlyMap<string, string>,
) {
  const files = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const own = (names: Iterable<string>) =>
    writeWhole(
      join(path, manifestName),
      `${encodeManifest({ formatVersion: 1, tool: tool.name, files: [...new Set(names)].sort() })}\n`,
    )
  const gone = earlier.filter((name) => name !== manifestName && !contents.has(name))
  const write = Effect.gen(function* () {
    yield* files.makeDirectory(path, { recursive: true })
    // Whoever is interrupted in between leaves a directory that can be written again.
    yield* own([...contents.keys(), ...gone])
    for (const [name, content] of contents) yield* writeWhole(join(path, name), content)
    for (const name of gone) yield* files.remove(join(path, name), { force: true })
    yield* own(contents.keys())
  })
  yield* Effect.mapError(write, ({ reason }) =>
    badInput(`the handbook cannot be written to ${printable(shown)}: ${reason._tag}`),
  )
})
