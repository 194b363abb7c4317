import { scenario } from "../../../checker/index.ts"
import { huge } from "./huge.ts"
import { migration } from "./migration.ts"
import { selftestProperties } from "./properties.ts"
import { readAndWrite } from "./readAndWrite.ts"
import type { Selftest } from "./selftest.ts"
import { special } from "./special.ts"
import { oneOf } from "./world.ts"

/** All that are run, in the order of the kernel's file. */
export const selftestCases: ReadonlyArray<Selftest> = [...readAndWrite, ...migration, ...special, ...huge].sort(
  (a, b) => a.number - b.number,
)

/** How many tests the kernel's file has, as far as is known. */
export const lastNumber = 38

/** One at a time, by one fiber. */
export const oneAtATime = scenario({
  id: "device/selftests/one-at-a-time",
  summary: `with private memory and with coherent memory: ${selftestCases.map(({ id }) => id).join(", ")}`,
  parameters: {
    number: {
      description: "the number of the test in the kernel's file; 0 is all",
      default: 0,
      min: 0,
      max: lastNumber,
    },
  },
  setup: ({ number }) => oneOf(selftestCases.filter((test) => number === 0 || test.number === number)),
  properties: selftestProperties,
})
