/** Known sequences have their known results, on the kernel that runs here and on the model. */
import { afterAll, describe, expect, it } from "vitest"
import { runOnModel } from "./model.ts"
import {
  exit,
  fork,
  fromFile,
  ftruncate,
  madvise,
  mmap,
  mprotect,
  mremap,
  munmap,
  pageReader,
  read,
  readPipe,
  type Step,
  short,
  vmsplice,
  write,
} from "./operations.ts"
import { referenceKernel } from "./reference.ts"
import { fileByte, type Observation, type Sequence } from "./sequence.ts"

const here = referenceKernel()

afterAll(() => {
  if (typeof here !== "string") here.dispose()
})

type Run = (sequence: Sequence) => Promise<ReadonlyArray<Observation>>

const onKernel: Run = async (sequence) => {
  if (typeof here === "string") throw new Error(here)
  const [observations = []] = await here.run([sequence])
  return observations
}

const onModel: Run = async (sequence) => runOnModel(sequence)

const title =
  typeof here === "string" ? `known sequences on the kernel (not run: ${here})` : "known sequences on the kernel"

describe.each([
  { where: title, run: onKernel, isPossible: typeof here !== "string" },
  { where: "known sequences on the model", run: onModel, isPossible: true },
])("$where", ({ run, isPossible }) => {
  /** Whether a sequence does step by step what is expected of it. */
  const behaves = async (steps: ReadonlyArray<Step>): Promise<ReadonlyArray<Observation>> => {
    const observations = await run({ files: [3, 3], operations: steps.map(([operation]) => operation) })
    const got = observations.map(({ result, frames }, position) => {
      const compared = (steps[position]?.length ?? 2) - 2
      return [steps[position]?.[0], short(result), ...frames.slice(0, compared)]
    })
    expect(got).toEqual(steps)
    return observations
  }

  describe.runIf(isPossible)("behave", () => {
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

    it("a fault beyond the end of a private mapping leaves an area whose entries fork copies", () =>
      behaves([
        [mmap(0, 2, "rw", "private", fromFile(0, 2)), "ok"],
        [mmap(4, 2, "rw", "private", fromFile(0, 2)), "ok"],
        [read(0), fileByte(0, 2), "A-------"],
        [read(4), fileByte(0, 2), "A---A---"],
        [write(1, 70), "SIGBUS", "A---A---"],
        [fork(), "ok", "A---A---", "A-------"],
      ]))

    it("mremap finds that the rest of the old range cannot be unmapped when its place is already free", () =>
      behaves([
        [mmap(0, 1), "ok"],
        [write(0, 70), "ok"],
        [mmap(6, 2), "ok"],
        [write(6, 71), "ok", "a-----b-"],
        [mremap(6, 3, 1, 0), "EINVAL", "------a-"],
        [read(0), "SIGSEGV"],
      ]))

    it("mremap of no pages of shared memory maps it once more", () =>
      behaves([
        [mmap(0, 2, "rw", "shared"), "ok"],
        [write(1, 70), "ok", "-A------"],
        [mremap(1, 0, 2), "ENOMEM"],
        [mremap(1, 0, 2, 4), "ok", "-A------"],
        [read(4), 70, "-A--A---"],
        [read(5), "SIGBUS"],
        [mremap(1, 0, 1, 1), "EFAULT", "----A---"],
      ]))

    it("mremap that shrinks and moves unmaps what is left, other mappings too", () =>
      behaves([
        [mmap(0, 2), "ok"],
        [mmap(2, 1, "rw", "shared"), "ok"],
        [write(0, 70), "ok"],
        [write(1, 71), "ok"],
        [write(2, 72), "ok", "abA-----"],
        [mremap(0, 3, 2, 5), "ok", "-----ab-"],
        [read(2), "SIGSEGV"],
      ]))

    it("a freed page that the pipe refers to is kept, and discarded later", () =>
      behaves([
        [mmap(0, 1), "ok"],
        [write(0, 70), "ok"],
        [madvise(0, 1, "FREE"), "ok"],
        [vmsplice(0), "ok"],
        [madvise(0, 1, "PAGEOUT"), "ok", "a-------"],
        [readPipe, 70],
        [madvise(0, 1, "PAGEOUT"), "ok", "--------"],
        [read(0), 0],
      ]))

    it("a freed page that was written again is free only when it is freed again, and that by its only user", () =>
      behaves([
        [mmap(0, 1), "ok"],
        [write(0, 70), "ok"],
        [madvise(0, 1, "FREE"), "ok"],
        [write(0, 71), "ok"],
        [madvise(0, 1, "PAGEOUT"), "ok", "a-------"],
        [fork(), "ok"],
        [madvise(0, 1, "FREE"), "ok"],
        [exit(1), "ok"],
        [madvise(0, 1, "PAGEOUT"), "ok", "a-------"],
        [madvise(0, 1, "FREE"), "ok"],
        [madvise(0, 1, "PAGEOUT"), "ok", "--------"],
      ]))

    it("FREE stops at what it cannot be given for", () =>
      behaves([
        [mmap(0, 1), "ok"],
        [mmap(1, 1, "rw", "private", fromFile(0)), "ok"],
        [mmap(2, 1), "ok"],
        [write(0, 70), "ok"],
        [write(2, 72), "ok", "a-b-----"],
        [madvise(0, 5, "FREE"), "EINVAL"],
        [madvise(0, 5, "PAGEOUT"), "ENOMEM", "--a-----"],
      ]))

    it("a clean page of a file leaves the cache with PAGEOUT, unless somebody else maps it", () =>
      behaves([
        [ftruncate(0, 4), "ok"],
        [mmap(0, 1, "rw", "shared", fromFile(0, 3)), "ok"],
        [mmap(2, 2, "rw", "private", fromFile(0, 2)), "ok"],
        [read(3), 0, "--AB----"],
        [read(0), 0, "A-BA----"],
        [madvise(0, 1, "PAGEOUT"), "ok", "A-BA----"],
        [munmap(0, 1), "ok", "--AB----"],
        [madvise(2, 2, "PAGEOUT"), "ok", "--------"],
        [read(2), fileByte(0, 2), "--A-----"],
      ]))

    it("a page that was made its owner's alone again is written in place, whoever refers to it", () =>
      behaves([
        [mmap(0, 1), "ok"],
        [write(0, 70), "ok"],
        [fork(), "ok"],
        [exit(1), "ok"],
        [pageReader(0), 70],
        [vmsplice(0), "ok"],
        [write(0, 71), "ok"],
        [readPipe, 71],
      ]))

    it("a page of a file that was stored to is dirty when it is unmapped, and stays", () =>
      behaves([
        [ftruncate(0, 4), "ok"],
        [mmap(0, 1, "rw", "shared", fromFile(0, 3)), "ok"],
        [read(0), 0],
        [write(0, 70), "ok"],
        [munmap(0, 1), "ok"],
        [mmap(0, 1, "r", "shared", fromFile(0, 3)), "ok"],
        [read(0), 70],
        [madvise(0, 1, "PAGEOUT"), "ok", "--------"],
        [read(0), 70],
      ]))

    /** Where the areas of a process begin in the end. */
    const startsAfter = async (process: number, steps: ReadonlyArray<Step>): Promise<ReadonlyArray<number>> => {
      const observations = await behaves(steps)
      return observations.at(-1)?.areas[process]?.map(({ start }) => start) ?? []
    }

    it("areas with different anon_vmas do not become one, whatever comes between them", async () => {
      const steps: ReadonlyArray<Step> = [
        [mmap(0, 1), "ok"],
        [write(0, 70), "ok"],
        [mmap(2, 1), "ok"],
        [write(2, 72), "ok"],
        [mmap(1, 1), "ok"],
      ]
      expect(await startsAfter(0, steps)).toEqual([0, 2])
      await behaves([...steps, [mremap(0, 3, 4, 4), "EFAULT"], [mremap(0, 2, 3, 4), "ok", "--a-b---"]])
    })

    it("an area that is stored to takes the anon_vma of its neighbour, so that they can become one", async () => {
      const steps: ReadonlyArray<Step> = [
        [mmap(0, 2), "ok"],
        [mprotect(1, 1, "r"), "ok"],
        [write(0, 70), "ok"],
        [mprotect(0, 1, "none"), "ok"],
        [mprotect(1, 1, "rw"), "ok"],
        [write(1, 71), "ok"],
      ]
      expect(await startsAfter(0, steps)).toEqual([0, 1])
      expect(await startsAfter(0, [...steps, [mprotect(0, 1, "rw"), "ok"]])).toEqual([0])
    })

    it("what a child has from its parent becomes one with nothing that has no anon_vma", async () => {
      const forked: ReadonlyArray<Step> = [
        [mmap(0, 1, "rw", "private", fromFile(0, 1)), "ok"],
        [write(0, 70), "ok"],
        [fork(), "ok"],
      ]
      const beside = mmap(1, 1, "rw", "private", fromFile(0, 2), 1)
      expect(await startsAfter(1, [...forked, [beside, "ok"]])).toEqual([0, 1])
      const before = mmap(4, 1, "rw", "private", fromFile(0, 0), 1)
      expect(await startsAfter(1, [...forked, [before, "ok"], [mremap(0, 1, 1, 5, 1), "ok"]])).toEqual([4, 5])
      expect(await startsAfter(0, [...forked, [mmap(1, 1, "rw", "private", fromFile(0, 2)), "ok"]])).toEqual([0])
    })

    it("memory that is accounted for becomes one with none that is not", async () => {
      const mapped = (backed: boolean): ReadonlyArray<Step> => [
        [mmap(0, 1, "r", "private", backed ? fromFile(0, 0) : null), "ok"],
        [mmap(1, 1, "rw", "private", backed ? fromFile(0, 1) : null), "ok"],
        [mprotect(1, 1, "r"), "ok"],
      ]
      expect(await startsAfter(0, mapped(true))).toEqual([0, 1])
      expect(await startsAfter(0, mapped(false))).toEqual([0])
    })
  })
})
