import * as Exit from "effect/Exit"
import fc from "fast-check"
import { expect, it } from "vitest"
import { effectProgram } from "../../checker/index.ts"
import { long } from "../long.ts"
import { forkingPlan, interruptingPlan, type Plan, plan, programOf } from "./effectArbitrary.ts"
import { enumerate } from "./effectEnumeration.ts"
import { survey } from "./support.ts"

const numRuns = long ? 3_000 : 30
const most = long ? 60_000 : 1_000

/** The ways in which a program can end, as a strategy finds them; nothing if there are too many schedules. */
const explored = async (plan: Plan, woken: "later" | "at once" | "either", strategy: string) => {
  const { entry } = effectProgram({ id: "test", program: () => programOf(plan), woken })
  const { finals, result } = await survey(entry.program(), strategy, { executions: most })
  if (result.outcome === "inconclusive") return undefined
  expect(result.violation).toBe(undefined)
  return new Set([...finals].map((final) => /succeeded with '(.*)'/.exec(final)?.[1] ?? "stuck"))
}

const enumerated = (plan: Plan, putsOff: boolean) =>
  enumerate(
    () => programOf(plan),
    (exit) => (Exit.isSuccess(exit) ? exit.value : "failed"),
    putsOff,
    most,
  )

it.each(["later", "at once"] as const)(
  "random programs end as in a plain enumeration of all schedules (woken %s)",
  async (woken) => {
    let compared = 0
    await fc.assert(
      fc.asyncProperty(plan, async (plan) => {
        const outcomes = await explored(plan, woken, "dfs")
        const expected = outcomes && enumerated(plan, woken === "later")
        if (expected === undefined) return
        compared++
        expect(outcomes).toEqual(expected)
        expect(await explored(plan, woken, "bounded")).toEqual(outcomes)
      }),
      { seed: 1, numRuns },
    )
    expect(compared).toBeGreaterThan(numRuns / 3)
  },
)

it("with interruption, every way in which today's runtime can end a program is found", async () => {
  let compared = 0
  await fc.assert(
    fc.asyncProperty(interruptingPlan, async (plan) => {
      const atOnce = await explored(plan, "at once", "dfs")
      const later = await explored(plan, "later", "bounded")
      const either = await explored(plan, "either", "dfs")
      const runtime = atOnce && enumerated(plan, false)
      if (runtime === undefined || later === undefined || either === undefined) return
      compared++
      expect(atOnce).toEqual(runtime)
      expect(either).toEqual(new Set([...runtime, ...later]))
    }),
    { seed: 1, numRuns },
  )
  expect(compared).toBeGreaterThan(numRuns / 4)
})

it("where fibers start others by the way, programs end as today's runtime can end them", async () => {
  let compared = 0
  await fc.assert(
    fc.asyncProperty(forkingPlan, async (plan) => {
      const atOnce = await explored(plan, "at once", "dfs")
      const runtime = atOnce && enumerated(plan, false)
      if (runtime === undefined || atOnce === undefined) return
      compared++
      expect(atOnce).toEqual(runtime)
    }),
    { seed: 1, numRuns },
  )
  expect(compared).toBeGreaterThan(numRuns / 4)
})
