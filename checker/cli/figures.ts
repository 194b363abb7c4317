/** The figures of a search in words. */
import type { Statistics } from "../explore/strategy.ts"
import { count, figure } from "../report/text.ts"

/** `1,234 states, 5,678 transitions, depth 45`; executions where the strategy enumerates those. */
export const figuresText = ({ states, executions, transitions, maxDepth }: Statistics): string =>
  [
    ...(states > 0 ? [count(states, "state")] : []),
    ...(executions > 0 ? [count(executions, "execution")] : []),
    count(transitions, "transition"),
    `depth ${figure(maxDepth)}`,
  ].join(", ")
