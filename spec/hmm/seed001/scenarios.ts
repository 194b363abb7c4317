import { type Scenario, scenario } from "../../../checker/index.ts"
import { mirrorCosts, pinCosts } from "./properties.ts"
import { type Event, type JobWorld, jobWorld, type Style } from "./world.ts"

const does: { readonly [style in Style]: string } = {
  mirror: "a mirroring device stores to a page",
  pin: "a pinning device stores to a page",
}

const happens: { readonly [event in Event]: string } = {
  reclaim: "which is to be reclaimed",
  migrate: "which is to be moved",
  fork: "of a process that forks, and stores there too",
}

/** A cell of the table. */
export const job = (style: Style, event: Event): Scenario<JobWorld> =>
  scenario({
    id: `hmm/seed001/${event}-${style}`,
    summary: `${does[style]}, ${happens[event]}`,
    parameters: {
      stores: { description: "how often the device stores", default: event === "fork" ? 1 : 2, min: 1, max: 3 },
    },
    setup: ({ stores }) => jobWorld(style, event, stores),
    properties: style === "mirror" ? mirrorCosts(event) : pinCosts(event),
  })

const allEvents: ReadonlyArray<Event> = ["reclaim", "migrate", "fork"]

export const jobScenarios = allEvents.flatMap((event) => [job("mirror", event), job("pin", event)])
