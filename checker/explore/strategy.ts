/**
 * What a strategy is: a way to go through the executions of a program, in slices, so that whoever drives it can show
 * progress, keep to a budget and be interrupted.
 */
import { type Engine, engineOf } from "../engine/engine.ts"
import { LimitReached, Unsound } from "../engine/fault.ts"
import { Memoised } from "../engine/memoised.ts"
import type { Observer } from "../engine/operations.ts"
import { Paranoid } from "../engine/paranoid.ts"
import { fiberOf, type Move, type System } from "../engine/system.ts"
import type { Compared } from "../engine/witnesses.ts"
import { labelOf } from "../program/operation.ts"
import type { Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"

/** The figures of a search; they grow while it runs. */
export interface Statistics {
  /** Distinct states visited; 0 where the strategy does not match states. */
  states: number
  /** Executions that came to an end: all fibers done, deadlocked, or stopped by a violation. 0 where not enumerated. */
  executions: number
  /** Executions that a reduction cut off before their end: wasted work. */
  blocked: number
  /** Steps executed, those of prefixes that were run again included. */
  transitions: number
  /** The most steps in one execution so far. */
  maxDepth: number
}

/** How a search ended. */
export type Ending =
  /** By itself: nothing is left to explore within the bound. */
  | { readonly kind: "exhausted" }
  /** A property broke after these moves from the start; or breaks if those from the position `cycle` on repeat for ever. */
  | {
      readonly kind: "violated"
      readonly violation: Violation
      readonly moves: ReadonlyArray<Move>
      readonly cycle?: number
    }
  /** The program broke a rule that the search rests on, and not in a way that one schedule could show. */
  | { readonly kind: "unsound"; readonly message: string }
  /** At a limit, with more to explore; `reason` says which and what can be done. */
  | { readonly kind: "cut"; readonly reason: string }

/** A search that is under way. */
export interface Search {
  readonly statistics: Statistics
  /** How often each property was evaluated with its premise true, so far. */
  readonly exercised: ReadonlyArray<{ readonly id: string; readonly times: number }>
  /** How often steps were taken, by name, so far; 0 for those that fibers have reached and never took. */
  readonly steps: ReadonlyMap<string, number>
  /** The states seen, where the strategy matches them: asked afterwards whether plain re-execution reaches another. */
  readonly visited?: { has(low: number, high: number): boolean } | undefined
  /** What was checked on the way, where `SearchOptions.paranoid` asks for it. */
  readonly compared?: Compared | undefined
  /** Moves that are known and not made yet, where the strategy matches states. */
  readonly open?: number
  /**
   * Every schedule within this has been run, and not every schedule without it: what a search that ended by itself, or
   * was cut, says of its bound. Absent where nothing is left out, and where nothing is known to be complete.
   */
  readonly within?: Within | undefined
  /** What there is to say beyond the figures if it is stopped now: as a sentence goes on behind a semicolon. */
  readonly soFar?: string | undefined
  /** The strategy that decided, where several take part: it says in what everything holds. */
  readonly decidedBy?: string | undefined
  /** Whether schedules are left out as equivalent to others: a sample of all is then compared with what was found. */
  readonly isReduced?: boolean
  /** Whether every run has come to its end, once the search has: then nothing is promised in runs without one. */
  readonly everyRunEnds?: boolean
  /**
   * The share of the search that is done, from 0 to 1: what is known of it or, where that is nothing, an estimate. Absent
   * where there is no honest one.
   */
  readonly share?: number
  /** Goes on for about this many steps. Returns how the search ended, once it has. */
  advance(steps: number): Ending | undefined
}

/** How far the schedules that were run depart from one that switches only where it must. */
export type Within = { readonly preemptions: number } | { readonly delays: number }

/** The bounds of a search, and what it looks for. */
export interface SearchOptions {
  /** The longest execution, in steps; a longer one is cut and the search ends inconclusive. */
  readonly maxSteps: number
  /** For strategies with randomness. */
  readonly seed: number
  /** Stop after this many states, where the strategy matches them depth-first: a budget that is the same everywhere. */
  readonly maxStates?: number
  /** Stop after this many executions, where the strategy enumerates them. */
  readonly executions?: number
  /** Explore only schedules with at most this many preemptive switches, where the strategy can. */
  readonly preemptions?: number
  /** Explore only schedules with at most this many delays, where the strategy can. */
  readonly delays?: number
  /** The wall-clock time that the search may take, where its driver keeps to one: a strategy may divide it. */
  readonly milliseconds?: number
  /** How many steps must come in the right order for the bug that is looked for, where the strategy asks. */
  readonly depth?: number
  /** All states of n steps before those of n + 1, where the strategy matches states: a shortest violation is found first. */
  readonly breadthFirst?: boolean
  /** Look for this property alone and pass over the others; without it, the first to break ends the search. */
  readonly target?: string
  /** Told of everything that is found, instead of the search ending there: for comparing strategies. */
  readonly survey?: Survey
  /** Told of what the engine learns, where the strategy matches states. */
  readonly observer?: Observer
  /** Whether states that differ by a permutation of interchangeable names count once; by default they do. */
  readonly symmetry?: boolean
  /** How many real fibers the memoised engine keeps parked at most. */
  readonly parkedLimit?: number
  /** Keep apart the histories with which a fiber ended: for comparing numbers of states. */
  readonly keepEnds?: boolean
  /** Check the rules that the memoised engine rests on as the search goes, at a price: see `engine/paranoid.ts`. */
  readonly paranoid?: boolean
}

/** What a search that does not stop at violations reports. */
export interface Survey {
  violation(violation: Violation): void
  /** A state in which nothing can go on, by the contents of its cells. */
  final(cells: string, deadlocked: boolean): void
}

/** What some strategies can be told, and others cannot: fields of `SearchOptions`, and the resources of a campaign. */
export const strategyOptions = [
  "executions",
  "preemptions",
  "delays",
  "depth",
  "breadthFirst",
  "paranoid",
  "workers",
  "memory",
  "checkpoint",
  "resume",
] as const
export type StrategyOption = (typeof strategyOptions)[number]

/** A way to search, by name. */
export interface Strategy {
  readonly name: string
  /** What it does and what a pass means, for the help text. */
  readonly summary: string
  /** Whether `exhausted` means that every behaviour within the bound was seen. */
  readonly exhaustive: boolean
  /** In what everything holds when a search ends by itself. */
  readonly covers:
    | "every state within the bound"
    | "every schedule"
    | "every schedule, up to the order of independent steps"
  /** Whether it needs a program that is written in steps; one that does not explores any Effect program. */
  readonly needsSteps: boolean
  /** What it can be told; the rest is refused where a user asks for it. */
  readonly takes: ReadonlySet<StrategyOption>
  /** Begins a search. Throws what the scenario's setup throws. */
  readonly search: (program: Program, options: SearchOptions) => Search
  /**
   * Begins the search of infinite runs for broken promises, to follow a search that has ended by itself; nothing where
   * nothing is promised. A strategy without it judges promises where nothing can go on, and no more.
   */
  readonly liveness?: (program: Program, options: SearchOptions) => Search | undefined
}

export const emptyStatistics = (): Statistics => ({ states: 0, executions: 0, blocked: 0, transitions: 0, maxDepth: 0 })

/** The engine of a search that matches states. Throws what the scenario's setup throws. */
export const matchingEngine = (program: Program, options: SearchOptions): Memoised =>
  new (options.paranoid ? Paranoid : Memoised)(program, {
    keepEnds: options.keepEnds ?? false,
    symmetry: options.symmetry ?? true,
    ...(options.parkedLimit === undefined ? {} : { parkedLimit: options.parkedLimit }),
    ...(options.observer === undefined ? {} : { observer: options.observer }),
  })

/** The engine of a search that follows schedules and matches no states. Throws what the scenario's setup throws. */
export const goingEngine = (program: Program, options: SearchOptions): Engine =>
  program.inSteps ? matchingEngine(program, { ...options, symmetry: false }) : engineOf(program)

/** The violation that ends the search, if one of these does; in a survey, all are reported and none does. */
export const decisive = (violations: ReadonlyArray<Violation>, options: SearchOptions): Violation | undefined => {
  if (violations.length === 0) return undefined
  const { survey, target } = options
  if (survey !== undefined) {
    for (const violation of violations) survey.violation(violation)
    return undefined
  }
  return target === undefined ? violations[0] : violations.find(({ property }) => property === target)
}

/** The ending that an error of the engine stands for; other errors are defects of ours and are thrown on. */
export const endingOf = (error: unknown): Ending => {
  if (error instanceof LimitReached) return { kind: "cut", reason: error.message }
  if (error instanceof Unsound) return { kind: "unsound", message: error.message }
  throw error
}

/** What to say when an execution grew longer than `maxSteps`. */
export const tooLong = (maxSteps: number, system: System, move: Move): Ending => {
  const operation = system.operation(fiberOf(move))
  const name = system.fibers[fiberOf(move)]?.name
  const remedy =
    system.instance.plain === undefined
      ? "a loop that need not end wants a checkpoint at its head (strategy states then closes it), and a procedure that calls itself wants to be such a loop; or raise the limit with --steps"
      : "let the program end, or raise the limit with --steps"
  return {
    kind: "cut",
    reason: `an execution went on beyond ${maxSteps} steps, at ${operation && labelOf(operation)} of fiber ${name}: ${remedy}`,
  }
}
