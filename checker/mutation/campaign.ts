/** The mutants of a protocol, one after the other: each explored where its step is taken until a property breaks. */
import * as Effect from "effect/Effect"
import * as Glob from "effect/Glob"
import { explore, type Result } from "../explore/explore.ts"
import { states } from "../explore/states.ts"
import type { SearchOptions } from "../explore/strategy.ts"
import { builtIn } from "../property/violation.ts"
import { countMutants, killRateOf, type MutantReport, type MutatedProtocol } from "../report/mutation.ts"
import type { Protocol, ScenarioEntry } from "../scenario/protocol.ts"
import type { Facts } from "./facts.ts"
import { type LearnOptions, learn, learnAnew, type Mutant, programOf, type Rung } from "./learn.ts"
import { operatorNamed } from "./operators/index.ts"
import { Behaviour, samenessOf } from "./sameness.ts"

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

/** How much larger than a correct program that is explored in full a mutant may be. */
const growth = 8

/** The most states of one exploration of a correct program, where a mutant may have so many. */
export const statesToLearn = (maxStates: number): number => Math.ceil(maxStates / growth)

/** Explorations of the largest size that one mutant may cost. */
export const explorationsEach = 5

/** How many explorations confirm what is proved of an equivalent mutant: none of them may kill it. */
const confirmations = 2

/** Correct programs whose behaviour is remembered at once. */
const keptBehaviours = 40

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
    const queue = [...mutants.entries()]
    const lane = Effect.gen(function* () {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [position, mutant] = next
        const seen = yield* judge(mutant, maxStates * explorationsEach, (rung) => exploreMutant(mutant, rung, options))
        const sameness = isOpen(seen) ? yield* comparison.proofFor(mutant) : undefined
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
}

/** Compares mutants with the correct programs. */
class Comparison {
  private readonly budget: LearnOptions
  private readonly behaviours = new Map<Rung, Behaviour>()
  /** Of correct programs that were not explored in full: what more states of them have shown. */
  private readonly larger = new Map<Rung, Facts>()

  /** @param budget of one exploration */
  constructor(budget: LearnOptions) {
    this.budget = budget
  }

  /**
   * Why a mutant does the same as the correct program, if that is proved wherever that one was explored in full; or, if that
   * is nowhere, at each bound of the mutant: from the mutant's states alone, where the correct program's, as many as a
   * mutant may have, show that no step is lost.
   */
  readonly proofFor = Effect.fnUntraced(function* (this: Comparison, mutant: Mutant) {
    const complete = mutant.rungs.filter(({ facts }) => facts.isComplete)
    const parted = partedIn(mutant)
    if (complete.length === 0 && parted === undefined) return undefined
    const reasons = new Set<string>()
    for (const rung of complete.length > 0 ? complete : mutant.rungs) {
      if (!rung.facts.isComplete && !(yield* this.keepsSteps(mutant, rung))) return undefined
      const correct = rung.facts.isComplete ? yield* this.behaviourAt(rung) : undefined
      const reason = yield* samenessOf(programOf(mutant, rung), parted, correct, this.budget.maxStates)
      if (reason === undefined) return undefined
      reasons.add(reason)
    }
    return reasons.size === 0 ? undefined : [...reasons].join("; elsewhere ")
  })

  private readonly keepsSteps = Effect.fnUntraced(function* (this: Comparison, { mutation }: Mutant, rung: Rung) {
    const facts = this.larger.get(rung) ?? (yield* learnAnew(rung.program, this.budget))
    this.larger.set(rung, facts)
    return facts.isComplete && operatorNamed(mutation.operator).loses?.(mutation, facts) !== true
  })

  private readonly behaviourAt = Effect.fnUntraced(function* (this: Comparison, rung: Rung) {
    const known = this.behaviours.get(rung)
    if (known !== undefined) return known
    const behaviour = yield* Behaviour.of(rung.program)
    // Mutants of neighbouring steps are seen at the same bounds.
    const [oldest] = this.behaviours.keys()
    if (oldest !== undefined && this.behaviours.size >= keptBehaviours) this.behaviours.delete(oldest)
    this.behaviours.set(rung, behaviour)
    return behaviour
  })
}

const partedIn = ({ mutation }: Mutant) => operatorNamed(mutation.operator).parted?.(mutation)

/** Judges a mutant, where it can be seen, until a property breaks or its explorations have visited so many states. */
const judge = Effect.fnUntraced(function* <E, R>(
  mutant: Mutant,
  maxStates: number,
  exploreAt: (rung: Rung) => Effect.Effect<Explored, E, R>,
) {
  const { id, mutation, equivalent } = mutant
  const { operator } = mutation
  const rungs = equivalent === undefined ? mutant.rungs : mutant.rungs.slice(0, confirmations)
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
    if (violation !== undefined && violation.property !== builtIn.rules) {
      const { scenario, bound } = rung.program
      const { property, message } = violation
      const killed: MutantReport = {
        id,
        operator,
        verdict: "killed",
        property,
        message,
        scenario,
        bound,
        states: visited,
      }
      return killed
    }
    if (violation !== undefined) invalid ??= violation.message
    else if (outcome !== "holds" && isDecisive) cut ??= `${rung.scenario.id}: ${reason}`
  }
  const alive: MutantReport = { id, operator, states: visited, ...verdictOf(equivalent, invalid, cut) }
  return alive
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
