/** The model does what the kernel that runs here does: random sequences of operations, compared operation by operation. */
import fc from "fast-check"
import { afterAll, describe, expect, it } from "vitest"
import { long } from "../long.ts"
import { difference } from "./difference.ts"
import type { Kernel } from "./kernel.ts"
import { fork, madvise, mmap, read, write } from "./operations.ts"
import { sequences } from "./randomSequence.ts"
import { referenceKernel, tooOld } from "./reference.ts"
import type { Observation, Sequence } from "./sequence.ts"

/** `SHOOTDOWN_LONG=1 npx vitest run test/fidelity/fidelity.test.ts` compares many more sequences. */
const wanted = long ? 2000 : 200
const seed = 2026

const here = referenceKernel()

afterAll(() => {
  if (typeof here !== "string") here.dispose()
})

/** Whether the model does the same, of one sequence that is performed now. */
const agreesWith = (kernel: Kernel) => async (sequence: Sequence) => {
  const [observations = []] = await kernel.run([sequence])
  const text = difference(sequence, observations)
  if (text !== undefined) throw new Error(text)
}

/**
 * Compares random sequences, performed all at once: everything that is observed, areas too, and of every sequence. If
 * one differs, it is looked for again by itself, and made as short as it gets.
 */
const compare = async (kernel: Kernel, count: number): Promise<void> => {
  const some = fc.sample(sequences, { numRuns: count, seed })
  const observations = await kernel.run(some)
  expect(observations.map((each) => each.length)).toEqual(some.map(({ operations }) => operations.length))
  for (const [position, sequence] of some.entries()) {
    const text = difference(sequence, observations[position] ?? [])
    if (text === undefined) continue
    await fc.assert(fc.asyncProperty(sequences, agreesWith(kernel)), { seed, path: String(position) })
    throw new Error(`only where sequences before it were performed too, ${text}`)
  }
}

describe("fidelity", () => {
  const why = typeof here === "string" ? `, not compared: ${here}` : ""
  it.skipIf(typeof here === "string")(`the model does what the kernel does in ${wanted} sequences${why}`, async () => {
    if (typeof here !== "string") await compare(here, wanted)
  })

  it("is not looked for on a kernel with older rules", () => {
    expect(tooOld("6.18.44-generic")).toBeUndefined()
    expect(tooOld("6.18.0-rc1")).toBeUndefined()
    expect(tooOld("7.0.1")).toBeUndefined()
    for (const old of ["6.17.9", "5.19.0-76", "no number"]) expect(tooOld(old)).toContain(`Linux ${old} runs here`)
  })
})

describe("a difference", () => {
  const looks = (frames: string, result: Observation["result"] = { kind: "ok" }): Observation => ({
    result,
    frames: [frames, null, null],
    changed: ["--------", null, null],
    areas: [[{ start: 0, pages: 1, protection: "rw", sharing: "private", file: null, offset: 0 }], null, null],
  })

  it("is told with the operations that led to it, and with what both made of the last", () => {
    const sequence: Sequence = {
      files: [1, 2],
      operations: [mmap(0, 1), write(0, 70), madvise(0, 1, "DONTNEED"), fork()],
    }
    const kernel = [looks("--------"), looks("a-------"), looks("a-------", { kind: "error", errno: "EINVAL" })]
    expect(difference(sequence, kernel)?.split("\n")).toEqual([
      "with files of 1 and 2 pages the model and the kernel differ in operation 2:",
      '  0 mmap {"process":0,"start":0,"pages":1,"protection":"rw","sharing":"private","backing":null}  ok  -------- gone gone',
      '  1 write {"process":0,"page":0,"value":70}  ok  a------- gone gone',
      '  2 madvise {"process":0,"start":0,"pages":1,"advice":"DONTNEED"}',
      "  result",
      '    of the kernel {"kind":"error","errno":"EINVAL"}',
      '    of the model  {"kind":"ok"}',
      "  frames",
      '    of the kernel ["a-------",null,null]',
      '    of the model  ["--------",null,null]',
    ])
  })

  it("is none where all is alike, and one where the model cannot go on", () => {
    const sequence: Sequence = { files: [1, 1], operations: [mmap(0, 1), read(0)] }
    expect(difference(sequence, [looks("--------"), looks("0-------", { kind: "value", value: 0 })])).toBeUndefined()
    const impossible: Sequence = { files: [5, 1], operations: [read(0)] }
    expect(difference(impossible, [])).toContain("the model fails: ")
  })
})
