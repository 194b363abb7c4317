/**
 * Where a run's words go: the report (standard output, or standard error when the document has standard output), the
 * live status line (standard error; without a terminal, a line now and then in long silence), and the document of `--json`.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { writeWhole } from "../counterexample/files.ts"
import { noPaint, type Paint, paint, printable } from "../report/text.ts"
import { type BadInput, badInput } from "./errors.ts"
import { resolvePath, tryDirectory } from "./place.ts"

/** The output of one run of a command. */
export class Output extends Context.Service<
  Output,
  {
    readonly paint: Paint
    /** Columns that lines should keep to. */
    readonly width: number
    /** Columns for tables: without a terminal, as many as they like. */
    readonly tableWidth: number
    /** Prints lines of the report. */
    readonly print: (lines: ReadonlyArray<string>) => Effect.Effect<void>
    /**
     * Shows how things are. On a terminal, in a status line, if the last one has stood for a while; elsewhere as a line
     * of its own, if nothing was printed for long.
     */
    readonly status: (line: () => string) => Effect.Effect<void>
    /** Writes the document, if one was asked for. */
    readonly document: (document: unknown) => Effect.Effect<void, BadInput>
  }
>()("shootdown/cli/Output") {}

const pageWidth = 80
/** Milliseconds between two status lines. */
const statusInterval = 100
/** Milliseconds of silence after which a line says how things are where there is no terminal. */
const longestSilence = 10_000

/** Some terminals do not know their width, or say 0. */
const widthOf = (stream: NodeJS.WriteStream): number => (stream.columns > 0 ? stream.columns : pageWidth)

const coloured = (stream: NodeJS.WriteStream): boolean =>
  stream.isTTY === true && (process.env.NO_COLOR ?? "") === "" && process.env.TERM !== "dumb"

/** The status line on standard error. Whoever prints something else clears it first. Times are in milliseconds. */
class StatusLine {
  private shown = false
  private last: number

  constructor(now: number) {
    this.last = now
  }

  show(line: () => string, now: number): void {
    if (process.stderr.isTTY !== true) {
      if (now - this.last >= longestSilence) {
        process.stderr.write(`${line()}\n`)
        this.last = now
      }
      return
    }
    if (now - this.last < statusInterval) return
    this.last = now
    this.shown = true
    process.stderr.write(`\r${line().slice(0, widthOf(process.stderr) - 1)}\u001b[K`)
  }

  /** Makes way for something else that is printed. */
  clear(now: number): void {
    if (this.shown) process.stderr.write("\r\u001b[K")
    this.shown = false
    this.last = now
  }
}

/** Prints sentences about what went wrong on standard error. */
export const complain = (messages: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.sync(() => {
    for (const message of messages) process.stderr.write(`shootdown: ${message}\n`)
  })

/**
 * Makes the output of a run.
 *
 * @param json where the document goes: a file, `-` for standard output, or `undefined` for nowhere. Fails if the file's
 * directory is not there, before anything long was begun.
 */
export const makeOutput = Effect.fnUntraced(function* (json: string | undefined) {
  const services = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  const writeDocument = json === undefined ? () => Effect.void : yield* documentWriter(json)
  const report = json === "-" ? process.stderr : process.stdout
  const status = new StatusLine(yield* Clock.currentTimeMillis)
  return Output.of({
    paint: coloured(report) ? paint : noPaint,
    width: widthOf(report),
    tableWidth: report.isTTY === true ? widthOf(report) : Number.POSITIVE_INFINITY,
    print: (lines) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        status.clear(now)
        report.write(lines.map((line) => `${line}\n`).join(""))
      }),
    status: (line) => Effect.map(Clock.currentTimeMillis, (now) => status.show(line, now)),
    document: (document) =>
      Effect.provideContext(writeDocument(`${JSON.stringify(document, undefined, 2)}\n`), services),
  })
})

type DocumentWriter = (text: string) => Effect.Effect<void, BadInput, FileSystem.FileSystem | Path.Path>

const documentWriter = Effect.fnUntraced(function* (json: string) {
  if (json === "-") return standardOutput()
  const file = yield* resolvePath(json)
  const cannot = (reason: string) => badInput(`--json ${printable(json)} cannot be written: ${reason}`)
  const { dirname } = yield* Path.Path
  if (yield* isDirectory(file)) return yield* cannot("it is a directory")
  if (!(yield* isDirectory(dirname(file)))) return yield* cannot("its directory does not exist")
  if (!(yield* isDevice(file))) {
    yield* Effect.mapError(tryDirectory(dirname(file)), ({ reason }) =>
      cannot(`nothing can be made there: ${reason._tag}`),
    )
  }
  const writer: DocumentWriter = (text) => Effect.mapError(writeWhole(file, text), ({ reason }) => cannot(reason._tag))
  return writer
})

const kindOf = (path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) =>
    files.stat(path).pipe(
      Effect.map(({ type }) => type),
      Effect.orElseSucceed(() => undefined),
    ),
  )

const isDirectory = (path: string) => Effect.map(kindOf(path), (kind) => kind === "Directory")

/** What is written to as it is: a device, a pipe. */
const isDevice = (path: string) => Effect.map(kindOf(path), (kind) => kind !== undefined && kind !== "File")

/** Keeps standard output for the document: whatever else is written there, a program's own `console.log` too, moves. */
const standardOutput = (): DocumentWriter => {
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = process.stderr.write.bind(process.stderr)
  return (text) => Effect.callback<void>((resume) => void write(text, () => resume(Effect.void)))
}
