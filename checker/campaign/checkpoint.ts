/**
 * Explorations as files, to be taken up again after an interruption. What is read is foreign until it has been decoded
 * and its checksum found right; nothing in it is ever run.
 *
 * Format, version 1:
 *
 *     "shootdown checkpoint\n"
 *     4 bytes     the length of the header, little-endian
 *     header      a `Header` as JSON in UTF-8
 *     8 bytes     for each state in the table: the low and high half of its fingerprint, little-endian
 *     32 bytes    SHA-256 of everything before
 */
import { createHash } from "node:crypto"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Memoised } from "../engine/memoised.ts"
import { type Piece, reservedIn } from "../explore/piece.ts"
import { emptyStatistics } from "../explore/strategy.ts"
import type { Visited } from "../explore/visited.ts"
import { digestText } from "../program/plain.ts"
import { printable } from "../report/text.ts"
import type { Program } from "../scenario/program.ts"
import type { Remainder } from "./campaign.ts"
import { Exercised, PieceSchema, PlainOptions, Steps } from "./messages.ts"

const magic = new TextEncoder().encode("shootdown checkpoint\n")
const formatVersion = 1
const checksumBytes = 32
const stateBytes = 8

/** A header is small but for the paths of the pieces; whatever is larger than this is something else. */
const largestHeader = 64 * 1024 * 1024

/** Bytes that are read at once; a whole number of states. */
const chunkBytes = 1 << 20

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** What is known of an exploration, apart from the states. */
export const Header = Schema.Struct({
  formatVersion: Schema.Literal(formatVersion),
  tool: Schema.Struct({ name: Schema.String, version: Schema.String }),
  /** The file of a program of one's own; absent where the scenario is the registry's. */
  program: Schema.optionalKey(Schema.String),
  scenario: Schema.String,
  bound: Schema.Record(Schema.String, Schema.Int),
  mutant: Schema.optionalKey(Schema.String),
  options: PlainOptions,
  /** What `identityOf` says of the program. */
  identity: Schema.String,
  states: Count,
  transitions: Count,
  maxDepth: Count,
  exercised: Exercised,
  steps: Steps,
  seconds: Schema.Finite,
  /** What is left to explore. */
  pieces: Schema.Array(PieceSchema),
})
export type Header = typeof Header.Type

/** The part of a header that stays the same while an exploration goes on. */
export type Subject = Pick<Header, "tool" | "program" | "scenario" | "bound" | "mutant" | "options" | "identity">

/** A file is not a checkpoint that can be taken up; `message` is a sentence that names it. */
export class BadCheckpoint extends Data.TaggedError("BadCheckpoint")<{ readonly message: string }> {}

/**
 * What tells a program from a changed one: its properties, its initial state, and the states one move further. The same
 * in every process. Throws what the program's setup throws.
 */
export const identityOf = (program: Program): string => {
  const engine = new Memoised(program)
  engine.begin()
  const parts = [...engine.instance.properties.map(({ kind, id }) => `${kind} ${id}`), `${engine.low} ${engine.high}`]
  for (const move of engine.moves()) {
    engine.take(move)
    parts.push(`${move} ${engine.low} ${engine.high}`)
    engine.undo()
  }
  const { low, high } = digestText(parts.join("\n"))
  return `${low} ${high}`
}

/**
 * Writes a checkpoint. The file is replaced whole or not at all, and is on the disk when this ends. Fails with what the
 * file system says.
 */
export const saveCheckpoint = Effect.fnUntraced(function* (file: string, subject: Subject, remainder: Remainder) {
  const files = yield* FileSystem.FileSystem
  // One name for all runs: what a killed one left behind does not stay.
  const temporary = `${file}.tmp`
  yield* Effect.scoped(write(temporary, subject, remainder)).pipe(
    Effect.andThen(files.rename(temporary, file)),
    Effect.onError(() => Effect.ignore(files.remove(temporary, { force: true }))),
  )
})

const encodeHeader = Schema.encodeSync(Header)

const write = Effect.fnUntraced(function* (path: string, subject: Subject, remainder: Remainder) {
  const { statistics, exercised, steps, pieces, seconds, visited } = remainder
  const { states, transitions, maxDepth } = statistics
  const files = yield* FileSystem.FileSystem
  const file = yield* files.open(path, { flag: "w" })
  const hash = createHash("sha256")
  const put = (bytes: Uint8Array) =>
    Effect.suspend(() => {
      hash.update(bytes)
      return file.writeAll(bytes)
    })
  const progress = { states, transitions, maxDepth, exercised, steps: [...steps], seconds, pieces }
  const header = Buffer.from(JSON.stringify(encodeHeader({ formatVersion, ...subject, ...progress })))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(header.length)
  yield* put(magic)
  yield* put(length)
  yield* put(header)
  let written = 0
  for (const fingerprints of visited.contents()) {
    if (fingerprints.length === 0) continue
    yield* put(new Uint8Array(fingerprints.buffer))
    written += fingerprints.length / 2
  }
  const expected = statesIn(states, pieces)
  if (written !== expected) throw new Error(`${written} states are in the table, and ${expected} were counted`)
  yield* file.writeAll(hash.digest())
  yield* file.sync
})

/** How many states there are in the table: those visited, and those that are reserved for moves still to be made. */
const statesIn = (visited: number, pieces: ReadonlyArray<Piece>): number =>
  pieces.reduce((sum, piece) => sum + reservedIn(piece), visited)

/** Reads the header of a checkpoint. Fails with a sentence for whatever cannot be one; the states are not looked at. */
export const readHeader = (file: string, shown: string) =>
  Effect.scoped(Effect.map(openCheckpoint(file, shown), ({ header }) => header))

/**
 * Reads the states of a checkpoint into an empty table, and makes sure that all of the file is as it was written.
 *
 * @param shown how sentences call the file
 */
export const readCheckpoint = Effect.fnUntraced(function* (file: string, shown: string, visited: Visited) {
  const { header, hash, next } = yield* openCheckpoint(file, shown)
  const bad = (reason: string) => new BadCheckpoint({ message: `${printable(shown)} ${reason}` })
  const expected = statesIn(header.states, header.pieces)
  for (let left = expected * stateBytes; left > 0; ) {
    const bytes = yield* next(Math.min(left, chunkBytes))
    hash.update(bytes)
    left -= bytes.length
    const halves = new Int32Array(bytes.slice().buffer)
    for (let i = 0; i < halves.length; i += 2) visited.add(halves[i] ?? 0, halves[i + 1] ?? 0)
    if (visited.full) return yield* bad(`needs more memory for its ${expected} states than --memory allows`)
  }
  const checksum = yield* next(checksumBytes)
  if (!hash.digest().equals(checksum)) return yield* bad("is damaged: its checksum is wrong")
  if (visited.size !== expected) return yield* bad("is damaged: a state is in it twice")
  const { states, transitions, maxDepth, exercised, steps, pieces, seconds } = header
  const statistics = { ...emptyStatistics(), states, transitions, maxDepth }
  return { statistics, exercised, steps: new Map(steps), pieces, seconds, visited } satisfies Remainder
}, Effect.scoped)

/** Opens a checkpoint and reads it up to the states. */
const openCheckpoint = Effect.fnUntraced(function* (file: string, shown: string) {
  const bad = (reason: string) => new BadCheckpoint({ message: `${printable(shown)} ${reason}` })
  const files = yield* FileSystem.FileSystem
  const { type, size } = yield* Effect.mapError(files.stat(file), ({ reason }) =>
    bad(reason._tag === "NotFound" ? "does not exist" : `cannot be read: ${reason._tag}`),
  )
  if (type !== "File") return yield* bad("is not a regular file")
  const cannot = ({ reason }: { readonly reason: { readonly _tag: string } }) => bad(`cannot be read: ${reason._tag}`)
  const handle = yield* Effect.mapError(files.open(file, { flag: "r" }), cannot)
  /** So many bytes, neither more nor fewer. */
  const next = Effect.fnUntraced(function* (wanted: number) {
    const bytes = Buffer.alloc(wanted)
    for (let got = 0; got < wanted; ) {
      const more = yield* Effect.mapError(handle.readAlloc(wanted - got), cannot)
      if (Option.isNone(more)) return yield* bad("is truncated")
      bytes.set(more.value, got)
      got += more.value.length
    }
    return bytes
  })
  if (Number(size) < magic.length + 4) return yield* bad("is not a checkpoint")
  const start = yield* next(magic.length)
  if (!start.equals(magic)) return yield* bad("is not a checkpoint")
  const lengthBytes = yield* next(4)
  const length = lengthBytes.readUInt32LE()
  if (length > largestHeader) return yield* bad("is damaged: its header cannot be that long")
  if (magic.length + 4 + length > Number(size)) return yield* bad("is truncated")
  const text = yield* next(length)
  const header = yield* Effect.mapError(decodeHeader(text.toString("utf8")), bad)
  const states = statesIn(header.states, header.pieces)
  const expected = magic.length + 4 + length + states * stateBytes + checksumBytes
  if (Number(size) < expected) return yield* bad("is truncated")
  if (Number(size) > expected) return yield* bad("is damaged: it is longer than it should be")
  const hash = createHash("sha256").update(start).update(lengthBytes).update(text)
  return { header, hash, next }
})

const Versioned = Schema.Struct({ formatVersion: Schema.Unknown })

/** Decodes a header. Fails with what is wrong with it, as the predicate of a sentence. */
const decodeHeader = Effect.fnUntraced(function* (text: string) {
  const json = yield* Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: () => "is damaged: its header is not JSON",
  })
  if (Schema.is(Versioned)(json) && json.formatVersion !== formatVersion) {
    const version = printable(JSON.stringify(json.formatVersion), 40)
    return yield* Effect.fail(`has format version ${version}; this version of Shootdown reads version ${formatVersion}`)
  }
  return yield* Effect.mapError(
    Schema.decodeUnknownEffect(Header)(json),
    () => "is damaged: its header is not a checkpoint's",
  )
})
