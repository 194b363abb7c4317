/**
 * Programs with published numbers. Every program is run with its fibers in two orders, which changes no number.
 * SHOOTDOWN_LONG=1 runs every schedule of those that have fewer than a million.
 */
import { describe, expect, it } from "vitest"
import { lastzero, readers } from "../../checker/bench/programs/dpor.ts"
import { fibBench, inc, peterson, szymanski } from "../../checker/bench/programs/genmc.ts"
import { families, publishedProgram } from "../../checker/bench/programs/index.ts"
import { philosophers } from "../../checker/bench/programs/philosophers.ts"
import { litmus, type Threads, times } from "../../checker/bench/programs/threads.ts"
import { run, survey } from "./support.ts"

const long = process.env.SHOOTDOWN_LONG === "1"

/** More states than these are counted in the long tests only; `npm run check -- bench` counts them too. */
const manyStates = 60_000

/** More schedules than these are run in the long tests only, and with the fibers in one order only. */
const fewSchedules = 6_000
const enumerable = 1_000_000
const mostSchedules = long ? enumerable : fewSchedules
const longest = 900_000

for (const { title, programs } of families) {
  describe(title, () => {
    for (const published of programs) {
      const { deadlocked = { states: 0, schedules: 0 }, name, schedules, states } = published

      it.skipIf(!long && states > manyStates)(`${name}: states`, async () => {
        for (const reversed of [false, true]) {
          const program = publishedProgram(published, reversed)
          const apart = await survey(program, "states", { keepEnds: true })
          expect(apart.result.outcome).toBe("holds")
          expect(apart.result.statistics.states, "states").toBe(states)
          if (deadlocked !== "unpublished") expect(apart.deadlockedEnds, "deadlocked").toBe(deadlocked.states)
          const wide = await survey(program, "states", { keepEnds: true, breadthFirst: true })
          expect(wide.result.statistics.states, "breadth first").toBe(states)
          const merged = await survey(program, "states")
          expect(merged.result.outcome).toBe("holds")
          expect(merged.result.statistics.states, "merged states").toBeLessThanOrEqual(states)
          expect(merged.finals, "final states").toEqual(apart.finals)
        }
      })

      const orders = schedules <= fewSchedules ? [false, true] : [false]
      const tooMany = schedules > enumerable ? ", too many to run one by one" : ""
      it.skipIf(schedules > mostSchedules)(
        `${name}: schedules${tooMany}`,
        async () => {
          for (const reversed of orders) {
            const program = publishedProgram(published, reversed)
            const { ends, deadlockedEnds, result } = await survey(program, "dfs", { executions: schedules + 1 })
            expect(result.outcome).toBe("holds")
            expect(result.statistics.executions, "schedules").toBe(schedules)
            expect(ends).toBe(schedules)
            if (deadlocked !== "unpublished") expect(deadlockedEnds, "deadlocked").toBe(deadlocked.schedules)
          }
        },
        longest,
      )
    }
  })
}

/** Numbers of schedules with at most 0, 1, 2 ... preemptions. */
const bounded: ReadonlyArray<{
  readonly name: string
  readonly threads: Threads
  readonly within: ReadonlyArray<number>
}> = [
  { name: "readers(2)", threads: readers(2), within: [6, 6, 6, 6] },
  { name: "writers(6)", threads: litmus(...times(6, (i) => `Wx=${i + 1}`)), within: [720, 720, 720] },
  { name: "lastzero(5)", threads: lastzero(5), within: [720, 10_476] },
  { name: "IRIW", threads: litmus("Wx", "Wy", "Rx Ry", "Ry Rx"), within: [24, 96, 180, 180] },
  { name: "inc(2)", threads: inc(2), within: [2, 4, 6, 6] },
  { name: "fib_bench(1)", threads: fibBench(1), within: [6, 36, 136, 316, 486, 560, 560] },
  { name: "fib_bench(3)", threads: fibBench(3), within: [6, 108, 1180, 8140] },
  { name: "peterson-sc", threads: peterson, within: [2, 12, 42, 90, 156, 228, 268, 292] },
  { name: "szymanski(1)", threads: szymanski, within: [2, 22, 58, 158, 262, 386, 506, 598] },
]

describe("published numbers of schedules within a preemption bound", () => {
  for (const published of bounded) {
    it(published.name, async () => {
      for (const [preemptions, count] of published.within.entries()) {
        for (const reversed of count > 5_000 ? [false] : [false, true]) {
          const { result } = await survey(publishedProgram(published, reversed), "dfs", { preemptions })
          expect(result.statistics.executions, `at most ${preemptions}`).toBe(count)
        }
      }
    })
  }
})

describe("what a plain exploration says of them", () => {
  it("finds the deadlock of the philosophers and none of the ordered ones", async () => {
    for (const strategy of ["states", "dfs"]) {
      const dine = await run(publishedProgram({ name: "philosophers", threads: philosophers(4) }), strategy)
      expect(dine.outcome).toBe("violated")
      expect(dine.violation?.property).toBe("deadlock")
    }
    const ordered = await run(publishedProgram({ name: "philosophers", threads: philosophers(4, true) }), "states")
    expect(ordered.outcome).toBe("holds")
  })
})
