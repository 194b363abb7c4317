/** The harness that performs sequences on the kernel that runs here. */
import fc from "fast-check"
import { afterAll, describe, expect, it } from "vitest"
import { kernel } from "./kernel.ts"
import { read } from "./operations.ts"
import { sequences } from "./randomSequence.ts"
import type { Observation, Sequence } from "./sequence.ts"

const here = kernel()

afterAll(() => {
  if (typeof here !== "string") here.dispose()
})

const run = (sequences: ReadonlyArray<Sequence>): Promise<ReadonlyArray<ReadonlyArray<Observation>>> => {
  if (typeof here === "string") throw new Error(here)
  return here.run(sequences)
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
