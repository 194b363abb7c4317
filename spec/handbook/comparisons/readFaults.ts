import * as Effect from "effect/Effect"
import type { Comparison } from "../../../checker/index.ts"
import { accesses, asAllowed, forWriting, readOnly, stories } from "../../deviceMemory/coherent/cost.ts"
import { endings } from "../outcomes.ts"

/** The scenario of each way, with every story and its accesses. */
const ways = [forWriting, readOnly, asAllowed]

/** Every story with its accesses, and what it costs: `forked; load: 1 fault, 1 copy`. */
const costsOf = (way: (typeof ways)[number]) =>
  endings(
    way,
    {},
    ({ coherent: { cost } }) =>
      `${cost.story}; ${cost.accesses}: ${count(cost.faults, "fault")}, ${count(cost.copies, "copy", "copies")}`,
  )

const count = (number: number, one: string, many = `${one}s`) => `${number} ${number === 1 ? one : many}`

const said: { readonly [story in (typeof stories)[number]]: string } = {
  unmapped: "the GPU does not map the page",
  forked: "the process has forked",
  "forked, child gone": "the process has forked, and the child is gone",
}

/** What fork costs a GPU with coherent memory. */
export const readFaults: Comparison = {
  id: "comparison/read-faults",
  title: "Fork of coherent pages: writable on every fault, or read-only on read faults",
  question:
    "A process whose pages lie in a GPU's coherent memory forks. What do the GPU's next accesses cost, in faults of the GPU and in copies for the parent, by what its driver does on a fault on a load: have the page writable at once, map it read-only, or ask for reading and map as the process's entry allows?",
  source:
    'Re: [PATCH v6 01/10] mm: add zone device coherent type memory support, LKML, 14 February 2022: "mapping pages R/O in the device on read faults, at the potential cost of having to handle a second (write) fault later"',
  designs: ["writable on every fault (amdgpu, as of 2022)", "read-only on read faults", "as the entry allows"],
  rows: Effect.gen(function* () {
    const costs = yield* Effect.forEach(ways, costsOf)
    return stories.flatMap((story) =>
      accesses.map((done) => ({
        point: `${said[story]}, and the GPU does: ${done}`,
        cells: costs.map(({ holds, ends }) => {
          const head = `${story}; ${done}: `
          return { outcome: [holds, ...ends.flatMap((one) => (one.startsWith(head) ? [one.slice(head.length)] : []))] }
        }),
      })),
    )
  }),
  conclusion: [
    "Behind fork, mapping read-only on read faults leaves the parent's page in the device for as long as the GPU only loads; the price is a second fault when it stores. Where nobody has forked the second fault buys nothing, unless the driver maps as the entry allows: then it is paid only behind fork.",
  ],
}
