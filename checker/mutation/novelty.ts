/**
 * Which of many bounds show something new of a mutation. A protocol may race every two of its operations, and most of
 * its steps are then taken in hundreds of programs, where they meet the same few steps of other fibers again and again.
 */
import type { Facts, StepFacts } from "./facts.ts"
import { generic } from "./facts.ts"
import type { Mutation } from "./mutation.ts"

/** How many programs, or scenarios, a mutant is explored in before it is asked what is new in them. */
const few = 24

/** What the steps that a mutation changes share with steps of other fibers, one of the two changing it. */
const meetings = ({ step, next }: Mutation, facts: Facts): ReadonlyArray<string> =>
  [step, next].flatMap((name) => {
    const of = name === undefined ? undefined : facts.steps.get(name)
    return of === undefined ? [] : [...met(of, facts)]
  })

const known = new WeakMap<StepFacts, ReadonlySet<string>>()

const met = (of: StepFacts, facts: Facts): ReadonlySet<string> => {
  const before = known.get(of)
  if (before !== undefined) return before
  const found = new Set<string>()
  for (const [fiber, { reads, changes }] of of.footprints) {
    for (const cell of new Set([...reads, ...changes])) {
      for (const name of facts.cells.get(cell)?.steps ?? []) {
        for (const [other, theirs] of facts.steps.get(name)?.footprints ?? []) {
          const conflict = theirs.changes.has(cell) || (changes.has(cell) && theirs.reads.has(cell))
          if (other !== fiber && conflict) found.add(`${generic(cell)} ${name} by ${generic(other)}`)
        }
      }
    }
  }
  known.set(of, found)
  return found
}

/**
 * Of many, those that have something new: a step that those before do not take, or a cell at which what is mutated meets
 * a step of another fiber that it has not met there before. All, where they are few. Where it is the scenarios that are
 * few, each was written for something of its own, such as the same steps in another order, and is new as well.
 *
 * @param rungs the smaller before the larger
 */
export const thoseWithNews = <R extends { readonly facts: Facts; readonly scenario: object }>(
  mutation: Mutation,
  rungs: ReadonlyArray<R>,
): ReadonlyArray<R> => {
  if (rungs.length <= few) return rungs
  const areScenariosFew = new Set(rungs.map(({ scenario }) => scenario)).size <= few
  const seen = new Set<object | string>()
  return rungs.filter(({ facts, scenario }) => {
    const size = seen.size
    if (areScenariosFew) seen.add(scenario)
    for (const news of [...facts.steps.keys(), ...meetings(mutation, facts)]) seen.add(news)
    return seen.size > size
  })
}
