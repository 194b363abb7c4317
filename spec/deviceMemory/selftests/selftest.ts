import type { Fixture, Verb } from "./world.ts"

/** A case of tools/testing/selftests/mm/hmm-tests.c. */
export interface Selftest {
  /** Its place in that file. */
  readonly number: number
  /** Its name there. */
  readonly id: string
  readonly fixture: Fixture
  readonly does: string
  readonly expects: string
  readonly script: ReadonlyArray<Verb>
}
