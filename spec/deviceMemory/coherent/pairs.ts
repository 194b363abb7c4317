/**
 * The matrix of coherent memory: what a GPU and the core do to a page that both can reach. Each cell lets one operation, or
 * one of a GPU's, meet every other that makes a difference there, one at a time.
 */

import * as Effect from "effect/Effect"
import { choose, type Scenario, scenario } from "../../../checker/index.ts"
import { gpuMigrateToDevice } from "../../../model/driver/gpu.ts"
import { svmMigrateVramToRam } from "../../../model/driver/gpuToSystem.ts"
import { operation } from "../../mm/operations.ts"
import { type PageKind, page } from "../../mm/pages.ts"
import type { Operation } from "../../mm/world.ts"
import { gpuOperations } from "../operations.ts"
import { deviceProperties } from "../properties.ts"
import { type DeviceWorld, deviceRace } from "../world.ts"

const here = { start: page, end: page + 1 }

const toSystem: Operation = {
  id: "migrate-to-system",
  actor: "gpu",
  pages: ["coherent"],
  run: ({ gpus: [gpu] }) => (gpu === undefined ? Effect.void : svmMigrateVramToRam(gpu.mm, gpu.memory, here)),
}

const toDevice: Operation = {
  id: "migrate-to-device",
  actor: "gpu",
  pages: ["none", "anon"],
  run: ({ gpus: [gpu] }) => (gpu === undefined ? Effect.void : gpuMigrateToDevice(gpu, here)),
}

/** The driver gives the page back, which is the only way, as no CPU faults on it; and takes it again. */
const toSystemAndBack: Operation = {
  ...toSystem,
  id: "migrate-to-system, migrate-to-device",
  run: (world, fiber) => Effect.andThen(toSystem.run(world, fiber), toDevice.run(world, fiber)),
}

/** One of several operations, whichever. */
const anyOf = (id: string, operations: ReadonlyArray<Operation>): Operation => ({
  id,
  actor: operations[0]?.actor ?? "cpu",
  pages: ["coherent"],
  run: Effect.fnUntraced(function* (world, fiber) {
    const ids = operations.map((one) => one.id)
    const chosen = yield* choose("operation", ids)
    const found = operations.find((one) => one.id === chosen)
    if (found !== undefined) yield* found.run(world, fiber)
  }),
})

const gpuDoes = (...ids: ReadonlyArray<string>): Operation =>
  anyOf(
    "gpu",
    [...gpuOperations, toSystem, toSystemAndBack].filter(({ id }) => ids.includes(id)),
  )

const calls = (...ids: ReadonlyArray<string>): Operation => anyOf("call", ids.map(operation))

/** What a thread of the process may do to the page. */
const anyCall = [
  "load",
  "store",
  "pin-fast-write",
  "pin-longterm",
  "munmap",
  "madvise-free",
  "madvise-pageout",
  "mprotect",
  "mremap",
  "fork",
  "numa-hint",
]

const cellOf = (
  a: Operation,
  b: Operation,
  summary: string,
  kinds: ReadonlyArray<PageKind> = ["coherent"],
): Scenario<DeviceWorld> =>
  scenario({
    id: `device/coherent/${a.id}+${b.id}`,
    summary,
    setup: () => deviceRace(kinds, [a, b], { gpus: ["coherent"] }),
    properties: deviceProperties,
  })

export const coherentPairs: ReadonlyArray<Scenario<DeviceWorld>> = [
  cellOf(
    gpuDoes(toSystemAndBack.id),
    gpuDoes("gpu-load", "gpu-store"),
    "a GPU uses a page of its coherent memory while its driver moves it out and in",
  ),
  cellOf(
    gpuDoes("gpu-store", toSystem.id),
    calls(...anyCall, "exit", "reclaim", "migrate", "collapse"),
    "a GPU stores to a page of its coherent memory, or its driver moves it out, during any call and beside kernel threads",
  ),
  cellOf(
    gpuDoes("gpu-store"),
    operation("reclaim"),
    "a GPU with coherent memory stores to a page of the system's that may be dropped while it is clean",
    ["lazyfree"],
  ),
  cellOf(
    operation("fork"),
    calls("store", "pin-fast-write", "pin-longterm"),
    "a process with a page of coherent memory forks beside a store or a pin",
  ),
  cellOf(
    operation("pin-longterm"),
    calls("store", "pin-fast-write", "pin-longterm"),
    "a page of coherent memory is pinned for good, and has to be moved, beside a store or a pin",
  ),
  cellOf(
    toDevice,
    calls("store", "munmap", "fork"),
    "a page is moved to coherent memory during a store, munmap or fork",
    ["none", "anon"],
  ),
]
