/** The figures of a search in words. */
import type { Statistics } from "../explore/strategy.ts"
import { count, figure, printable, seconds } from "../report/text.ts"

/** `1,234 states, 5,678 transitions, depth 45`; executions where the strategy enumerates those. */
export const figuresText = ({ states, executions, transitions, maxDepth }: Statistics): string =>
  [
    ...(states > 0 ? [count(states, "state")] : []),
    ...(executions > 0 ? [count(executions, "execution")] : []),
    count(transitions, "transition"),
    `depth ${figure(maxDepth)}`,
  ].join(", ")

/** How to go on with what a checkpoint holds. */
export const resumeHint = (file: string): string =>
  `go on from the checkpoint with: npm run check -- explore --resume ${printable(file)}`

/** What else a status line says of a search by several threads. */
export interface Extent {
  readonly workers: number
  /** Branches that are known and not explored. */
  readonly open: number
}

/** The live line: what is explored, and how far and how fast. */
export const statusText = (what: string, statistics: Statistics, elapsed: number, extent?: Extent): string => {
  const [rate, unit] = statistics.states > 0 ? [statistics.states, "states"] : [statistics.executions, "executions"]
  const speed = elapsed > 0 ? `, ${figure(Math.round(rate / elapsed))} ${unit}/s` : ""
  const more =
    extent === undefined ? "" : `, ${count(extent.open, "open branch", "es")}, ${count(extent.workers, "worker")}`
  return `${what}: ${figuresText(statistics)}${more}${speed}, ${seconds(elapsed)}`
}
