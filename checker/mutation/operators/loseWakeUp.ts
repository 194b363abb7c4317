import { changeBody } from "../../scenario/seededBug.ts"
import { apply, foresee, type Operator, rewriting, stepNamed } from "../mutation.ts"
import { awaitedOf, changesMore, wakersIn } from "./wakeUps.ts"

export const loseWakeUp: Operator = {
  name: "lose-wake-up",
  sentence: "A step does all but change what others wait for.",
  mutations: (facts) =>
    [...facts.steps].flatMap(([step, of]) => {
      const cells = awaitedOf(facts, of)
      // A step that returns nothing and does nothing else is left out: another operator's mutant.
      return cells.length > 0 && (changesMore(facts, of, cells) || !of.returnsNothing) ? [{ step, cells }] : []
    }),
  applies: ({ step }, { steps }) => steps.has(step),
  rewrite: (mutation, _, store) => {
    const wakes = wakersIn(mutation, store)
    const without = changeBody(({ body }) => {
      const [result, writes] = foresee(store, body)
      apply(
        store,
        writes.filter((write) => !wakes(write)),
      )
      return result
    })
    return rewriting((operation, original) =>
      stepNamed(operation, mutation.step) === undefined ? undefined : without(original, operation),
    )
  },
  equivalent: () => undefined,
}
