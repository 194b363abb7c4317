/** How an exploration gets on, in one line: for the status line of a terminal, and now and then for a log. */
import type { Search, Statistics } from "../explore/strategy.ts"
import { count, figure, seconds } from "../report/text.ts"
import { figuresText } from "./figures.ts"

/** How far an exploration is, as far as that is known. */
export interface Standing extends Pick<Search, "open" | "share"> {
  /** Threads that explore. */
  readonly workers?: number
}

/** Seconds over which the present speed is taken. */
const recent = 5

/** Follows one exploration. */
export class Progress {
  private readonly what: string
  private readonly limit: number | undefined
  private statistics: Statistics
  private standing: Standing = {}
  private elapsed = 0
  /** How much was done at which second: the recent past, oldest first. */
  private readonly past: Array<{ readonly at: number; readonly done: number }> = [{ at: 0, done: 0 }]

  /**
   * @param what how the line calls it
   * @param limit the seconds that it may take
   */
  constructor(what: string, statistics: Statistics, limit: number | undefined) {
    this.what = what
    this.statistics = statistics
    this.limit = limit
  }

  /** Takes in how far it is after so many seconds. */
  note(statistics: Statistics, elapsed: number, standing: Standing): void {
    this.statistics = statistics
    this.standing = standing
    this.elapsed = elapsed
    // A second pass begins to count anew.
    if (doneOf(statistics) < (this.past.at(-1)?.done ?? 0)) this.past.length = 0
    this.past.push({ at: elapsed, done: doneOf(statistics) })
    while (this.past.length > 2 && (this.past[1]?.at ?? 0) <= elapsed - recent) this.past.shift()
  }

  /** What is explored, how far it is, and how fast it goes. */
  get line(): string {
    const { open, share, workers } = this.standing
    const texts = [
      figuresText(this.statistics),
      ...(open === undefined ? [] : [count(open, "open branch", "es")]),
      ...(workers === undefined ? [] : [count(workers, "worker")]),
      ...this.speed,
      seconds(this.elapsed),
      ...(share === undefined ? [] : [`${percentage(share)} done`]),
      ...(this.limit === undefined ? [] : [`${percentage(this.elapsed / this.limit)} of the time`]),
    ]
    return `${this.what}: ${texts.join(", ")}`
  }

  /** What is explored, and how far it is. */
  get shortLine(): string {
    return `${this.what} ${figure(doneOf(this.statistics))}`
  }

  private get speed(): ReadonlyArray<string> {
    const { at, done } = this.past[0] ?? { at: 0, done: 0 }
    if (this.elapsed <= at) return []
    const unit = this.statistics.states > 0 ? "states" : "executions"
    return [`${figure(Math.round((doneOf(this.statistics) - done) / (this.elapsed - at)))} ${unit}/s`]
  }
}

/** The line of what nobody follows: its speed is that since it began. */
export const progressLine = (what: string, statistics: Statistics, elapsed: number): string => {
  const progress = new Progress(what, statistics, undefined)
  progress.note(statistics, elapsed, {})
  return progress.line
}

/** What speed is measured in: states, or executions where the strategy enumerates those. */
const doneOf = ({ states, executions }: Statistics): number => (states > 0 ? states : executions)

/** `about 12 %`; what is next to nothing is not called nothing. */
const percentage = (share: number): string =>
  share < 0.001 ? "less than 0.1 %" : `about ${share < 0.1 ? (100 * share).toFixed(1) : Math.floor(100 * share)} %`
