/** The mutants of a protocol, one after the other: each explored where its step is taken until a property breaks. */
import * as Effect from "effect/Effect"
import * as Glob from "effect/Glob"
import { explore, type Result } from "../explore/explore.ts"
import { states } from "../explore/states.ts"
import type { SearchOptions } from "../explore/strategy.ts"
import { builtIn, type Violation } from "../property/violation.ts"
import { countMutants, killRateOf, type MutantReport, type MutatedProtocol } from "../report/mutation.ts"
import { boundTexts } from "../report/text.ts"
import type { Program } from "../scenario/program.ts"
import type { Protocol, ScenarioEntry } from "../scenario/protocol.ts"
import { Comparison } from "./comparison.ts"
import { learn, type Mutant, programOf, type Rung, statesToLearn } from "./learn.ts"

/** What the mutants of a protocol may cost. */
export interface MutationBudget {
  /** The longest execution, in steps. */
  readonly maxSteps: number
  /** The most states of one exploration. */
  readonly maxStates: number
  /** Mutants that are explored at once. */
  readonly lanes?: number
  /** Only the mutants whose ids this glob matches. */
  readonly only?: string | undefined
}

/** Explorations of the largest size that one mutant may cost. */
export const explorationsEach = 5

/** Of an exploration, what decides about a mutant. */
type Explored = Pick<Result, "outcome" | "violation" | "reason" | "statistics">

/** Explores a mutant at one of its rungs. */
export type ExploreMutant<E, R> = (mutant: Mutant, rung: Rung, options: SearchOptions) => Effect.Effect<Explored, E, R>

/** In this thread. */
export const exploreHere = (mutant: Mutant, rung: Rung, options: SearchOptions) =>
  explore(programOf(mutant, rung), states, options)

/** The mutants of one protocol, as far as they are judged. */
export class MutationRun {
  readonly protocol: Protocol
  /** How many mutants there are; 0 while the protocol is learnt. */
  planned = 0
  private readonly trouble: Array<string> = []
  /** What correct programs break, of those that were asked once more. */
  private readonly asTheyAre = new Map<Program, Violation | undefined>()
  /** By position among the mutants; absent until it is judged. */
  private readonly reports: Array<MutantReport | undefined> = []

  constructor(protocol: Protocol) {
    this.protocol = protocol
  }

  /** What is known so far. */
  get report(): Omit<MutatedProtocol, "seconds"> {
    const mutants = this.reports.filter((report) => report !== undefined)
    const counts = countMutants(mutants)
    return { protocol: this.protocol.id, counts, killRate: killRateOf(counts), mutants, trouble: this.trouble }
  }

  /**
   * Learns the protocol and judges its mutants.
   *
   * @param exploreMutant may go elsewhere
   * @param learning told of each scenario before the correct program is explored
   */
  readonly carryOut = Effect.fnUntraced(function* <E, R>(
    this: MutationRun,
    { maxSteps, maxStates, lanes = 1, only }: MutationBudget,
    exploreMutant: ExploreMutant<E, R>,
    learning: (scenario: ScenarioEntry) => Effect.Effect<void> = () => Effect.void,
  ) {
    const { protocol, reports, trouble } = this
    const learnt = yield* learn(protocol, { maxSteps, maxStates: statesToLearn(maxStates) }, learning)
    trouble.push(...learnt.trouble)
    const isWanted = ({ id }: Mutant) => only === undefined || id === only || Glob.match(Glob.make(only), id)
    const mutants = learnt.mutants.filter(isWanted)
    this.planned = mutants.length
    const options = { maxSteps, maxStates, seed: 1 }
    const comparison = new Comparison({ maxSteps, maxStates })
    const breaksItself = (rung: Rung, property: string) => this.breaksItself(rung, property, options)
    const queue = [...mutants.entries()]
    const lane = Effect.gen(function* () {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [position, mutant] = next
        const seen = yield* judge(mutant, maxStates * explorationsEach, {
          exploreAt: (rung) => exploreMutant(mutant, rung, options),
          breaksItself,
        })
        const sameness = isOpen(seen) ? yield* comparison.proofFor(mutant, seen.verdict === "survived") : undefined
        const judged: MutantReport =
          sameness === undefined ? seen : { ...seen, verdict: "equivalent", reason: sameness }
        const explanation = explanationOf(protocol, mutant.id)
        reports[position] = isOpen(judged) && explanation !== undefined ? { ...judged, explanation } : judged
      }
    })
    yield* Effect.all(
      Array.from({ length: lanes }, () => lane),
      { concurrency: "unbounded", discard: true },
    )
    if (only === undefined) trouble.push(...staleExplanations(protocol, this.report.mutants))
    return this.report
  })

  /**
   * Whether the correct program does not hold either, where learning has not seen whether it keeps the property: it asks no
   * promises, and large programs in part.
   */
  private readonly breaksItself = Effect.fnUntraced(function* (
    this: MutationRun,
    { scenario, program, facts }: Rung,
    property: string,
    options: SearchOptions,
  ) {
    const isPromise = scenario.properties.some(({ id, kind }) => id === property && kind === "leadsTo")
    if (facts.isComplete && !isPromise) return false
    if (!this.asTheyAre.has(program)) {
      this.asTheyAre.set(program, (yield* explore(program, states, options)).violation)
    }
    const known = this.asTheyAre.get(program)
    if (known === undefined) return false
    const bound = boundTexts(program.bound).map((text) => `, at ${text},`)
    const message = `${scenario.id}${bound.join("")} breaks ${known.property} as it is: ${known.message}`
    if (!this.trouble.includes(message)) this.trouble.push(message)
    return true
  })
}

interface Judgement<E, R, E2, R2> {
  readonly exploreAt: (rung: Rung) => Effect.Effect<Explored, E, R>
  /** Whether the correct program does not hold there either. */
  readonly breaksItself: (rung: Rung, property: string) => Effect.Effect<boolean, E2, R2>
}

/** Judges a mutant, where it can be seen, until a property breaks or its explorations have visited so many states. */
const judge = Effect.fnUntraced(function* <E, R, E2, R2>(
  { id, mutation: { operator }, equivalent, rungs }: Mutant,
  maxStates: number,
  { exploreAt, breaksItself }: Judgement<E, R, E2, R2>,
) {
  const isAnyComplete = rungs.some(({ facts }) => facts.isComplete)
  let visited = 0
  let cut: string | undefined
  let invalid: string | undefined
  for (const [position, rung] of rungs.entries()) {
    // A large program may kill; what the others say stands without it.
    const isDecisive = rung.facts.isComplete || !isAnyComplete
    if (visited >= maxStates) {
      if (isDecisive)
        cut ??= `the budget of ${maxStates} states ran out after ${position} of ${rungs.length} explorations`
      break
    }
    const { outcome, violation, reason, statistics } = yield* exploreAt(rung)
    visited += statistics.states
    if (violation === undefined) {
      if (outcome !== "holds" && isDecisive) cut ??= `${rung.scenario.id}: ${reason}`
    } else if (violation.property === builtIn.rules) invalid ??= violation.message
    else if (yield* breaksItself(rung, violation.property)) cut ??= `${rung.scenario.id} does not hold as it is`
    else {
      const { scenario, bound } = rung.program
      const { property, message } = violation
      const where = { property, message, scenario, bound }
      return { id, operator, verdict: "killed", ...where, states: visited } satisfies MutantReport
    }
  }
  return { id, operator, states: visited, ...verdictOf(equivalent, invalid, cut) } satisfies MutantReport
})

const verdictOf = (
  equivalent: string | undefined,
  invalid: string | undefined,
  cut: string | undefined,
): Pick<MutantReport, "verdict" | "reason"> => {
  if (equivalent !== undefined) return { verdict: "equivalent", reason: equivalent }
  if (invalid !== undefined) return { verdict: "invalid", reason: invalid }
  return cut === undefined ? { verdict: "survived" } : { verdict: "inconclusive", reason: cut }
}

/** Whether no property has killed a mutant that could be killed. */
export const isOpen = ({ verdict }: MutantReport): boolean => verdict === "survived" || verdict === "inconclusive"

const explanationOf = ({ survivors = {} }: Protocol, id: string): string | undefined =>
  Object.hasOwn(survivors, id) ? survivors[id] : undefined

/** Sentences about explanations of what needs none. */
const staleExplanations = ({ survivors = {} }: Protocol, mutants: ReadonlyArray<MutantReport>): ReadonlyArray<string> =>
  Object.keys(survivors).flatMap((id) => {
    const mutant = mutants.find((each) => each.id === id)
    if (mutant === undefined) return [`the survivor ${id} is explained, and there is no such mutant`]
    return isOpen(mutant) ? [] : [`the survivor ${id} is explained, and it is ${verdictTexts[mutant.verdict]}`]
  })

/** Verdicts as reports for people have them. */
export const verdictTexts: Readonly<Record<MutantReport["verdict"], string>> = {
  killed: "killed",
  equivalent: "equivalent",
  invalid: "no program",
  survived: "survived",
  inconclusive: "inconclusive",
}
