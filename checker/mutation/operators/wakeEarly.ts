import * as Effect from "effect/Effect"
import { guardedStep, step } from "../../program/operation.ts"
import type { Plain } from "../../program/plain.ts"
import { generic } from "../facts.ts"
import { apply, type Foreseen, foresee, type Operator, stepNamed, unguarded } from "../mutation.ts"
import { awaitedOf, changesMore } from "./wakeUps.ts"

export const wakeEarly: Operator = {
  name: "wake-early",
  sentence: "A step that wakes others does so first, and the rest of it in a second step.",
  mutations: (facts) =>
    [...facts.steps].flatMap(([step, of]) => {
      const cells = awaitedOf(facts, of)
      return cells.length > 0 && changesMore(of, cells) ? [{ step, cells }] : []
    }),
  applies: ({ step }, { steps }) => steps.has(step),
  rewrite: (mutation, _, store) => (operation) => {
    const whole = stepNamed(operation, mutation.step)
    if (whole === undefined) return undefined
    const { name, args, guard, body, wait } = whole
    const isAwaited = ([position]: readonly [number, Plain]): boolean =>
      mutation.cells?.includes(generic(store.cells[position]?.name ?? "")) === true
    const wakeUp = (): Foreseen => {
      const [result, writes] = foresee(store, body)
      apply(store, writes.filter(isAwaited))
      return [result, writes.filter((write) => !isAwaited(write))]
    }
    const first =
      guard === undefined
        ? step(`${name}: wakes`, args, wakeUp)
        : guardedStep(`${name}: wakes`, args, guard, wakeUp, wait)
    return Effect.flatMap(first, ([result, writes]) =>
      unguarded(whole, (): Plain => {
        apply(store, writes)
        return result
      }),
    )
  },
  parted: ({ step }) => ({ first: `${step}: wakes`, second: step, isSwapped: false }),
  equivalent: () => undefined,
}
