import * as Effect from "effect/Effect"
import { labelOf } from "../../program/operation.ts"
import { changesOf, type Facts, generic, labelKey, type StepFacts } from "../facts.ts"
import { type Operator, rewriting } from "../mutation.ts"

/** By what a key of `Facts.labels` ends. */
const by = " by "

const genericChanges = (facts: StepFacts): ReadonlySet<string> => new Set([...changesOf(facts)].map(generic))

/** Steps that wait for a lock, say so, return nothing and change something: that somebody holds it. */
const isAcquisition = (facts: StepFacts): boolean =>
  facts.isGuarded && facts.saysWhatFor && facts.returnsNothing && changesOf(facts).size > 0

/** The labels of the steps of the same fibers that change nothing but what the acquisition changes. */
const releasesOf = (facts: Facts, key: string, acquisition: StepFacts): ReadonlyArray<string> => {
  const [, fiber] = partsOf(key)
  const held = genericChanges(acquisition)
  return [...facts.labels].flatMap(([other, step]) => {
    const [label, ofFiber] = partsOf(other)
    const changes = genericChanges(step)
    const releases =
      !step.isGuarded && step.returnsNothing && changes.size > 0 && [...changes].every((cell) => held.has(cell))
    return ofFiber === fiber && releases ? [label] : []
  })
}

const partsOf = (key: string): readonly [label: string, fiber: string] => {
  const at = key.lastIndexOf(by)
  return [key.slice(0, at), key.slice(at + by.length)]
}

export const dropLock: Operator = {
  name: "drop-lock",
  sentence: "The fibers of one kind neither take nor release a lock.",
  mutations: (facts) =>
    [...facts.labels].flatMap(([key, step]) => {
      if (!isAcquisition(step)) return []
      const releases = releasesOf(facts, key, step)
      const [label, fiber] = partsOf(key)
      return releases.length === 0 ? [] : [{ step: label, by: fiber, releases }]
    }),
  applies: ({ step, by: fiber = "" }, { labels }) => labels.has(`${step}${by}${fiber}`),
  rewrite: ({ step, by: ofFiber, releases = [] }, fiber) => {
    const left = new Set([step, ...releases])
    if (generic(fiber) !== ofFiber) return undefined
    return rewriting((operation) =>
      operation.kind === "step" && left.has(generic(labelOf(operation))) ? Effect.succeed(undefined) : undefined,
    )
  },
  equivalent: ({ step, by: fiber = "" }, facts) => {
    const acquisition = facts.labels.get(labelKey(fiber, step))
    if (acquisition === undefined) return undefined
    const held = changesOf(acquisition)
    const isIdle = [...held].every((cell) => {
      const keys = [...(facts.cells.get(cell)?.labels ?? [])]
      return (
        !facts.observed.has(cell) &&
        keys.every((key) => {
          const of = facts.labels.get(key)
          return (
            of !== undefined &&
            !of.hasWaited &&
            of.returnsNothing &&
            [...changesOf(of)].every((other) => held.has(other))
          )
        })
      )
    })
    return isIdle ? "nobody ever waits for the lock" : undefined
  },
}
