/** Runs the model's functions as ordinary code: one fiber alone, which has one schedule. */
import * as Effect from "effect/Effect"
import { Execution } from "../../checker/engine/execution.ts"
import { protocolOf, scenario, step } from "../../checker/index.ts"
import { labelOf } from "../../checker/program/operation.ts"

/** How many steps before a failure its message names. */
const told = 12

/**
 * Performs an Effect of steps to its end.
 *
 * @param setup makes the cells that it works on, and the Effect
 * @returns what it ends with: plain data
 * @throws where it cannot go on: an assertion is broken, a step throws, or it waits for what nobody else will do
 */
export const runAlone = <A>(setup: () => Effect.Effect<A, unknown>): A => {
  const whole = () => Effect.flatMap(setup(), (value) => step("end", () => value))
  const { scenarios } = protocolOf(
    scenario({
      id: "alone",
      summary: "one fiber",
      setup: () => ({ world: undefined, fibers: { alone: whole() } }),
      properties: [],
    }),
  )
  const [entry] = scenarios
  if (entry === undefined) throw new Error("a protocol of one scenario has none")
  const execution = new Execution(entry.program())
  const steps: Array<string> = []
  const fail = (why: string) => new Error(`${why}\nthe last steps were ${steps.slice(-told).join(", ")}`)
  let [violation] = execution.begin()
  for (;;) {
    if (violation !== undefined) throw fail(violation.message)
    const [move] = execution.moves()
    if (move === undefined) break
    const operation = execution.operation(0)
    if (operation !== undefined) steps.push(labelOf(operation))
    ;[violation] = execution.take(move)
  }
  if (execution.rest !== "ended") throw fail(execution.deadlock())
  // The last step's result is that of the Effect: the type of what was put into it.
  return execution.lastResult as A
}
