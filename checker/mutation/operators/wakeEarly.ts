import { apply, type Foreseen, foresee, inTwo, type Operator, rewriting, stepNamed } from "../mutation.ts"
import { awaitedOf, changesMore, wakersIn } from "./wakeUps.ts"

const wakesFirst = (step: string): string => `${step}: wakes`

export const wakeEarly: Operator = {
  name: "wake-early",
  sentence: "A step that wakes others does so first, and the rest of it in a second step.",
  mutations: (facts) =>
    [...facts.steps].flatMap(([step, of]) => {
      const cells = awaitedOf(facts, of)
      return cells.length > 0 && changesMore(facts, of, cells) ? [{ step, cells }] : []
    }),
  applies: ({ step }, { steps }) => steps.has(step),
  rewrite: (mutation, _, store) =>
    rewriting((operation) => {
      const whole = stepNamed(operation, mutation.step)
      if (whole === undefined) return undefined
      const wakes = wakersIn(mutation, store)
      const wakeUp = (): Foreseen => {
        const [result, writes] = foresee(store, whole.body)
        apply(store, writes.filter(wakes))
        return [result, writes.filter((write) => !wakes(write))]
      }
      return inTwo(whole, { store, first: wakesFirst(whole.name), foreseen: wakeUp })
    }),
  parted: ({ step }) => ({ first: wakesFirst(step), second: step, isSwapped: false }),
  equivalent: () => undefined,
}
