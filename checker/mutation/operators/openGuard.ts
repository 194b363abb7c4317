import { changeGuard } from "../../scenario/seededBug.ts"
import { type Operator, rewriting, stepNamed } from "../mutation.ts"

const always = changeGuard()

export const openGuard: Operator = {
  name: "open-guard",
  sentence: "A step does not wait for its guard: a lock is taken while another holds it, a sleeper wakes up by itself.",
  mutations: ({ steps }) => [...steps].flatMap(([step, { isGuarded }]) => (isGuarded ? [{ step }] : [])),
  applies: ({ step }, { steps }) => steps.get(step)?.isGuarded === true,
  rewrite: (mutation) =>
    rewriting((operation, original) =>
      stepNamed(operation, mutation.step)?.guard === undefined ? undefined : always(original, operation),
    ),
  equivalent: ({ step }, { steps }) => (steps.get(step)?.hasWaited === false ? "its guard is never false" : undefined),
}
