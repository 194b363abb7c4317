/** The figures of a search in words. */
import type { Statistics } from "../explore/strategy.ts"
import { count, figure, seconds } from "../report/text.ts"

/** `1,234 states, 5,678 transitions, depth 45`; executions where the strategy enumerates those. */
export const figuresText = ({ states, executions, transitions, maxDepth }: Statistics): string =>
  [
    ...(states > 0 ? [count(states, "state")] : []),
    ...(executions > 0 ? [count(executions, "execution")] : []),
    count(transitions, "transition"),
    `depth ${figure(maxDepth)}`,
  ].join(", ")

/** The live line: what is explored, and how far and how fast. */
export const statusText = (what: string, statistics: Statistics, elapsed: number): string => {
  const [rate, unit] = statistics.states > 0 ? [statistics.states, "states"] : [statistics.executions, "executions"]
  const speed = elapsed > 0 ? `, ${figure(Math.round(rate / elapsed))} ${unit}/s` : ""
  return `${what}: ${figuresText(statistics)}${speed}, ${seconds(elapsed)}`
}
