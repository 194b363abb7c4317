import * as Effect from "effect/Effect"
import type { Plain } from "../../program/plain.ts"
import type { Rewrite } from "../../scenario/program.ts"
import { changesOf, checkpoint, end, generic, readsOf, type StepFacts } from "../facts.ts"
import { type Operator, stepNamed } from "../mutation.ts"

const meet = (some: ReadonlySet<string>, others: ReadonlySet<string>): boolean =>
  [...some].some((cell) => others.has(cell))

const areIndependent = (a: StepFacts, b: StepFacts): boolean =>
  !meet(changesOf(a), changesOf(b)) && !meet(changesOf(a), readsOf(b)) && !meet(readsOf(a), changesOf(b))

const between = "\n"
const pair = (step: string, next: string): string => `${step}${between}${next}`

/** What is held back at a checkpoint would be forgotten there, and at the end of the fiber it would be lost. */
const isLostBefore = (nexts: ReadonlySet<string>): boolean => nexts.has(end) || nexts.has(checkpoint)

const nothing: Effect.Effect<Plain> = Effect.succeed(undefined)

export const swap: Operator = {
  name: "swap",
  sentence: "Two neighbouring steps of a fiber, the first of which returns nothing, are taken in the other order.",
  mutations: (facts) => {
    const fibers = new Map<string, Set<string>>()
    for (const [fiber, ofFiber] of facts.followers) {
      for (const [step, nexts] of ofFiber) {
        if (facts.steps.get(step)?.returnsNothing !== true || isLostBefore(nexts)) continue
        for (const next of nexts) {
          if (next !== step) fibers.set(pair(step, next), (fibers.get(pair(step, next)) ?? new Set()).add(fiber))
        }
      }
    }
    return [...fibers].map(([both, which]) => {
      const [step = "", next = ""] = both.split(between)
      return { step, next, fibers: [...which].sort() }
    })
  },
  applies: ({ step, next = "", fibers = [] }, { followers }) =>
    fibers.some((fiber) => followers.get(fiber)?.get(step)?.has(next) === true),
  rewrite: ({ step, next = "", fibers = [] }, fiber) => {
    if (!fibers.includes(generic(fiber))) return undefined
    // The first of the two, until it is known what comes behind it.
    let held: Effect.Effect<Plain> | undefined
    const replace: Rewrite["replace"] = (operation, original) => {
      const first = held
      held = undefined
      if (first === undefined && stepNamed(operation, step) !== undefined) {
        held = original
        return nothing
      }
      if (first === undefined) return undefined
      if (stepNamed(operation, next) === undefined) return Effect.andThen(first, original)
      return Effect.flatMap(original, (result) => Effect.as(first, result))
    }
    return { replace, remembers: () => held !== undefined }
  },
  loses: ({ step, fibers = [] }, { followers }) =>
    fibers.some((fiber) => isLostBefore(followers.get(fiber)?.get(step) ?? new Set())),
  parted: ({ step, next = "" }) => ({ first: next, second: step, isSwapped: true }),
  /**
   * Lipton, "Reduction", CACM 1975: what nobody else touches moves over anything that it is independent of. Not so where
   * the fiber may be interrupted between the two, nor where an order of locks may be about one of them.
   */
  equivalent: ({ step, next = "" }, facts) => {
    const [a, b] = [facts.steps.get(step), facts.steps.get(next)]
    if (a === undefined || b === undefined || !areIndependent(a, b)) return undefined
    if (facts.hasInterrupts || a.saysWhatFor || b.saysWhatFor) return undefined
    const local = facts.isLocal(a) ? step : facts.isLocal(b) ? next : undefined
    return local === undefined ? undefined : `they are independent, and nobody else sees what ${local} does`
  },
}
