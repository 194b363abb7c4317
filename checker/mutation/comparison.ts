/** Compares mutants that no property has killed with the correct programs: see `sameness.ts`. */
import * as Effect from "effect/Effect"
import { changesOf, type Facts } from "./facts.ts"
import { type LearnOptions, learnAnew, type Mutant, programOf, type Rung, statesToLearn } from "./learn.ts"
import { operatorNamed } from "./operators/index.ts"
import { Behaviour, samenessOf } from "./sameness.ts"

/** Correct programs whose behaviour is remembered at once. */
const keptBehaviours = 40

export class Comparison {
  private readonly budget: LearnOptions
  /** Of correct programs that were explored in full, which are small. */
  private readonly behaviours = new Map<Rung, Behaviour | undefined>()
  /** Of correct programs that were not explored in full: what more states of them have shown. */
  private readonly larger = new Map<Rung, Facts>()

  /** @param budget of one exploration */
  constructor(budget: LearnOptions) {
    this.budget = budget
  }

  /**
   * Why a mutant does the same as the correct program, if that is proved wherever that one was explored in full, and what can
   * be seen of larger bounds does not refute it; or, if it was explored in full nowhere, if that is proved at each bound of
   * the mutant: from the mutant's states alone, where the correct program's, as many as a mutant may have, show that no step
   * is lost.
   *
   * @param wasAsked whether all properties were asked in all states of the mutant at those bounds: if not, a property may
   *   see what no fiber does
   */
  readonly proofFor = Effect.fnUntraced(function* (this: Comparison, mutant: Mutant, wasAsked: boolean) {
    const complete = mutant.rungs.filter(({ facts }) => facts.isComplete)
    if (complete.length === 0 && partedIn(mutant) === undefined) return undefined
    if (!wasAsked && mutant.rungs.some(({ facts }) => isObserved(mutant, facts))) return undefined
    const reasons = new Set<string>()
    for (const rung of complete.length > 0 ? complete : mutant.rungs) {
      if (!rung.facts.isComplete && !(yield* this.keepsSteps(mutant, rung))) return undefined
      const correct = rung.facts.isComplete ? yield* this.behaviourAt(rung) : undefined
      const same = yield* samenessOf(programOf(mutant, rung), partedIn(mutant), correct, this.budget.maxStates)
      if (same.kind !== "proved") return undefined
      reasons.add(same.reason)
    }
    const isRefuted = complete.length > 0 && (yield* this.isRefutedByMore(mutant))
    return reasons.size === 0 || isRefuted ? undefined : [...reasons].join("; elsewhere ")
  })

  /** Whether a bound at which the correct program was explored in part speaks against sameness; few states of each. */
  private readonly isRefutedByMore = Effect.fnUntraced(function* (this: Comparison, mutant: Mutant) {
    const { maxStates } = this.budget
    const each = statesToLearn(maxStates)
    const parted = partedIn(mutant)
    const large = mutant.rungs.filter(({ facts }) => !facts.isComplete)
    for (const rung of large.slice(0, Math.floor(maxStates / each))) {
      const program = programOf(mutant, rung)
      const moved = parted && (yield* samenessOf(program, parted, undefined, each))
      if (moved !== undefined && moved.kind !== "refuted") continue
      const correct = yield* Behaviour.of(rung.program, maxStates)
      if (correct === undefined && moved === undefined) continue
      if (correct === undefined) return true
      if ((yield* samenessOf(program, undefined, correct, maxStates)).kind === "refuted") return true
    }
    return false
  })

  private readonly keepsSteps = Effect.fnUntraced(function* (this: Comparison, { mutation }: Mutant, rung: Rung) {
    const facts = this.larger.get(rung) ?? (yield* learnAnew(rung.program, this.budget))
    this.larger.set(rung, facts)
    return facts.isComplete && operatorNamed(mutation.operator).loses?.(mutation, facts) !== true
  })

  private readonly behaviourAt = Effect.fnUntraced(function* (this: Comparison, rung: Rung) {
    if (this.behaviours.has(rung)) return this.behaviours.get(rung)
    const behaviour = yield* Behaviour.of(rung.program)
    // Mutants of neighbouring steps are seen at the same bounds.
    const [oldest] = this.behaviours.keys()
    if (oldest !== undefined && this.behaviours.size >= keptBehaviours) this.behaviours.delete(oldest)
    this.behaviours.set(rung, behaviour)
    return behaviour
  })
}

const partedIn = ({ mutation }: Mutant) => operatorNamed(mutation.operator).parted?.(mutation)

/** Whether a property reads a cell that the mutated steps were seen to change. */
const isObserved = ({ mutation: { step, next = step } }: Mutant, { steps, observed }: Facts): boolean =>
  [step, next].some((name) => {
    const of = steps.get(name)
    return of !== undefined && [...changesOf(of)].some((cell) => observed.has(cell))
  })
