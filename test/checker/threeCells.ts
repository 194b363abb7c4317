/** Programs of three cells, and what is expected of every exhaustive strategy. */
import type * as Effect from "effect/Effect"
import { expect } from "vitest"
import { type Cell, cell, type Invariant, type Program, type Property, step } from "../../checker/index.ts"
import { programOf, run, unconfirmed } from "./support.ts"
export interface World {
  readonly x: Cell<number>
  readonly y: Cell<number>
  readonly z: Cell<number>
}

export type Fibers = { readonly [name: string]: Effect.Effect<unknown, unknown> }

export const over = (fibers: (world: World) => Fibers, properties: ReadonlyArray<Property<World>> = []): Program =>
  programOf(() => {
    const world = { x: cell("x", 0), y: cell("y", 0), z: cell("z", 0) }
    return { world, fibers: fibers(world) }
  }, properties)

export const set = (target: Cell<number>, value: number) =>
  step("set", [target.name, value], () => {
    target.value = value
  })

export const stated = { statement: "It is as it must be.", source: "test" }
export const invariant = (id: string, holds: (world: World) => boolean): Invariant<World> => ({
  kind: "invariant",
  id,
  ...stated,
  holds,
})

/** Expects every exhaustive strategy to find the property broken, and says how. */
export const broken = async (program: Program, property: string): Promise<string> => {
  let message = ""
  for (const strategy of ["dfs", "optimal", "states"]) {
    const result = await run(program, strategy)
    expect(result.outcome, strategy).toBe("violated")
    expect(result.violation?.property, strategy).toBe(property)
    expect(unconfirmed(program, result)).toBeUndefined()
    message = result.violation?.message ?? ""
  }
  return message
}

export const holds = async (program: Program) => {
  for (const strategy of ["dfs", "optimal", "states"]) {
    const result = await run(program, strategy)
    expect(result.outcome, `${strategy}: ${result.violation?.message}`).toBe("holds")
  }
}
