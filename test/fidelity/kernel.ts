/** What the kernel that runs here makes of sequences of operations: the helper around kernel.c, compiled when it is needed. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Schema from "effect/Schema"
import { type Advice, errnos, type Observation, type Operation, type Protection, type Sequence } from "./sequence.ts"

const Protections = Schema.Literals(["none", "r", "rw"])

const Result = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("ok") }),
  Schema.Struct({ kind: Schema.Literal("value"), value: Schema.Int }),
  Schema.Struct({ kind: Schema.Literal("error"), errno: Schema.Literals(errnos) }),
  Schema.Struct({ kind: Schema.Literal("signal"), signal: Schema.Literals(["SIGSEGV", "SIGBUS"]) }),
  Schema.Struct({ kind: Schema.Literal("skipped") }),
])

const Area = Schema.Struct({
  start: Schema.Int,
  pages: Schema.Int,
  protection: Protections,
  sharing: Schema.Literals(["private", "shared"]),
  file: Schema.NullOr(Schema.Int),
  offset: Schema.Int,
})

const Frames = Schema.String.check(Schema.isPattern(/^[-0a-zA-Z]{8}$/))
const Changed = Schema.String.check(Schema.isPattern(/^[-!]{8}$/))

/** One line of the helper's output. */
const Line = Schema.fromJsonString(
  Schema.Struct({
    sequence: Schema.Int,
    operation: Schema.Int,
    result: Result,
    frames: Schema.Array(Schema.NullOr(Frames)),
    changed: Schema.Array(Schema.NullOr(Changed)),
    areas: Schema.Array(Schema.NullOr(Schema.Array(Area))),
  }),
)

const decodeLine = Schema.decodeUnknownSync(Line)

const protectionBits: Readonly<Record<Protection, number>> = { none: 0, r: 1, rw: 3 }
const adviceNumbers: Readonly<Record<Advice, number>> = { DONTNEED: 4, FREE: 8, COLD: 20, PAGEOUT: 21 }

/** An operation as the helper reads it: its name and its arguments as numbers, -1 for none. */
const lineOf = (operation: Operation): string => {
  const words = (...numbers: ReadonlyArray<number>): string => [operation.op, ...numbers].join(" ")
  switch (operation.op) {
    case "mmap": {
      const { process, start, pages, protection, sharing, backing } = operation
      const shared = sharing === "shared" ? 1 : 0
      return words(process, start, pages, protectionBits[protection], shared, backing?.file ?? -1, backing?.page ?? 0)
    }
    case "munmap":
      return words(operation.process, operation.start, operation.pages)
    case "mprotect":
      return words(operation.process, operation.start, operation.pages, protectionBits[operation.protection])
    case "mremap":
      return words(operation.process, operation.start, operation.pages, operation.newPages, operation.to ?? -1)
    case "madvise":
      return words(operation.process, operation.start, operation.pages, adviceNumbers[operation.advice])
    case "fork":
    case "exit":
      return words(operation.process)
    case "read":
    case "vmsplice":
      return words(operation.process, operation.page)
    case "write":
      return words(operation.process, operation.page, operation.value)
    case "pageReader":
      return words(operation.process, operation.target, operation.page)
    case "readPipe":
      return words()
    case "ftruncate":
      return words(operation.file, operation.pages)
  }
}

/** The helper's input: a line for each operation, between one that says how large the files are and an end. */
const inputOf = (sequences: ReadonlyArray<Sequence>): string =>
  sequences
    .flatMap(({ files, operations }) => [`sequence ${files.join(" ")}`, ...operations.map(lineOf), "end"])
    .map((line) => `${line}\n`)
    .join("")

/** A compiled helper. */
export interface Kernel {
  /**
   * Performs each sequence with processes and files of its own; what is seen after each operation. Fails if the helper
   * does. Unsettled, pages wait in the processors' batches for the LRU lists as they happen to: see kernel.c.
   */
  readonly run: (
    sequences: ReadonlyArray<Sequence>,
    how?: "settled" | "unsettled",
  ) => Promise<ReadonlyArray<ReadonlyArray<Observation>>>
  /** Removes the helper. */
  readonly dispose: () => void
}

/** The whole output of a helper, once it has ended well. */
const outputOf = (helper: ChildProcess, input: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const output: Array<string> = []
    const complaints: Array<string> = []
    helper.stdout?.setEncoding("utf8").on("data", (text: string) => output.push(text))
    helper.stderr?.setEncoding("utf8").on("data", (text: string) => complaints.push(text))
    helper.on("error", reject)
    helper.on("close", (code, signal) => {
      if (code === 0) resolve(output.join(""))
      else reject(new Error(`the helper ended with ${signal ?? code}: ${complaints.join("").trim()}`))
    })
    // A helper that fails stops reading: how it ended then says more than that it did.
    helper.stdin?.on("error", () => {})
    helper.stdin?.end(input)
  })

const decode = (output: string, sequences: ReadonlyArray<Sequence>): ReadonlyArray<ReadonlyArray<Observation>> => {
  const lines = output.split("\n").filter((line) => line !== "")
  let next = 0
  const observations = sequences.map(({ operations }, sequence) =>
    operations.map((_, position): Observation => {
      const line = decodeLine(lines[next++])
      if (line.sequence !== sequence || line.operation !== position)
        throw new Error(
          `expected operation ${position} of sequence ${sequence}, got ${line.operation} of ${line.sequence}`,
        )
      const { result, frames, changed, areas } = line
      return { result, frames, changed, areas }
    }),
  )
  if (next !== lines.length) throw new Error(`expected ${next} lines, got ${lines.length}`)
  return observations
}

const sources = ["kernel.c", "process.c", "input.c", "report.c"].map((name) =>
  fileURLToPath(new URL(name, import.meta.url)),
)

/**
 * Compiles the helper and tries it once. Where that cannot be, the text says why: then nothing can be said about how
 * well the model fits, and a test has to say that instead of passing.
 */
export const kernel = (compiler = process.env.CC ?? "cc"): Kernel | string => {
  if (process.platform !== "linux" || process.arch !== "x64")
    return `fidelity is tested on Linux on x86-64 only, not on ${process.platform} on ${process.arch}`
  const folder = mkdtempSync(join(tmpdir(), "fidelity-"))
  const dispose = (): void => rmSync(folder, { recursive: true, force: true })
  const program = join(folder, "kernel")
  const compilation = spawnSync(compiler, ["-O2", "-std=gnu17", "-Wall", "-Wextra", "-o", program, ...sources], {
    encoding: "utf8",
  })
  if (compilation.error !== undefined || compilation.status !== 0) {
    dispose()
    return `the helper does not compile: ${compilation.error?.message ?? compilation.stderr}`
  }
  // One sequence that uses all the helper needs but the operations themselves: processes, files, /proc/PID/pagemap.
  const trial = spawnSync(program, { encoding: "utf8", input: inputOf([{ files: [1, 1], operations: [] }]) })
  if (trial.status !== 0) {
    dispose()
    return `the helper does not run here: ${trial.error?.message ?? (trial.stderr.trim() || trial.signal)}`
  }
  return {
    run: async (sequences, how = "settled") =>
      decode(await outputOf(spawn(program, [how]), inputOf(sequences)), sequences),
    dispose,
  }
}
