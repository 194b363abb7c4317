import { parameter, scenariosOf } from "../define.ts"
import { daxProperties, truncationEnds } from "./properties.ts"
import { daxWorld } from "./world.ts"

const define = scenariosOf("dax", daxWorld, daxProperties)

const sharing = (initial: number) => parameter("processes that store to a shared mapping, and load", initial, 3, 0)
const copying = (initial: number) => parameter("processes that store to a private mapping, and load", initial, 2, 0)
const fastPins = (initial: number) => parameter("devices that pin without locks and write", initial, 3, 0)
const slowPins = (initial: number) => parameter("devices that pin under mmap_lock and write", initial, 2, 0)
const unmaps = (initial: number) => parameter("whether a process unmaps the file", initial, 1, 0)
const others = (initial: number) => parameter("other files that take a block", initial, 2, 0)
const fsCalls = (initial: number) => parameter("truncations and hole punches", initial, 2, 0)

export const pins = define(
  "pins",
  "blocks are taken away from a file while a device pins them, and another file takes one",
  { fastPins: fastPins(1), slowPins: slowPins(0), unmaps: unmaps(0), others: others(1) },
  (bound) => ({ ...bound, sharing: 0, fsCalls: 1, begins: "mapped" }),
  [truncationEnds],
)

export const faults = define(
  "faults",
  "blocks are taken away from a file while processes fault on them, and another file takes one",
  { sharing: sharing(1), fastPins: fastPins(0), others: others(1), fsCalls: fsCalls(1) },
  (bound) => bound,
)

export const unmapped = define(
  "unmapped",
  "a process unmaps the file while blocks are taken away: its reference goes with the flush of the TLBs",
  { sharing: sharing(1), fastPins: fastPins(0), others: others(0) },
  (bound) => ({ ...bound, unmaps: 1, fsCalls: 1, begins: "mapped" }),
  [truncationEnds],
)

export const copies = define(
  "copies",
  "a process has private copies of a file's pages while blocks are taken away",
  { copying: copying(1), sharing: sharing(0), others: others(1) },
  (bound) => ({ ...bound, fsCalls: 1 }),
  [truncationEnds],
)

export const hole = define(
  "hole",
  "processes store to a hole and load from it at the same time",
  {
    sharing: sharing(2),
    readers: parameter("processes that load twice", 1, 2, 0),
    fsCalls: fsCalls(0),
  },
  (bound) => ({ ...bound, begins: "hole", others: 0, calls: ["fallocate(FALLOC_FL_PUNCH_HOLE)"] }),
)

export const longterm = define(
  "longterm",
  "a device wants to pin a block for good while the file system wants it back",
  { fastPins: fastPins(0), sharing: sharing(0) },
  (bound) => ({ ...bound, longterm: 1, fsCalls: 1, others: 0, begins: "mapped" }),
  [truncationEnds],
)

/** Another file that gets the block is mapped, too: who pins without locks may find the page in use again, by others. */
export const reused = define(
  "reused",
  "a device pins a block without locks while it is taken away and given to a file that another process maps",
  { fastPins: fastPins(1), slowPins: slowPins(0) },
  (bound) => ({ ...bound, sharing: 0, fsCalls: 1, others: 0, theirs: 1, begins: "mapped" }),
  [truncationEnds],
)

export const daxScenarios = [pins, faults, unmapped, copies, hole, longterm, reused]
