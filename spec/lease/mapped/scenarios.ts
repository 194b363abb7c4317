import { parameter, scenariosOf } from "../../define.ts"
import { callEnds, mappedProperties } from "./properties.ts"
import { mappedWorld } from "./world.ts"

const define = scenariosOf("lease/mapped", mappedWorld, mappedProperties)

export const stores = define(
  "stores",
  "a process stores to a file through a shared mapping, and a client is given its block before or behind that",
  {
    accesses: parameter("how often the process stores or loads", 1, 2),
    writebacks: parameter("how often pages are written back", 1, 2, 0),
  },
  (bound) => ({ ...bound, prot: "rw", unmaps: true }),
)

export const cut = define(
  "cut",
  "a file is truncated, or a hole is punched into it, that a process has mapped and a client is given; its block goes to another",
  { accesses: parameter("how often the process loads", 1, 2) },
  (bound) => ({ ...bound, prot: "r", calls: ["ftruncate", "fallocate(FALLOC_FL_PUNCH_HOLE)"] }),
  [callEnds],
)

/** What layouts are given for is a file, not the addresses at which somebody has mapped it. */
export const unmapped = define(
  "unmap",
  "a process has a device write to the block of a page that it has mapped, and unmaps it before that",
  {},
  () => ({ prot: "r", accesses: 1, own: true }),
)

export const mappedScenarios = [stores, cut, unmapped]
