/** How the scenarios of a protocol are defined: they differ in their bounds, in the shape of the machine, and in a few properties. */
import type * as Effect from "effect/Effect"
import { type Parameter, type Property, type Scenario, type Setup, scenario } from "../checker/index.ts"

/** A bound. */
export const parameter = (description: string, initial: number, max: number, min = 1): Parameter => ({
  description,
  default: initial,
  min,
  max,
})

/**
 * What defines a protocol's scenarios.
 *
 * @param protocol what their ids begin with
 * @param make makes the machine of a shape
 * @param properties what all of them ask
 */
export const scenariosOf =
  <World, Shape>(protocol: string, make: (shape: Shape) => Setup<World>, properties: ReadonlyArray<Property<World>>) =>
  <const P extends { readonly [name: string]: Parameter }>(
    id: string,
    summary: string,
    parameters: P,
    shape: (bound: { readonly [name in keyof P]: number }) => Shape,
    more: ReadonlyArray<Property<World>> = [],
  ): Scenario<World> =>
    scenario({
      id: `${protocol}/${id}`,
      summary,
      parameters,
      setup: (bound) => make(shape(bound)),
      properties: [...properties, ...more],
    })

/** `count` names of one kind: `cpu0`, `cpu1`. */
export const names = (kind: string, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => `${kind}${i}`)

/** A fiber for each of `count` names of one kind. */
export const fibersNamed = (
  kind: string,
  count: number,
  run: (name: string) => Effect.Effect<unknown, unknown>,
): Record<string, Effect.Effect<unknown, unknown>> =>
  Object.fromEntries(names(kind, count).map((name) => [name, run(name)]))
