import * as Effect from "effect/Effect"
import { changesOf } from "../facts.ts"
import { type Operator, rewriting, stepNamed } from "../mutation.ts"

export const leaveOut: Operator = {
  name: "leave-out",
  sentence: "A step that returns nothing is not taken; where it wakes others, the wake-up is not delivered.",
  mutations: ({ steps }) => [...steps].flatMap(([step, { returnsNothing }]) => (returnsNothing ? [{ step }] : [])),
  applies: ({ step }, { steps }) => steps.has(step),
  rewrite: (mutation) =>
    rewriting((operation) =>
      stepNamed(operation, mutation.step) === undefined ? undefined : Effect.succeed(undefined),
    ),
  equivalent: ({ step }, facts) => {
    const of = facts.steps.get(step)
    if (of === undefined || of.hasWaited) return undefined
    const changes = [...changesOf(of)]
    if (changes.length === 0) return "it changes nothing, and never waits"
    const isUnread = changes.every((cell) => {
      const { steps, readers } = facts.cells.get(cell) ?? { steps: new Set(), readers: new Set() }
      return !facts.observed.has(cell) && (readers.size === 0 || (steps.size === 1 && steps.has(step)))
    })
    return isUnread ? "nothing reads what it changes: no other step, no guard and no property" : undefined
  },
}
