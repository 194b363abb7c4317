import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of the self tests' own step survive: all others are steps of the protocols that the tests put to work. */
export const selftestSurvivors: Survivors = {
  "leave-out ASSERT_EQ":
    "it is what asks, and without it nothing is asked: SELFTEST-OUTCOME is then never exercised, which a check reports",
}
