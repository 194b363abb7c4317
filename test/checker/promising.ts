/** Programs that promise something: two cells, and fibers that wait, retry and go on for ever. */
import * as Effect from "effect/Effect"
import { expect } from "vitest"
import {
  type Cell,
  cell,
  checkpoint,
  guardedStep,
  type LeadsTo,
  type Program,
  type Property,
  runMoves,
  step,
} from "../../checker/index.ts"
import { programOf, run } from "./support.ts"

export interface World {
  readonly x: Cell<number>
  readonly y: Cell<number>
}

export type Fibers = Readonly<Record<string, Effect.Effect<unknown, unknown>>>

export const over = (fibers: (world: World) => Fibers, ...properties: ReadonlyArray<Property<World>>): Program =>
  programOf(() => {
    const world = { x: cell("x", 0), y: cell("y", 0) }
    return { world, fibers: fibers(world) }
  }, properties)

export const promise = (to: LeadsTo<World>["to"], from?: LeadsTo<World>["from"]): LeadsTo<World> => ({
  kind: "leadsTo",
  id: "promise",
  statement: "It comes about.",
  source: "test",
  to,
  ...(from === undefined ? {} : { from }),
})

export const ends = (fiber: string) => promise((_, { ended }) => ended(fiber))

export const set = (at: Cell<number>, value: number) =>
  step(`${at.name} = ${value}`, () => {
    at.value = value
  })

export const waitFor = (at: Cell<number>, value: number, then = value) =>
  guardedStep(
    `wait_for(${at.name} == ${value})`,
    () => at.value === value,
    () => {
      at.value = then
    },
  )

/** Repeats for ever, with nothing to remember from one round to the next. */
export const forever = <A>(...body: ReadonlyArray<Effect.Effect<A>>) =>
  Effect.forever(Effect.andThen(checkpoint("round"), Effect.all(body)))

/** Repeats until a step returns true. */
export const until = (attempt: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (;;) {
      yield* checkpoint("attempt")
      if (yield* attempt) return
    }
  })

export const holds = async (program: Program) => {
  const result = await run(program, "states")
  expect(result.outcome, result.violation?.message).toBe("holds")
  return result
}

/** The lasso that breaks the promise: the fibers of its prefix and of its cycle, and the message. */
export const lasso = async (program: Program) => {
  const result = await run(program, "states")
  expect(result.outcome).toBe("violated")
  expect(result.violation?.property).toBe("promise")
  const { moves = [], cycle } = result
  if (cycle === undefined) throw new Error(`no lasso: ${result.violation?.message}`)
  const { steps, violations } = runMoves(program, moves, cycle)
  expect(violations).toEqual([result.violation])
  return {
    prefix: steps.slice(0, cycle).map(({ fiber, label }) => `${fiber}: ${label}`),
    cycle: steps.slice(cycle).map(({ fiber, label }) => `${fiber}: ${label}`),
    message: result.violation?.message,
  }
}
