import * as Effect from "effect/Effect"
import { guardedStep, step } from "../../program/operation.ts"
import type { Plain } from "../../program/plain.ts"
import { changesOf, readsOf } from "../facts.ts"
import { apply, type Foreseen, foresee, type Operator, stepNamed, unguarded } from "../mutation.ts"

export const split: Operator = {
  name: "split",
  sentence: "A step reads everything first, in a step of its own, and writes what follows from it in a second one.",
  mutations: ({ steps }) =>
    [...steps].flatMap(([step, facts]) => (readsOf(facts).size > 0 && changesOf(facts).size > 0 ? [{ step }] : [])),
  applies: ({ step }, { steps }) => steps.has(step),
  rewrite: (mutation, _, store) => (operation) => {
    const whole = stepNamed(operation, mutation.step)
    if (whole === undefined) return undefined
    const { name, args, guard, body, wait } = whole
    const read = (): Foreseen => foresee(store, body)
    const first =
      guard === undefined ? step(`${name}: reads`, args, read) : guardedStep(`${name}: reads`, args, guard, read, wait)
    return Effect.flatMap(first, ([result, writes]) =>
      unguarded(whole, (): Plain => {
        apply(store, writes)
        return result
      }),
    )
  },
  parted: ({ step }) => ({ first: `${step}: reads`, second: step, isSwapped: false }),
  equivalent: ({ step }, facts) => {
    const of = facts.steps.get(step)
    if (of === undefined) return undefined
    if (changesOf(of).size === 0) return "it only reads"
    if (facts.readsItsOwn(of)) return "nobody else changes what it reads"
    return undefined
  },
}
