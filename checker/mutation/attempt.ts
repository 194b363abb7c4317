/** Judges mutants at a price: each is explored where its step is taken until a property breaks. */
import * as Effect from "effect/Effect"
import { explore, type Result } from "../explore/explore.ts"
import { states } from "../explore/states.ts"
import type { SearchOptions } from "../explore/strategy.ts"
import { builtIn, type Violation } from "../property/violation.ts"
import type { MutantReport } from "../report/mutation.ts"
import { boundTexts } from "../report/text.ts"
import type { Program } from "../scenario/program.ts"
import { Comparison } from "./comparison.ts"
import { type LearnOptions, type Mutant, programOf, type Rung } from "./learn.ts"

/** Explorations of the largest size that one mutant may cost. */
export const explorationsEach = 5

/** Of an exploration, what decides about a mutant. */
type Explored = Pick<Result, "outcome" | "violation" | "reason" | "statistics">

/** Explores a mutant at one of its rungs. */
export type ExploreMutant<E, R> = (mutant: Mutant, rung: Rung, options: SearchOptions) => Effect.Effect<Explored, E, R>

/** In this thread. */
export const exploreHere = (mutant: Mutant, rung: Rung, options: SearchOptions) =>
  explore(programOf(mutant, rung), states, options)

/** Whether no property has killed a mutant that could be killed. */
export const isOpen = ({ verdict }: Pick<MutantReport, "verdict">): boolean =>
  verdict === "survived" || verdict === "inconclusive"

/** An attempt at mutants, each exploration of which may visit so many states. */
export class Attempt<E, R> {
  private readonly options: SearchOptions
  private readonly maxStates: number
  private readonly exploreMutant: ExploreMutant<E, R>
  private readonly tell: (trouble: string) => void
  private readonly comparison: Comparison
  /** What correct programs break, of those that were asked once more. */
  private readonly asTheyAre = new Map<Program, Violation | undefined>()

  /**
   * @param exploreMutant may go elsewhere
   * @param tell told of correct programs that do not hold
   */
  constructor(budget: LearnOptions, exploreMutant: ExploreMutant<E, R>, tell: (trouble: string) => void) {
    this.options = { ...budget, seed: 1 }
    this.maxStates = budget.maxStates * explorationsEach
    this.exploreMutant = exploreMutant
    this.tell = tell
    this.comparison = new Comparison(budget)
  }

  /** What becomes of a mutant, and whether more states could tell more of it: some that it has were not visited. */
  readonly judge = Effect.fnUntraced(function* (this: Attempt<E, R>, mutant: Mutant) {
    const { report: seen, hasMore } = yield* this.explored(mutant)
    const sameness = isOpen(seen) ? yield* this.comparison.proofFor(mutant, seen.verdict === "survived") : undefined
    const report: MutantReport = sameness === undefined ? seen : { ...seen, verdict: "equivalent", reason: sameness }
    return { report, hasMore }
  })

  /** Explores it until a property breaks or its explorations have visited so many states. */
  private readonly explored = Effect.fnUntraced(function* (this: Attempt<E, R>, mutant: Mutant) {
    const { maxStates, options } = this
    const {
      id,
      mutation: { operator },
      equivalent,
      rungs,
    } = mutant
    const isAnyComplete = rungs.some(({ facts }) => facts.isComplete)
    let visited = 0
    let hasMore = false
    let cut: string | undefined
    let invalid: string | undefined
    for (const [position, rung] of rungs.entries()) {
      // A large program may kill; what the others say stands without it.
      const isDecisive = rung.facts.isComplete || !isAnyComplete
      if (visited >= maxStates) {
        hasMore = true
        if (isDecisive)
          cut ??= `the budget of ${maxStates} states ran out after ${position} of ${rungs.length} explorations`
        break
      }
      const { outcome, violation, reason, statistics } = yield* this.exploreMutant(mutant, rung, options)
      visited += statistics.states
      if (outcome === "inconclusive") hasMore = true
      if (violation === undefined) {
        if (outcome !== "holds" && isDecisive) cut ??= `${rung.scenario.id}: ${reason}`
      } else if (violation.property === builtIn.rules) invalid ??= violation.message
      else if (yield* this.breaksItself(rung, violation.property)) cut ??= `${rung.scenario.id} does not hold as it is`
      else {
        const { scenario, bound } = rung.program
        const { property, message } = violation
        const where = { property, message, scenario, bound }
        return { report: { id, operator, verdict: "killed", ...where, states: visited } as const, hasMore }
      }
    }
    return { report: { id, operator, states: visited, ...verdictOf(equivalent, invalid, cut) }, hasMore }
  })

  /**
   * Whether the correct program does not hold either, where learning has not seen whether it keeps the property: it asks no
   * promises, and large programs in part.
   */
  private readonly breaksItself = Effect.fnUntraced(function* (
    this: Attempt<E, R>,
    { scenario, program, facts }: Rung,
    property: string,
  ) {
    const isPromise = scenario.properties.some(({ id, kind }) => id === property && kind === "leadsTo")
    if (facts.isComplete && !isPromise) return false
    if (!this.asTheyAre.has(program)) {
      this.asTheyAre.set(program, (yield* explore(program, states, this.options)).violation)
    }
    const known = this.asTheyAre.get(program)
    if (known === undefined) return false
    const bound = boundTexts(program.bound).map((text) => `, at ${text},`)
    this.tell(`${scenario.id}${bound.join("")} breaks ${known.property} as it is: ${known.message}`)
    return true
  })
}

const verdictOf = (
  equivalent: string | undefined,
  invalid: string | undefined,
  cut: string | undefined,
): Pick<MutantReport, "verdict" | "reason"> => {
  if (equivalent !== undefined) return { verdict: "equivalent", reason: equivalent }
  if (invalid !== undefined) return { verdict: "invalid", reason: invalid }
  return cut === undefined ? { verdict: "survived" } : { verdict: "inconclusive", reason: cut }
}
