/** Races of a few chosen operations on a machine that is laid out for them: `mm/races/...`. */
import { type Scenario, scenario } from "../../../checker/index.ts"
import type { PageKind } from "../pages.ts"
import type { Spec } from "../properties/places.ts"
import { mmProperties } from "../properties.ts"
import { type Machine, type MmWorld, type Operation, race } from "../world.ts"

/** What is raced. */
export interface Race extends Omit<Machine, "devices"> {
  readonly name: string
  readonly summary: string
  readonly pages: ReadonlyArray<PageKind>
  readonly operations: ReadonlyArray<Operation>
  /** How many devices mirror the process if nothing else is said. */
  readonly devices?: number
  /** What is to hold besides the properties of the core. */
  readonly properties?: ReadonlyArray<Spec>
}

/** A scenario of its own for a race. */
export const raceOf = (of: Race): Scenario<MmWorld> =>
  scenario({
    id: `mm/races/${of.name}`,
    summary: of.summary,
    parameters: {
      devices: {
        description: `devices that mirror the process and ${of.watching === true ? "only watch" : "access the page once"}`,
        default: of.devices ?? 0,
        min: 0,
        max: 2,
      },
    },
    setup: ({ devices }) => race(of.pages, of.operations, { ...of, devices }),
    properties: [...mmProperties, ...(of.properties ?? [])],
  })
