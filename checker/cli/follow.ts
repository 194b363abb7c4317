/** One run of a program, for what is seen on the way: no property is judged. */
import { Execution } from "../engine/execution.ts"
import type { Program } from "../scenario/program.ts"

/** A run is followed no further than this. */
const longestRun = 2_000

/**
 * Follows a run.
 *
 * @param choose which of so many moves is made at a step
 */
export const follow = (program: Program, choose: (moves: number, step: number) => number): Execution => {
  const execution = new Execution(program)
  for (let step = 0; step < longestRun; step++) {
    const moves = execution.moves()
    const move = moves[choose(moves.length, step)]
    if (move === undefined) break
    execution.follow(move)
  }
  return execution
}
