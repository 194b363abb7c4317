/** A driver in one piece, checked against all that can happen to the memory that its device maps. */
import type * as Effect from "effect/Effect"
import { type Property, type Scenario, scenario } from "../../checker/index.ts"
import type { Mm } from "../../model/mm/mm.ts"
import { names } from "../define.ts"
import { allCalls, type Call, invalidator, processOf } from "./calls.ts"
import { type MappedWorld, type Mapping, mappingProperties } from "./mappings.ts"
import { type Change, intervalSteps, recordWindows } from "./windows.ts"

/** A driver with its device, for one process. */
export interface Driver {
  /** All that the device maps at the moment. Within properties. */
  readonly mappings: () => ReadonlyArray<Mapping>
  /** What the device does, and the driver for it: a fiber each, by name. */
  readonly fibers: { readonly [name: string]: Effect.Effect<unknown, unknown> }
}

/** What a driver's properties see. */
export interface DriverWorld extends MappedWorld {
  readonly driver: Driver
}

export interface DriverScenario {
  readonly id: string
  readonly summary: string
  /** Where the driver is known from: files and functions. */
  readonly source: string
  /** Makes the driver, within the setup of a program: its notifiers are registered then. */
  readonly driver: (mm: Mm) => Driver
  /** Which calls its process makes; all by default. */
  readonly calls?: ReadonlyArray<Call>
  /**
   * The driver's steps in which its callbacks have done their work, so that the window of an invalidation can be recorded;
   * without it, those of an interval subscription.
   */
  readonly windows?: { readonly [stepName: string]: Change }
  /** What must be true besides the invariants that all drivers have. */
  readonly properties?: ReadonlyArray<Property<DriverWorld>>
}

/**
 * Makes the scenario of a driver: its device against threads of the process, each of which makes one of the calls.
 *
 * @returns with the bounds `pages` and `threads`, to be explored like any other
 */
export const driverScenario = (options: DriverScenario): Scenario<DriverWorld> =>
  scenario({
    id: options.id,
    summary: options.summary,
    parameters: {
      pages: { description: "pages of the process", default: 1, min: 1, max: 3 },
      threads: {
        description: `threads of the process, each of which calls one of ${(options.calls ?? allCalls).join(", ")}`,
        default: 1,
        min: 1,
        max: 3,
      },
    },
    setup: ({ pages, threads }) => {
      const cpus = names("cpu", threads)
      const process = processOf({ pages, cpus })
      const driver = options.driver(process.mm)
      const fibers = {
        ...Object.fromEntries(
          cpus.map((cpu, position) => [cpu, invalidator(process, position, options.calls)] as const),
        ),
        ...driver.fibers,
      }
      const { windows, monitor } = recordWindows(Object.keys(fibers), options.windows ?? intervalSteps)
      return { world: { mm: process.mm, windows, driver }, fibers, monitors: [monitor] }
    },
    properties: [
      ...mappingProperties<DriverWorld>(({ driver }) => driver.mappings(), options.source),
      ...(options.properties ?? []),
    ],
  })
