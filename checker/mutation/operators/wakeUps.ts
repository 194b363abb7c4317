/**
 * What steps have in common that wake others: they change what the guards of others were seen to wait for, and have not
 * waited for it themselves, as who takes a lock does.
 */
import type { Store } from "../../program/store.ts"
import { changesOf, type Facts, generic, ownOf, type StepFacts } from "../facts.ts"
import type { Mutation, Write } from "../mutation.ts"

/** The cells that others wait for, of those that a step changes; generic names. */
export const awaitedOf = ({ cells }: Facts, facts: StepFacts): ReadonlyArray<string> => {
  const fibers = [...facts.footprints.keys()]
  const isAwaited = (cell: string): boolean =>
    [...(cells.get(cell)?.waiters ?? [])].some((waiter) => fibers.some((fiber) => fiber !== waiter))
  const wakesBy = (cell: string): boolean => isAwaited(cell) && !facts.awaits.has(cell)
  return [...new Set([...changesOf(facts)].filter(wakesBy).map(generic))].sort()
}

/** Whether a step changes something else too. */
export const changesMore = (facts: Facts, of: StepFacts, awaited: ReadonlyArray<string>): boolean =>
  ownOf(facts, changesOf(of)).some((cell) => !awaited.includes(generic(cell)))

/** Which of the writes of a mutated step are to what others wait for. */
export const wakersIn =
  ({ cells = [] }: Mutation, store: Store) =>
  ([position]: Write): boolean =>
    cells.includes(generic(store.cells[position]?.name ?? ""))
