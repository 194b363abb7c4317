import { type Scenario, scenario } from "../../../checker/index.ts"
import { huge } from "./huge.ts"
import { migration } from "./migration.ts"
import { selftestProperties } from "./properties.ts"
import { readAndWrite } from "./readAndWrite.ts"
import type { Selftest } from "./selftest.ts"
import { special } from "./special.ts"
import { oneOf, type SelftestWorld } from "./world.ts"

const last = 38

/** The tests of a table: one of them at a time, by one fiber. */
const table = (id: string, summary: string, tests: ReadonlyArray<Selftest>): Scenario<SelftestWorld> =>
  scenario({
    id: `device/selftests/${id}`,
    summary: `${summary}: ${tests.map((test) => test.id).join(", ")}`,
    parameters: {
      number: { description: "the number of the test in the kernel's file; 0 is all", default: 0, min: 0, max: last },
    },
    setup: ({ number }) => oneOf(tests.filter((test) => number === 0 || test.number === number)),
    properties: selftestProperties,
  })

export const readAndWriteTests = table("read-write", "a device reads and writes system memory", readAndWrite)
export const migrationTests = table("migration", "pages are migrated to a device and back", migration)
export const specialTests = table("special", "exclusive access, snapshots, pins, copy-on-write", special)
export const hugeTests = table("huge", "the tests of huge pages, where there are none", huge)
