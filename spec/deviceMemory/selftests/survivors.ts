import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of the self tests' own step survive: all others are steps of the protocols that the tests put to work. */
export const selftestSurvivors: Survivors = {
  "leave-out ASSERT_EQ":
    "it is what asks, and without it nothing is asked: SELFTEST-OUTCOME is then never exercised, which a check reports",
  "split ASSERT_EQ":
    "of two threads that compare at once one may be lost in the number of what was as expected, which says only that there was something; what is wrong is kept",
}
