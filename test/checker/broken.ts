import * as Effect from "effect/Effect"
import { expect } from "vitest"
import { type Cell, cell, type Program, type Property, step } from "../../checker/index.ts"
import { long } from "../long.ts"
import { programOf, run, timeless, unconfirmed } from "./support.ts"

/** The strategies that every rule is checked under; `auto` is the first two. */
export const everyStrategy = ["states", "optimal", "bounded", "dfs", "random"]

/** Those that what takes long is checked under, unless there is time: one on each engine. */
export const someStrategies = long ? everyStrategy : ["states", "dfs"]

/** What the programs of these tests share. */
export interface World {
  readonly x: Cell<number>
  readonly y: Cell<number>
}

/** Fibers by name. */
export type Fibers = { readonly [name: string]: Effect.Effect<unknown, unknown> }

/** A program over the cells x and y. */
export const over = (fibers: (world: World) => Fibers, properties: ReadonlyArray<Property<World>> = []): Program =>
  programOf(() => {
    const world = { x: cell("x", 0), y: cell("y", 0) }
    return { world, fibers: fibers(world) }
  }, properties)

/** A fiber that does nothing wrong, so that what is wrong is not alone. */
export const bystander = ({ y }: World) =>
  step("look", () => {
    y.value++
  })

/** What every strategy says of a program, each asked twice. */
export const verdicts = async (
  program: Program,
  options: { readonly maxSteps?: number } = {},
  strategies: ReadonlyArray<string> = everyStrategy,
) => {
  const results = []
  for (const strategy of strategies) {
    const asked = { executions: 200, ...options }
    const result = await run(program, strategy, asked)
    expect(timeless(await run(program, strategy, asked)), `${strategy}, asked again`).toEqual(timeless(result))
    results.push({ strategy, result })
  }
  return results
}

/** Expects strategies to report the property with a message that has all the parts. */
export const expectBroken = async (
  program: Program,
  property: string,
  parts: ReadonlyArray<string>,
  strategies: ReadonlyArray<string> = everyStrategy,
) => {
  for (const { strategy, result } of await verdicts(program, {}, strategies)) {
    expect(result.outcome, strategy).toBe("violated")
    expect(result.violation?.property, `${strategy}: ${result.violation?.message}`).toBe(property)
    for (const part of parts) expect(result.violation?.message, strategy).toContain(part)
    expect(unconfirmed(program, result), strategy).toBeUndefined()
  }
}

/** A fiber that breaks a rule, or a property that is not its program's own, and what must be said of it. */
export interface Case {
  readonly name: string
  readonly fiber: (world: World) => Effect.Effect<unknown, unknown>
  readonly property?: string
  readonly parts: ReadonlyArray<string>
  /** Whether it computes for long before it is noticed. */
  readonly isLong?: boolean
}

export const set = (into: Cell<number>, value: number) =>
  step("set", [value], () => {
    into.value = value
  })

export const threeWrites = ({ x }: World) => Effect.all([set(x, 1), set(x, 2), set(x, 3)])
