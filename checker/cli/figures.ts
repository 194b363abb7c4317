/** The figures of a search in words. */
import type { Statistics } from "../explore/strategy.ts"
import { count, figure, printable } from "../report/text.ts"

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
