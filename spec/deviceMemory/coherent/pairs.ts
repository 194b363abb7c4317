/**
 * The matrix of coherent memory: what a GPU and the core do to a page that both can reach. Each cell lets one operation, or
 * one of a GPU's, meet every other that makes a difference there, one at a time.
 */

import * as Effect from "effect/Effect"
import { choose, type Scenario, scenario } from "../../../checker/index.ts"
import { gpuMigrateToSystem } from "../../../model/driver/gpuToSystem.ts"
import { operation } from "../../mm/operations.ts"
import { mmProperties } from "../../mm/properties.ts"
import { type MmWorld, type Operation, page, race } from "../../mm/world.ts"
import { gpuOperations } from "../operations.ts"

const here = { start: page, end: page + 1 }

/** The driver gives the page back: for coherent memory that is the only way, as no CPU faults on it. */
const migrateToSystem: Operation = {
  id: "migrate-to-system",
  actor: "gpu",
  pages: ["coherent"],
  run: ({ gpus: [gpu] }) => (gpu === undefined ? Effect.void : gpuMigrateToSystem(gpu, here)),
}

/** One of several operations, whichever. */
const anyOf = (id: string, operations: ReadonlyArray<Operation>): Operation => ({
  id,
  actor: operations[0]?.actor ?? "cpu",
  pages: ["coherent"],
  run: Effect.fnUntraced(function* (world, fiber) {
    const chosen = yield* choose(
      "operation",
      operations.map((one) => one.id),
    )
    yield* operations.find(({ id }) => id === chosen)?.run(world, fiber) ?? Effect.void
  }),
})

/** What a thread of the process may do to it. The other kinds of memory are in the other matrices. */
const calls = [
  "load",
  "store",
  "pin-fast-write",
  "pin-fast-read",
  "pin-longterm",
  "munmap",
  "madvise-dontneed",
  "madvise-free",
  "madvise-pageout",
  "mprotect",
  "mremap",
  "fork",
  "numa-hint",
].map(operation)

const threads = ["reclaim", "migrate", "oom-reap", "collapse"].map(operation)

const cellOf = (a: Operation, b: Operation): Scenario<MmWorld> =>
  scenario({
    id: `device/coherent/${a.id}+${b.id}`,
    summary: `${a.id} and ${b.id} meet on a page of coherent memory`,
    setup: () => race(["coherent"], [a, b], { devices: 0, gpus: ["coherent"] }),
    properties: mmProperties,
  })

const gpu = anyOf("gpu", [...gpuOperations, migrateToSystem])
const call = anyOf("call", calls)
const end = anyOf("call", [...calls, operation("exit")])
const thread = anyOf("kernel-thread", threads)
export const coherentPairs: ReadonlyArray<Scenario<MmWorld>> = [
  cellOf(gpu, gpu),
  cellOf(gpu, end),
  cellOf(gpu, thread),
  cellOf(call, call),
  cellOf(end, thread),
  cellOf(
    operation("fork"),
    anyOf(
      "call",
      calls.filter(({ id }) => id !== "fork"),
    ),
  ),
  cellOf(operation("store"), call),
  cellOf(operation("pin-longterm"), call),
]
