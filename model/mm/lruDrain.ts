/** Pages on their way to the LRU lists (mm/swap.c: lru_add_drain_all), and the CPUs on which that work is to be done. */
import type * as Effect from "effect/Effect"
import { assert, fork, guardedStep, procedure, type Struct, step } from "../../checker/program/index.ts"
import { holding } from "../sync/holding.ts"
import { type Frame, folioOf, folioPut } from "./folio.ts"
import type { System } from "./system.ts"

/** `cpu_fbatches.lru_add` of a CPU without preemption: what runs there runs until it sleeps. */
export interface LruBatch {
  readonly cpu: string
  readonly state: Struct<{
    /** The pages, each with a reference of the batch's. */
    pages: ReadonlyArray<Frame>
    /** Whether the CPU has been asked to empty it (`queue_work_on`). */
    queued: boolean
    /** The fiber that has the CPU now. */
    running: string
  }>
}

/** If the page is on no LRU list, has all batches emptied, once: whether it has. A page that then is on none is somebody else's. */
export const drainFor = procedure(function* (system: System, frame: Frame) {
  if (system.lruBatches.length === 0) return false
  const onLru = yield* step(
    "migrate_device_unmap: folio_test_lru",
    [frame.pfn],
    () => folioOf(system.folios, frame).lru,
  )
  if (onLru) return false
  yield* lruAddDrainAll(system)
  return true
})

/** `lru_add_drain_all`: a work item on every CPU that has pages to put on the lists; returns when they are done. */
const lruAddDrainAll = procedure(function* (system: System) {
  for (const batch of system.lruBatches) {
    const queued = yield* step("lru_add_drain_all: queue_work_on", [batch.cpu], () => {
      const { state } = batch
      if (state.queued || state.pages.length === 0) return false
      state.queued = true
      return true
    })
    if (queued) yield* fork(`kworker/${batch.cpu}`, lruAddDrainPerCpu(system, batch))
  }
  for (const { cpu, state } of system.lruBatches) {
    yield* guardedStep(
      "lru_add_drain_all: flush_work",
      [cpu],
      () => !state.queued,
      () => undefined,
      { on: `the work on ${cpu}`, kind: "work", sleeps: true, hindrances: () => holding(state.running, "has the CPU") },
    )
  }
})

/** `lru_add_drain_per_cpu`, when its CPU has time for it. */
const lruAddDrainPerCpu = ({ folios }: System, { cpu, state }: LruBatch): Effect.Effect<void> =>
  guardedStep(
    "lru_add_drain_per_cpu",
    [cpu],
    () => state.running === "",
    () => {
      assert(state.running === "", `work of ${cpu} runs while ${state.running} has the CPU`)
      for (const frame of state.pages) {
        folioOf(folios, frame).lru = true
        folioPut(folios, frame)
      }
      Object.assign(state, { pages: [], queued: false })
    },
    { on: cpu, kind: "cpu", sleeps: true, hindrances: () => holding(state.running, "has the CPU") },
  )
