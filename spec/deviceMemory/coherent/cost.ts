/**
 * What fork costs a device with coherent memory, by what its driver does on a fault on a load: the end of the answer to
 * question 1 of the mail. The GPU's faults and the copies are counted, one thing after another.
 */
import * as Effect from "effect/Effect"
import { choose, fork, type Scenario, type Setup, scenario, step } from "../../../checker/index.ts"
import { isDeviceCoherent } from "../../../model/deviceMemory/pgmap.ts"
import { gpuAccess, type ReadFaults } from "../../../model/driver/gpu.ts"
import { exitMm } from "../../../model/mm/exit.ts"
import { dupMmap } from "../../../model/mm/fork.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { mappedPage } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { page } from "../../mm/pages.ts"
import { type CoherentWorld, tell } from "./machine.ts"
import { judges, mail, type Spec } from "./properties.ts"

/** What has happened to the page: nothing, but the GPU does not map it; fork; fork, and the child is gone (it has called exec). */
export const stories = ["unmapped", "forked", "forked, child gone"] as const
export type StoryName = (typeof stories)[number]

/** What the GPU then does. */
export const accesses = ["load", "load, store", "store"] as const
export type Accesses = (typeof accesses)[number]

/** Faults and copies. */
export type Costs = readonly [faults: number, copies: number]

/** What each way costs. */
export const costs: {
  readonly [way in ReadFaults]: { readonly [story in StoryName]: { readonly [done in Accesses]: Costs } }
} = {
  "for writing": {
    unmapped: { load: [1, 0], "load, store": [1, 0], store: [1, 0] },
    forked: { load: [1, 1], "load, store": [1, 1], store: [1, 1] },
    "forked, child gone": { load: [1, 0], "load, store": [1, 0], store: [1, 0] },
  },
  "read-only": {
    unmapped: { load: [1, 0], "load, store": [2, 0], store: [1, 0] },
    forked: { load: [1, 0], "load, store": [2, 1], store: [1, 1] },
    "forked, child gone": { load: [1, 0], "load, store": [2, 0], store: [1, 0] },
  },
  "as allowed": {
    unmapped: { load: [1, 0], "load, store": [1, 0], store: [1, 0] },
    forked: { load: [1, 0], "load, store": [2, 1], store: [1, 1] },
    "forked, child gone": { load: [1, 0], "load, store": [2, 0], store: [1, 0] },
  },
}

const isCoherentAt = ({ folios }: CoherentWorld, mm: Mm): boolean => {
  const frame = mappedPage(at(mm.pte, page).value)
  return frame !== null && isDeviceCoherent(folios, frame)
}

const perform = Effect.fnUntraced(function* (world: CoherentWorld, way: ReadFaults) {
  const { parent, child, gpus } = world
  const [gpu] = gpus
  if (gpu === undefined) return
  const story = yield* choose("story", stories)
  const done = yield* choose("accesses", accesses)
  yield* step("begin", [story, done], () => {
    if (story === "unmapped") at(gpu.pageTable, page).value = null
  })
  if (story !== "unmapped") yield* Effect.ignore(dupMmap(parent, child))
  if (story === "forked, child gone") yield* exitMm(child)
  const goesOn = Effect.gen(function* () {
    for (const access of done.split(", ")) {
      yield* gpuAccess(gpu, page, access === "load" ? { kind: "load" } : { kind: "store", content: gpu.name }, way)
    }
  })
  yield* fork("gpu0", goesOn)
})

/** Whether a story was told to its end, of the accesses that are meant. */
const counts = ({ coherent: { cost } }: CoherentWorld, meant: Accesses): boolean => cost.accesses === meant

const costOf = (way: ReadFaults, meant: Accesses, statement: string): Spec => ({
  kind: "atEnd",
  id: `COST-${meant.toUpperCase().replace(", ", "-")}`,
  statement,
  source: `${mail}: "mapping pages R/O in the device on read faults, at the potential cost of having to handle a second (write) fault later"`,
  premise: (world) => counts(world, meant),
  holds: (world) => !counts(world, meant) || explainCost(world, way, meant) === "",
  explain: (world) => explainCost(world, way, meant),
})

const explainCost = ({ coherent: { cost } }: CoherentWorld, way: ReadFaults, meant: Accesses): string => {
  const story = stories.find((one) => one === cost.story)
  if (story === undefined) return "Nothing has happened."
  const [faults, copies] = costs[way][story][meant]
  if (cost.faults === faults && cost.copies === copies) return ""
  return `It took ${cost.faults} faults and ${cost.copies} copies, not ${faults} and ${copies} (${story}; ${meant}).`
}

const whoKeeps: Spec = {
  kind: "atEnd",
  id: "COH-WHO-KEEPS",
  statement:
    "Behind fork the parent has the device's page until it has got a copy, which is in system memory; the child keeps the device's.",
  source: `${mail}: "the parent process now gets a new system memory copy of the page, while the child process keeps the DEVICE_COHERENT page"`,
  premise: ({ coherent: { cost } }) => cost.story === "forked",
  holds: (world) => {
    const { copies, story } = world.coherent.cost
    if (story !== "forked") return true
    return isCoherentAt(world, world.parent) === (copies === 0) && isCoherentAt(world, world.child)
  },
}

/** Every story with every access, one after another, by a driver of one way. */
export const costSetup = (way: ReadFaults): Setup<CoherentWorld> =>
  tell({
    kind: "coherent",
    gpus: ["coherent"],
    names: ["cpu0", "gpu0", "child0"],
    counted: true,
    fibers: (world) => ({ cpu0: perform(world, way) }),
  })

const scenarioOf = (way: ReadFaults, summary: string, more: ReadonlyArray<Spec>): Scenario<CoherentWorld> =>
  scenario({
    id: `device/seed003/faults-${way.replace(" ", "-")}`,
    summary: `question 1, its end: what fork costs a GPU with coherent memory whose driver ${summary}`,
    setup: () => costSetup(way),
    properties: [...more, whoKeeps, ...judges],
  })

const store = "A store takes one fault, and behind fork a copy, as long as the child has the page too."

export const forWriting = scenarioOf("for writing", "has all pages writable on every fault (amdgpu, as of 2022)", [
  costOf("for writing", "load", "A load takes one fault, and behind fork a copy: the parent's page leaves the device."),
  costOf("for writing", "load, store", "A load and then a store take one fault, and behind fork a copy."),
  costOf("for writing", "store", store),
])

export const readOnly = scenarioOf("read-only", "maps for reading on a read fault: the mail's mitigation", [
  costOf("read-only", "load", "A load takes one fault and no copy, behind fork too: the page stays in the device."),
  costOf(
    "read-only",
    "load, store",
    "A load and then a store take two faults and no copy, unless a child has the page too: then one.",
  ),
  costOf("read-only", "store", store),
])

export const asAllowed = scenarioOf("as allowed", "asks for reading on a read fault, and maps as the entry allows", [
  costOf("as allowed", "load", "A load takes one fault and no copy, behind fork too: the page stays in the device."),
  costOf(
    "as allowed",
    "load, store",
    "A load and then a store take one fault; behind fork two, and a copy only if the child has the page too.",
  ),
  costOf("as allowed", "store", store),
])
