/** The harness that performs sequences on the kernel that runs here: known sequences have their known results. */
import fc from "fast-check"
import { afterAll, describe, expect, it } from "vitest"
import { kernel } from "./kernel.ts"
import { sequences } from "./randomSequence.ts"
import {
  type Advice,
  type Backing,
  fileByte,
  type Observation,
  type Operation,
  type Protection,
  type Result,
  type Sequence,
  type Sharing,
} from "./sequence.ts"

const here = kernel()

afterAll(() => {
  if (typeof here !== "string") here.dispose()
})

const run = (sequences: ReadonlyArray<Sequence>): Promise<ReadonlyArray<ReadonlyArray<Observation>>> => {
  if (typeof here === "string") throw new Error(here)
  return here.run(sequences)
}

const mmap = (
  start: number,
  pages: number,
  protection: Protection = "rw",
  sharing: Sharing = "private",
  backing: Backing = null,
  process = 0,
): Operation => ({ op: "mmap", process, start, pages, protection, sharing, backing })

const fromFile = (file: number, page = 0): Backing => ({ file, page })

const munmap = (start: number, pages: number, process = 0): Operation => ({ op: "munmap", process, start, pages })

const mprotect = (start: number, pages: number, protection: Protection): Operation => ({
  op: "mprotect",
  process: 0,
  start,
  pages,
  protection,
})

const mremap = (start: number, pages: number, newPages: number, to: number | null = null): Operation => ({
  op: "mremap",
  process: 0,
  start,
  pages,
  newPages,
  to,
})

const madvise = (start: number, pages: number, advice: Advice): Operation => ({
  op: "madvise",
  process: 0,
  start,
  pages,
  advice,
})

const fork = (process = 0): Operation => ({ op: "fork", process })
const exit = (process: number): Operation => ({ op: "exit", process })
const read = (page: number, process = 0): Operation => ({ op: "read", process, page })
const write = (page: number, value: number, process = 0): Operation => ({ op: "write", process, page, value })
const pageReader = (page: number, target = 0): Operation => ({ op: "pageReader", process: 0, target, page })
const vmsplice = (page: number, process = 0): Operation => ({ op: "vmsplice", process, page })
const readPipe: Operation = { op: "readPipe" }
const ftruncate = (file: number, pages: number): Operation => ({ op: "ftruncate", file, pages })

/** A result in short: the value that was read, or the name of what happened. */
type Short = number | "ok" | "skipped" | "SIGSEGV" | "SIGBUS" | "EAGAIN" | "EFAULT" | "EINVAL" | "ENOMEM"

const short = (result: Result): Short => {
  switch (result.kind) {
    case "value":
      return result.value
    case "error":
      return result.errno
    case "signal":
      return result.signal
    default:
      return result.kind
  }
}

/** An operation, its result, and what the processes then have mapped in, where that is of interest. */
type Step = readonly [operation: Operation, result: Short, ...frames: ReadonlyArray<string | null>]

/** Whether a sequence does step by step what is expected of it. */
const behaves = async (steps: ReadonlyArray<Step>): Promise<ReadonlyArray<Observation>> => {
  const [observations = []] = await run([{ files: [3, 3], operations: steps.map(([operation]) => operation) }])
  const got = observations.map(({ result, frames }, position) => {
    const compared = (steps[position]?.length ?? 2) - 2
    return [steps[position]?.[0], short(result), ...frames.slice(0, compared)]
  })
  expect(got).toEqual(steps)
  return observations
}

const isPossible = typeof here !== "string"

describe("fidelity to the kernel that runs here", () => {
  it("can be tested", ({ skip }) => {
    if (typeof here === "string") skip(here)
  })

  it("cannot be tested without a compiler, and says so", () => {
    expect(kernel("no-such-compiler")).toContain("does not compile")
  })
})

describe.runIf(isPossible)("known sequences", () => {
  it("a write after a fork separates private memory", () =>
    behaves([
      [mmap(0, 2), "ok", "--------", null, null],
      [write(0, 70), "ok", "a-------"],
      [fork(), "ok", "a-------", "a-------", null],
      [write(0, 71, 1), "ok", "a-------", "b-------"],
      [read(0), 70],
      [read(0, 1), 71],
    ]))

  it("shared memory stays shared, and is mapped in again on demand after a fork", () =>
    behaves([
      [mmap(0, 2, "rw", "shared"), "ok", "--------"],
      [write(0, 70), "ok", "A-------"],
      [fork(), "ok", "A-------", "--------"],
      [read(0, 1), 70, "A-------", "A-------"],
      [write(0, 71, 1), "ok"],
      [read(0), 71, "A-------", "A-------"],
    ]))

  it("a page is used again once nobody else has it, and copied as long as somebody does", async () => {
    const observations = await behaves([
      [mmap(0, 2), "ok"],
      [write(0, 70), "ok"],
      [write(1, 80), "ok", "ab------"],
      [fork(), "ok"],
      [write(0, 71), "ok", "ab------", "cb------"],
      [exit(1), "ok", "ab------", null],
      [write(1, 81), "ok", "ab------", null],
    ])
    expect(observations.map(({ changed }) => changed[0])).toEqual([
      "--------",
      "--------",
      "--------",
      "--------",
      "!-------",
      "--------",
      "--------",
    ])
  })

  it("DONTNEED gives up private memory, which then reads as the zero page", () =>
    behaves([
      [mmap(0, 1), "ok"],
      [write(0, 70), "ok", "a-------"],
      [madvise(0, 1, "DONTNEED"), "ok", "--------"],
      [read(0), 0, "0-------"],
      [write(0, 71), "ok", "a-------"],
    ]))

  it("reading a file maps in what is cached around it, and writing to a private mapping copies", () =>
    behaves([
      [mmap(2, 4, "rw", "private", fromFile(0)), "ok", "--------"],
      [read(3), fileByte(0, 1), "--ABC---"],
      [write(3, 70), "ok", "--AaB---"],
      [read(5), "SIGBUS", "--AaB---"],
      [madvise(3, 1, "DONTNEED"), "ok", "--A-B---"],
      [read(3), fileByte(0, 1), "--ABC---"],
    ]))

  it("what cannot be accessed gives a signal", () =>
    behaves([
      [read(0), "SIGSEGV"],
      [mmap(0, 1, "r"), "ok"],
      [write(0, 70), "SIGSEGV", "--------"],
      [read(0), 0, "0-------"],
      [mmap(1, 1, "none"), "ok"],
      [read(1), "SIGSEGV"],
      [mmap(2, 1, "rw", "shared", fromFile(1, 3)), "ok"],
      [write(2, 70), "SIGBUS"],
    ]))

  it("mprotect changes what comes before a hole", () =>
    behaves([
      [mmap(0, 1), "ok"],
      [mmap(2, 1), "ok"],
      [mprotect(0, 3, "r"), "ENOMEM"],
      [write(0, 70), "SIGSEGV"],
      [write(2, 70), "ok"],
    ]))

  it("a file that is made shorter takes private copies along", () =>
    behaves([
      [mmap(0, 3, "rw", "private", fromFile(0)), "ok"],
      [write(0, 70), "ok", "a-------"],
      [write(2, 71), "ok", "a-b-----"],
      [fork(), "ok", "a-b-----", "a-b-----"],
      [ftruncate(0, 1), "ok", "a-------", "a-------"],
      [read(2), "SIGBUS"],
      [ftruncate(0, 3), "ok"],
      [read(2), 0, "a-A-----", "a-------"],
    ]))

  it("a page that is referred to is written in place if it never was shared", () =>
    behaves([
      [mmap(0, 1), "ok"],
      [write(0, 70), "ok"],
      [vmsplice(0), "ok"],
      [write(0, 71), "ok"],
      [readPipe, 71],
      [readPipe, "EAGAIN"],
    ]))

  it("a page that is referred to is copied if it once was shared", () =>
    behaves([
      [mmap(0, 1), "ok"],
      [write(0, 70), "ok"],
      [fork(), "ok", "a-------", "a-------"],
      [vmsplice(0, 1), "ok"],
      [exit(1), "ok"],
      [write(0, 71), "ok"],
      [readPipe, 70],
    ]))

  it("reading another process's memory ends the sharing of a page that is written by copying", () =>
    behaves([
      [mmap(0, 2), "ok"],
      [write(0, 70), "ok"],
      [fork(), "ok", "a-------", "a-------"],
      [pageReader(0, 1), 70, "a-------", "b-------"],
      [pageReader(1, 1), 0, "a-------", "b0------"],
      [pageReader(2, 1), "EFAULT"],
    ]))

  it("mremap moves what is mapped in, also of several mappings at once", () =>
    behaves([
      [mmap(0, 1), "ok"],
      [mmap(2, 1, "rw", "private", fromFile(0)), "ok"],
      [write(0, 70), "ok"],
      [read(2), fileByte(0, 0), "a-A-----"],
      [mremap(0, 3, 3, 2), "EINVAL"],
      [mmap(5, 1), "ok"],
      [read(5), 0, "a-A--0--"],
      [mremap(0, 3, 3, 4), "ok", "----a0A-"],
      [mremap(4, 2, 3), "EFAULT"],
      [mremap(4, 1, 2), "ENOMEM"],
      [mremap(6, 1, 2), "ok", "----a0A-"],
      [read(7), fileByte(0, 1), "----a0AB"],
      [mremap(4, 4, 1), "ok", "----a---"],
    ]))

  it("without swap PAGEOUT unmaps pages of files and gives up only what FREE has given free", () =>
    behaves([
      [mmap(0, 3), "ok"],
      [mmap(3, 1, "rw", "shared", fromFile(0)), "ok"],
      [write(0, 70), "ok"],
      [write(1, 71), "ok"],
      [write(2, 72), "ok"],
      [write(3, 73), "ok", "abcA----"],
      [madvise(1, 2, "FREE"), "ok", "abcA----"],
      [write(2, 74), "ok"],
      [madvise(0, 4, "COLD"), "ok", "abcA----"],
      [madvise(0, 4, "PAGEOUT"), "ok", "a-b-----"],
      [read(1), 0],
      [read(3), 73],
    ]))

  it("bad ranges are refused", () =>
    behaves([
      [mmap(7, 2), "ENOMEM"],
      [mmap(7, 0), "EINVAL"],
      [munmap(7, 2), "EINVAL"],
      [munmap(7, 0), "EINVAL"],
      [munmap(0, 8), "ok"],
      [mprotect(7, 0, "r"), "ok"],
      [mprotect(7, 2, "r"), "ENOMEM"],
      [madvise(7, 0, "FREE"), "ok"],
      [madvise(7, 2, "FREE"), "ENOMEM"],
      [mremap(0, 1, 1), "EFAULT"],
      [mremap(0, 1, 0), "EINVAL"],
      [mmap(6, 2), "ok"],
      [mremap(6, 2, 3), "ENOMEM"],
      [mremap(6, 2, 3, 0), "ok"],
      [mremap(0, 0, 1, 4), "EINVAL"],
    ]))

  it("a process that is not there does nothing", () =>
    behaves([
      [read(0, 1), "skipped"],
      [pageReader(0, 1), "skipped"],
      [fork(), "ok"],
      [fork(1), "ok"],
      [fork(2), "skipped", "--------", "--------", "--------"],
      [exit(0), "ok", null, "--------", "--------"],
      [exit(0), "skipped"],
      [read(0, 2), "SIGSEGV"],
    ]))

  it("mappings are reported as they are divided", async () => {
    const observations = await behaves([
      [mmap(0, 3, "rw", "private", fromFile(1, 1)), "ok"],
      [mprotect(1, 1, "none"), "ok"],
    ])
    const part = { pages: 1, protection: "rw", sharing: "private", file: 1 }
    expect(observations[1]?.areas).toEqual([
      [
        { ...part, start: 0, offset: 1 },
        { ...part, start: 1, offset: 2, protection: "none" },
        { ...part, start: 2, offset: 3 },
      ],
      null,
      null,
    ])
  })
})

describe.runIf(isPossible)("random sequences", () => {
  const some = fc.sample(sequences, { numRuns: 1000, seed: 1 })

  it("are observed alike when they are performed again, and sequences do not disturb each other", async () => {
    const forwards = await run(some)
    const backwards = await run([...some].reverse())
    expect([...backwards].reverse()).toEqual(forwards)
  })

  it("consist of all operations, and most of them do something", async () => {
    const observations = await run(some)
    const fine = new Map<string, number>()
    let operations = 0
    for (const [position, sequence] of some.entries())
      for (const [step, { op }] of sequence.operations.entries()) {
        operations++
        const kind = observations[position]?.[step]?.result.kind
        if (kind === "ok" || kind === "value") fine.set(op, (fine.get(op) ?? 0) + 1)
      }
    expect(fine.size).toBe(13)
    expect(Math.min(...fine.values())).toBeGreaterThan(50)
    expect([...fine.values()].reduce((sum, count) => sum + count)).toBeGreaterThan(0.6 * operations)
  })

  it("that are not understood fail", async () => {
    await expect(run([{ files: [1, 1], operations: [read(99)] }])).rejects.toThrow("not understood: read 0 99")
  })
})
