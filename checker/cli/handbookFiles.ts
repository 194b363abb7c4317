/** The directory of a handbook: nothing in it that is not the handbook's is ever overwritten or removed. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { writeWhole } from "../counterexample/files.ts"
import { count, printable } from "../report/text.ts"
import { tool } from "../report/tool.ts"
import { badInput } from "./errors.ts"
import { tryDirectory } from "./place.ts"

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
  /** The directories that are to be made, the outermost first. */
  readonly missing: ReadonlyArray<string>
  /** How messages call it. */
  readonly shown: string
  readonly earlier: ReadonlyArray<string>
}

/**
 * Looks whether a handbook may and can be written to a directory: there is none yet, or it is empty, or has an earlier
 * handbook and nothing else. Fails with a sentence otherwise; leaves everything as it is.
 */
export const prepareDirectory = Effect.fnUntraced(function* (path: string, shown: string) {
  const files = yield* FileSystem.FileSystem
  const { join, dirname } = yield* Path.Path
  const tryIn = (directory: string) =>
    Effect.mapError(tryDirectory(directory), ({ reason }) =>
      cannot(`nothing can be made in ${printable(directory)}: ${reason._tag}`),
    )
  const cannot = (reason: string) => badInput(`--out ${printable(shown)} cannot take a handbook: ${reason}`)
  const info = yield* Effect.result(files.stat(path))
  if (info._tag === "Failure") {
    if (info.failure.reason._tag !== "NotFound") {
      return yield* cannot(`it cannot be read: ${info.failure.reason._tag}`)
    }
    const missing = yield* missingIn(path)
    yield* tryIn(dirname(missing[0]))
    return { path, shown, missing, earlier: [] } satisfies HandbookDirectory
  }
  if (info.success.type !== "Directory") return yield* cannot("it is not a directory")
  const there = yield* Effect.mapError(files.readDirectory(path), ({ reason }) => cannot(reason._tag))
  if (there.length === 0) {
    yield* tryIn(path)
    return { path, shown, missing: [], earlier: [] } satisfies HandbookDirectory
  }
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
  yield* tryIn(path)
  return { path, shown, missing: [], earlier: there } satisfies HandbookDirectory
})

/** The directories on the way to a path, and that itself, that are not there yet: the outermost first. */
const missingIn = (
  path: string,
): Effect.Effect<readonly [string, ...ReadonlyArray<string>], never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const { dirname } = yield* Path.Path
    const parent = dirname(path)
    const isThere = parent === path || (yield* Effect.orElseSucceed(files.exists(parent), () => true))
    return isThere ? [path] : [...(yield* missingIn(parent)), path]
  })

/**
 * Refuses to write over an earlier handbook that has pages which this one would not have: they would be gone, and its index
 * is of one run.
 *
 * @param possible the names of all pages that a handbook can have: others are of something that is no more
 */
export const refuseLoss = (
  { shown, earlier }: HandbookDirectory,
  possible: ReadonlyArray<string>,
  written: ReadonlyArray<string>,
) => {
  const [first, ...others] = possible.filter((name) => earlier.includes(`${name}.md`) && !written.includes(name))
  if (first === undefined) return Effect.void
  const more = others.length === 0 ? "" : ` and ${count(others.length, "other page")}`
  return badInput(
    `--out ${printable(shown)} has a handbook with ${first}.md${more}, which this one would not have; name another directory`,
  )
}

/** Writes the files of a handbook, and removes those that an earlier one had and this one has not. */
export const writeHandbook = Effect.fnUntraced(function* (
  { path, shown, missing, earlier }: HandbookDirectory,
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
    // One by one: where nothing can be made, Node's own way never ends.
    for (const directory of missing) yield* Effect.ignore(files.makeDirectory(directory))
    // Whoever ends the process in between leaves a directory that can be written again.
    yield* own([...contents.keys(), ...gone])
    for (const [name, content] of contents) yield* writeWhole(join(path, name), content)
    for (const name of gone) yield* files.remove(join(path, name), { force: true })
    yield* own(contents.keys())
  })
  yield* Effect.mapError(write, ({ reason }) =>
    badInput(`the handbook cannot be written to ${printable(shown)}: ${reason._tag}`),
  )
})
