/** Programs of other checkers' test suites and papers, with the numbers that a checker must report of them. */
import { concuerrorPrograms } from "./concuerror.ts"
import { dporPrograms } from "./dpor.ts"
import { genmcPrograms } from "./genmc.ts"
import { litmusPrograms } from "./litmus.ts"
import { nidhuggPrograms } from "./nidhugg.ts"
import { philosophersPrograms } from "./philosophers.ts"
import type { Family } from "./published.ts"
import { tracedPrograms } from "./traces.ts"

export { raceParametric } from "./nidhugg.ts"
export { type Deadlocked, type Family, type Published, publishedProgram } from "./published.ts"

/** Every family of programs. */
export const families: ReadonlyArray<Family> = [
  dporPrograms,
  genmcPrograms,
  litmusPrograms,
  concuerrorPrograms,
  nidhuggPrograms,
  philosophersPrograms,
  tracedPrograms,
]
