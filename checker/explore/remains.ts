/** Looks for what one execution of an Effect program leaves for the next: state that is made outside of it. */
import type { Program } from "../scenario/program.ts"
import { Rerun } from "./schedule.ts"

/** The longest schedule that is looked at, in steps. */
const longest = 1_000

/**
 * What the first of a program's schedules looks like now: its turns and its end. It is always the same schedule, so it
 * looks the same before and after others, unless something of them remains.
 */
export const lookOfFirst = (program: Program): string => {
  const rerun = new Rerun(program)
  const { execution, steps } = rerun
  for (let move = execution.moves()[0]; move !== undefined && steps.length < longest; move = execution.moves()[0]) {
    rerun.take(move)
  }
  const turns = steps.map(({ fiber, label, result }) => `${fiber}: ${label} -> ${String(result)}`)
  const broken = rerun.violations().map(({ property, message }) => `${property}: ${message}`)
  return [...turns, ...broken, execution.instance.store.contents()].join("\n")
}

/** What is said of a program that looks otherwise after a search than before. */
export const remains =
  "a schedule that was run before the search goes or ends otherwise when it is run again behind it: something outlives an execution; make all state inside the program, which is made anew for each"
