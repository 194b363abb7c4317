/** The mutants of a protocol, one after the other; those that stay open are asked once more, with more states. */
import * as Effect from "effect/Effect"
import * as Glob from "effect/Glob"
import { countMutants, killRateOf, type MutantReport, type MutatedProtocol } from "../report/mutation.ts"
import type { Protocol, ScenarioEntry } from "../scenario/protocol.ts"
import { Attempt, type ExploreMutant, isOpen } from "./attempt.ts"
import { learn, type Mutant, statesToLearn } from "./learn.ts"

/** What the mutants of a protocol may cost. */
export interface MutationBudget {
  /** The longest execution, in steps. */
  readonly maxSteps: number
  /** The most states of one exploration, at the first attempt. */
  readonly maxStates: number
  /** Mutants that are explored at once. */
  readonly lanes?: number
  /** Only the mutants whose ids this glob matches. */
  readonly only?: string | undefined
}

/** A mutant that the first attempt leaves open is asked once more, at so many times the states. */
export const secondAttempt = 5

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
    const tell = (message: string) => {
      if (!trouble.includes(message)) trouble.push(message)
    }
    const first = new Attempt({ maxSteps, maxStates }, exploreMutant, tell)
    const second = new Attempt({ maxSteps, maxStates: maxStates * secondAttempt }, exploreMutant, tell)
    const queue = [...mutants.entries()]
    const lane = Effect.gen(function* () {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [position, mutant] = next
        const { report: seen, hasMore } = yield* first.judge(mutant)
        const again = isOpen(seen) && hasMore ? yield* second.judge(mutant) : undefined
        const judged: MutantReport =
          again === undefined ? seen : { ...again.report, states: seen.states + again.report.states }
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
