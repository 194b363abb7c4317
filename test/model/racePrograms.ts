/** Programs of a few fibers, and whether every strategy finds a data race in them or none does. */
import type * as Effect from "effect/Effect"
import { expect } from "vitest"
import { type Cell, dataRaces, guardedStep, step } from "../../checker/index.ts"
import { programOf, run, unconfirmed } from "../checker/support.ts"

type Fibers = { readonly [name: string]: Effect.Effect<unknown, unknown> }

/** What is asked of all of them. */
export const races = dataRaces("test")

/** The program of some fibers. */
export const over = (setup: () => Fibers) => programOf(() => ({ world: {}, fibers: setup() }), [races])

export const get = <A>(from: Cell<A>) => step("get", [from.name], () => from.value)
export const set = <A>(to: Cell<A>, value: A) =>
  step("set", [to.name], () => {
    to.value = value
  })
export const until = (flag: Cell<number>, value: number) =>
  guardedStep(
    "until",
    [flag.name],
    () => flag.value === value,
    () => undefined,
  )

/** Expects that every strategy finds a race, and tells how `states` reports it. */
export const racy = async (setup: () => Fibers): Promise<string> => {
  const program = over(setup)
  let message = ""
  for (const [strategy, options] of [
    ["states", { breadthFirst: true }],
    ["states", { paranoid: true }],
    ["dfs", {}],
    ["optimal", {}],
    ["bounded", {}],
    ["random", {}],
    ["states", {}],
  ] as const) {
    const result = await run(program, strategy, options)
    expect(result.outcome, strategy).toBe("violated")
    expect(result.violation?.property, strategy).toBe("data-races")
    expect(unconfirmed(program, result)).toBeUndefined()
    message = result.violation?.message ?? ""
  }
  return message
}

/** Expects that no strategy finds one, and that there was something to race. */
export const ordered = async (setup: () => Fibers): Promise<void> => {
  const program = over(setup)
  for (const strategy of ["states", "optimal", "bounded", "dfs"]) {
    const result = await run(program, strategy)
    expect(result.outcome, `${strategy}: ${result.violation?.message}`).toBe("holds")
    const exercised = result.exercised.find(({ id }) => id === "data-races")
    expect(exercised?.times, strategy).toBeGreaterThan(0)
  }
  const paranoid = await run(program, "states", { paranoid: true })
  expect(paranoid.outcome).toBe("holds")
  const sampled = await run(program, "random", { executions: 200 })
  expect(sampled.violation).toBeUndefined()
}
