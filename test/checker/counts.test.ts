/**
 * Programs with published numbers. Every program is run with its fibers in two orders, which changes no number.
 * SHOOTDOWN_LONG=1 runs every schedule of those that have fewer than a million, and more schedules within a bound: those
 * of long_chain within its preemptions, of which even the fewest are many, are run there only.
 */
import { describe, expect, it } from "vitest"
import { boundedPrograms } from "../../checker/bench/programs/bounded.ts"
import { families, publishedProgram } from "../../checker/bench/programs/index.ts"
import { philosophers } from "../../checker/bench/programs/philosophers.ts"
import { long } from "../long.ts"
import { run, survey } from "./support.ts"

/** More states than these are counted in the long tests only; `npm run check -- bench` counts them too. */
const manyStates = 20_000

/** More schedules than these are run in the long tests only, and with the fibers in one order only. */
const fewSchedules = 1_000
const enumerable = 1_000_000
const mostSchedules = long ? enumerable : fewSchedules

for (const { title, programs } of families) {
  if (programs.every(({ states }) => states === undefined)) continue
  describe(title, () => {
    for (const published of programs) {
      const { deadlocked = { states: 0, schedules: 0 }, name, schedules, states } = published
      if (schedules === undefined || states === undefined) continue

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
      it.skipIf(schedules > mostSchedules)(`${name}: schedules${tooMany}`, async () => {
        for (const reversed of orders) {
          const program = publishedProgram(published, reversed)
          const { ends, deadlockedEnds, result } = await survey(program, "dfs", { executions: schedules + 1 })
          expect(result.outcome).toBe("holds")
          expect(result.statistics.executions, "schedules").toBe(schedules)
          expect(ends).toBe(schedules)
          if (deadlocked !== "unpublished") expect(deadlockedEnds, "deadlocked").toBe(deadlocked.schedules)
        }
      })
    }
  })
}

/** More schedules than these are run within a bound in the long tests only; by dfs not at all. */
const mostBounded = long ? Number.POSITIVE_INFINITY : 10_000
const mostByDfs = 2_000

describe.each(boundedPrograms)("numbers of schedules within a bound: $name", ({ name, threads, ...published }) => {
  for (const by of ["preemptions", "delays"] as const) {
    const numbers = published[by].flatMap((count, most) => (count <= mostBounded ? [{ count, most }] : []))
    it.skipIf(numbers.length === 0)(by, async () => {
      for (const { count, most } of numbers) {
        const options = { [by]: most, executions: count + 1 }
        const { result, ends } = await survey(publishedProgram({ name, threads }), "bounded", options)
        expect(result.outcome).toBe("holds")
        expect(result.statistics.executions, `at most ${most}`).toBe(count)
        expect(ends).toBe(count)
      }
    })
  }
  it("preemptions, by dfs and with the fibers in the other order", async () => {
    for (const [preemptions, count] of published.preemptions.entries()) {
      if (count > mostByDfs) continue
      const reversed = publishedProgram({ name, threads }, true)
      expect((await survey(reversed, "dfs", { preemptions })).result.statistics.executions).toBe(count)
      expect((await survey(reversed, "bounded", { preemptions })).result.statistics.executions).toBe(count)
    }
  })
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
