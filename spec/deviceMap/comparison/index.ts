/** The comparison of layout leases and device mappings, run: a row for each point of the mail. */
import * as Effect from "effect/Effect"
import type { Bound } from "../../../checker/index.ts"
import type { Costs } from "./cost.ts"
import { type Point, points, type Side } from "./points.ts"
import { type Answer, answer, costsIn, type Question } from "./question.ts"

/** One exploration of one design: what was asked of which scenario, what came out, and what its runs cost. */
export interface Asked {
  readonly scenario: string
  readonly bound: Bound
  /** The seeded bug that is documented behaviour and was switched on. */
  readonly bug: string | undefined
  readonly asks: Question["asks"]
  readonly answer: Answer
  readonly costs: Costs
}

/** What a design does about a point. */
export interface Shown {
  /** What was asked, of which the first decides. */
  readonly asked: ReadonlyArray<Asked>
  readonly outcome: Answer
  readonly finding: string
}

/** A row of the table. */
export interface Row {
  readonly id: string
  readonly kind: Point["kind"]
  /** The mail's words. */
  readonly says: string
  readonly deviceMap: Shown
  readonly lease: Shown
}

/** What scenarios that were run already have answered, and cost; the costs do not depend on what is asked. */
interface Known {
  readonly answers: Map<Question, Effect.Success<ReturnType<typeof answer>>>
  readonly costs: Map<string, Costs>
}

/**
 * Explores all scenarios of the table. It takes some seconds.
 *
 * @param of the points to run, if not all
 * Fails with `Unanswered` where an exploration does not come to its end.
 */
export const comparison = Effect.fnUntraced(function* (of: ReadonlyArray<Point> = points) {
  const known: Known = { answers: new Map(), costs: new Map() }
  const rows: Array<Row> = []
  for (const { id, kind, says, deviceMap, lease } of of) {
    rows.push({ id, kind, says, deviceMap: yield* shown(deviceMap, known), lease: yield* shown(lease, known) })
  }
  return rows
})

const shown = Effect.fnUntraced(function* ({ questions: [first, ...others], finding }: Side, known: Known) {
  const decides = yield* ask(first, known)
  const asked = [decides, ...(yield* Effect.forEach(others, (question) => ask(question, known)))]
  return { asked, outcome: decides.answer, finding } satisfies Shown
})

const ask = Effect.fnUntraced(function* (question: Question, known: Known) {
  const { scenario, bound, bug, asks } = question
  const given = known.answers.get(question) ?? (yield* answer(question))
  known.answers.set(question, given)
  const key = JSON.stringify([scenario, bound, bug])
  const costs = known.costs.get(key) ?? (yield* costsIn(question, given.steps))
  known.costs.set(key, costs)
  return { scenario, bound, bug, asks, answer: given.answer, costs } satisfies Asked
})
