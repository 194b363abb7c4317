/** The matrix: every two operations that can meet on a page race on it, whatever is there. */
import { type Scenario, scenario } from "../../checker/index.ts"
import { canMeet, operations } from "./operations.ts"
import { lockProperties } from "./properties/locks.ts"
import { svaProperties } from "./properties/translations.ts"
import { mmProperties } from "./properties.ts"
import { type MmWorld, type Operation, race } from "./world.ts"

/** The kinds of page at which both operations make a difference. */
const common = (a: Operation, b: Operation) => a.pages.filter((kind) => b.pages.includes(kind))

const cellOf = (a: Operation, b: Operation): Scenario<MmWorld> => {
  const sva = [a, b].some(({ actor }) => actor === "sva")
  // Fork meets all others, and takes what there is to take; the end of a child is there where two processes have a page from
  // the beginning. The whole matrix would be dear for an order of locks.
  const twoProcesses = [a, b].some(({ id }) => id === "fork" || id === "child-exit")
  return scenario({
    id: `mm/pairs/${a.id}+${b.id}`,
    summary: `${a.id} and ${b.id} meet on a page`,
    parameters: {
      devices: {
        description: "devices that mirror the process and access the page once",
        default: sva ? 0 : 1,
        min: 0,
        max: 2,
      },
    },
    setup: ({ devices }) => race(common(a, b), [a, b], { devices }),
    properties: [...mmProperties, ...(sva ? svaProperties : []), ...(twoProcesses ? lockProperties : [])],
  })
}

/** One scenario for every pair, each operation with itself too. */
export const pairs: ReadonlyArray<Scenario<MmWorld>> = operations.flatMap((a, position) =>
  operations
    .slice(position)
    .filter((b) => canMeet(a, b) && common(a, b).length > 0)
    .map((b) => cellOf(a, b)),
)
