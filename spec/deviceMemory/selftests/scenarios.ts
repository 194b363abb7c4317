import { type Scenario, scenario } from "../../../checker/index.ts"
import { huge } from "./huge.ts"
import { migration } from "./migration.ts"
import { selftestProperties } from "./properties.ts"
import { readAndWrite } from "./readAndWrite.ts"
import type { Selftest } from "./selftest.ts"
import { special } from "./special.ts"
import { type SelftestWorld, sequential } from "./world.ts"

/** Every case, in the order of the kernel's file. */
export const selftests: ReadonlyArray<Selftest> = [...readAndWrite, ...migration, ...special, ...huge].sort(
  (a, b) => a.number - b.number,
)

export const selftestId = (id: string): string => `device/selftests/${id}`

const of = ({ id, fixture, does, expects, script }: Selftest): Scenario<SelftestWorld> =>
  scenario({
    id: selftestId(id),
    summary: `${does}. Expected: ${expects}`,
    setup: () => sequential(fixture, script),
    properties: selftestProperties,
  })

export const selftestScenarios: ReadonlyArray<Scenario<SelftestWorld>> = selftests.map(of)
