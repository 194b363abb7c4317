/**
 * Stretches of a millisecond, in a process that is sent SIGINT again and again, until none has come for a second. Prints,
 * as JSON, how often it was heard within a stretch and between two.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { hearCtrlC } from "../../checker/cli/ctrlC.ts"
import { attempt } from "../../checker/engine/supervised.ts"

const heard = { within: 0, between: 0 }
let latest = 0
const hear = (where: "within" | "between"): void => {
  heard[where]++
  latest = performance.now()
}
const stretch = () => {
  const until = performance.now() + 1
  while (performance.now() < until);
}

await Effect.runPromise(hearCtrlC(() => hear("between")))
process.stderr.write("started\n")
while (latest === 0 || performance.now() < latest + 1000) {
  if (Exit.hasInterrupts(await Effect.runPromiseExit(attempt(stretch)))) hear("within")
}
process.stdout.write(JSON.stringify(heard), () => process.exit(0))
