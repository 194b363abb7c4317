/**
 * Coverage and vacuity: a property whose premise was never true, or a step that was never taken, was not checked, however
 * many states were visited.
 */
import type { Property } from "./property.ts"

/** How often each property was evaluated with its premise true, and each step taken, in an exploration. */
export interface Coverage {
  readonly exercised: Readonly<Record<string, number>>
  readonly steps: Readonly<Record<string, number>>
}

/** What explorations left out. */
export interface Gaps {
  /** The ids of properties. */
  readonly neverExercised: ReadonlyArray<string>
  /** The names of steps. */
  readonly neverTaken: ReadonlyArray<string>
}

/**
 * What none of the explorations exercised or took. Progress properties are left out: they have no premise, and say
 * something only where nothing can go on.
 */
export const gapsIn = (
  properties: ReadonlyArray<Pick<Property<never>, "id" | "kind">>,
  explorations: ReadonlyArray<Coverage>,
): Gaps => {
  const exercised = totals(explorations.flatMap((each) => Object.entries(each.exercised)))
  const steps = totals(explorations.flatMap((each) => Object.entries(each.steps)))
  const idle = properties.filter(({ id, kind }) => kind !== "progress" && (exercised.get(id) ?? 0) === 0)
  return {
    neverExercised: [...new Set(idle.map(({ id }) => id))],
    neverTaken: [...steps].flatMap(([name, times]) => (times === 0 ? [name] : [])),
  }
}

const totals = (times: ReadonlyArray<readonly [string, number]>): ReadonlyMap<string, number> => {
  const total = new Map<string, number>()
  for (const [name, more] of times) addTimes(total, name, more)
  return total
}

/** Counts a name so many times more; with 0, it is known from then on. No name is nothing to count. */
export const addTimes = (times: Map<string, number>, name: string | undefined, more: number): void => {
  if (name !== undefined) times.set(name, (times.get(name) ?? 0) + more)
}
