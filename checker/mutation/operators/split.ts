import { changesOf, ownOf, readsOf } from "../facts.ts"
import { foresee, inTwo, type Operator, rewriting, stepNamed } from "../mutation.ts"

const readsFirst = (step: string): string => `${step}: reads`

export const split: Operator = {
  name: "split",
  sentence: "A step reads everything first, in a step of its own, and writes what follows from it in a second one.",
  mutations: (facts) =>
    [...facts.steps].flatMap(([step, of]) => {
      return [readsOf(of), changesOf(of)].every((cells) => ownOf(facts, cells).length > 0) ? [{ step }] : []
    }),
  applies: ({ step }, { steps }) => steps.has(step),
  rewrite: (mutation, _, store) =>
    rewriting((operation) => {
      const whole = stepNamed(operation, mutation.step)
      if (whole === undefined) return undefined
      const foreseen = () => foresee(store, whole.body)
      return inTwo(whole, { store, first: readsFirst(whole.name), foreseen })
    }),
  parted: ({ step }) => ({ first: readsFirst(step), second: step, isSwapped: false }),
  equivalent: ({ step }, facts) => {
    const of = facts.steps.get(step)
    if (of === undefined) return undefined
    if (changesOf(of).size === 0) return "it only reads"
    if (facts.readsItsOwn(of)) return "nobody else changes what it reads"
    return undefined
  },
}
