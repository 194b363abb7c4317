/** Who takes part in programs, and what they share. */
import { withoutRealWorld } from "../engine/realWorld.ts"
import type { Actor } from "../report/handbook/subject.ts"
import type { Program } from "../scenario/program.ts"
import { follow } from "./follow.ts"

/** The names of the cells with which programs begin, each once. */
export const cellsOf = (programs: ReadonlyArray<Program>): ReadonlyArray<string> => [
  ...new Set(programs.flatMap((program) => program.start().store.cells.map(({ name }) => name))),
]

/** Who takes part in a run of each program, those among them that are forked there. */
export const actorsOf = (programs: ReadonlyArray<Program>): ReadonlyArray<Actor> => {
  const scenarios = new Map<string, ReadonlyArray<string>>()
  for (const program of programs) {
    for (const name of fibersIn(program)) scenarios.set(name, [...(scenarios.get(name) ?? []), program.scenario])
  }
  const { compare } = new Intl.Collator("en", { numeric: true })
  return [...scenarios].map(([name, of]) => ({ name, scenarios: of })).sort((a, b) => compare(a.name, b.name))
}

/** The fibers of one run in which everybody gets on: each move is another of those that are possible. */
const fibersIn = (program: Program): ReadonlySet<string> =>
  withoutRealWorld(() => {
    const { fibers } = follow(program, (moves, step) => step % moves)
    return new Set(fibers.map(({ name }) => name))
  })
