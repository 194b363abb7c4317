import { scenario } from "../../../checker/index.ts"
import { huge } from "./huge.ts"
import { hugeProperties } from "./hugeProperties.ts"
import { migration } from "./migration.ts"
import { selftestProperties } from "./properties.ts"
import { readAndWrite } from "./readAndWrite.ts"
import type { Selftest } from "./selftest.ts"
import { special } from "./special.ts"
import { hugePages, thpCases } from "./thp.ts"
import { userfaultfdCases } from "./userfaultfdCases.ts"
import { oneOf, selftestWorld } from "./world.ts"

/** All that are run, in the order of the kernel's file. */
export const selftestCases: ReadonlyArray<Selftest> = [
  ...readAndWrite,
  ...migration,
  ...special,
  ...huge,
  ...userfaultfdCases,
].sort((a, b) => a.number - b.number)

/** How many tests the kernel's file has, as far as is known. */
export const lastNumber = 38

const parameters = {
  number: {
    description: "the number of the test in the kernel's file; 0 is all",
    default: 0,
    min: 0,
    max: lastNumber,
  },
}

const ofNumber = (number: number, tests: ReadonlyArray<Selftest>) =>
  tests.filter((test) => number === 0 || test.number === number)

/** One at a time, by one fiber. */
export const oneAtATime = scenario({
  id: "device/selftests/one-at-a-time",
  summary: `with private memory and with coherent memory: ${selftestCases.map(({ id }) => id).join(", ")}`,
  parameters,
  setup: ({ number }) => oneOf(ofNumber(number, selftestCases)),
  properties: selftestProperties,
})

/** Those of huge pages, likewise. */
export const hugeOneAtATime = scenario({
  id: "device/selftests/huge-pages",
  summary: `where there are huge pages, with private memory: ${thpCases.map(({ id }) => id).join(", ")}`,
  parameters,
  setup: ({ number }) =>
    oneOf(ofNumber(number, thpCases), selftestWorld({ pages: 16, devicePages: 2 * hugePages, hugePages }), ["private"]),
  properties: [...selftestProperties, ...hugeProperties],
})
