/**
 * Waiting for LAYOUTGETs that are under way (fs/nfs/pnfs.c: NFS_LAYOUT_DRAIN): a layout that has become invalid is not
 * asked for again before the last reply has come, and whoever deals with that wakes those who wait.
 */
import type * as Effect from "effect/Effect"
import { procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import { type WaitQueue, waitEvent, waitQueue, wakeSleepers } from "../sync/waitQueue.ts"

/** `struct pnfs_layout_hdr`, as far as that goes. */
export interface DrainedLayout {
  readonly state: Struct<{
    /** `plh_outstanding` */
    outstanding: number
    /** NFS_LAYOUT_DRAIN, NFS_LAYOUT_INVALID_STID */
    drain: boolean
    invalid: boolean
  }>
  readonly queue: WaitQueue
}

/** Makes a layout for which nothing is under way but so many requests. */
export const drainedLayout = (outstanding: number): DrainedLayout => ({
  state: struct("lo", { outstanding, drain: false, invalid: false }),
  queue: waitQueue("lo.plh_flags"),
})

/** `nfs_layoutget_end`, of a request: the last one wakes those who wait, if anybody does. */
export const layoutgetEnd = procedure(function* ({ state, queue }: DrainedLayout) {
  const last = yield* step("atomic_dec_and_test", [], () => {
    state.outstanding--
    return state.outstanding === 0
  })
  if (!last) return
  const waits = yield* step("test_and_clear_bit", [], () => {
    const before = state.drain
    state.drain = false
    return before
  })
  if (!waits) return
  // smp_mb__after_atomic comes between the two.
  yield* step("wake_up_bit", [], () => wakeSleepers(queue))
})

/** `pnfs_mark_layout_stateid_invalid`, of one of those whose access has failed with ESTALE: the first one says so. */
export const markInvalid = ({ state }: DrainedLayout): Effect.Effect<void> =>
  step("pnfs_mark_layout_stateid_invalid", [], () => {
    if (state.invalid) return
    state.invalid = true
    state.drain = true
  })

/** `pnfs_update_layout`: waits for the replies to come, if there are any. */
export const updateLayout = procedure(function* ({ state, queue }: DrainedLayout) {
  const waits = yield* step("pnfs_update_layout", [], () => state.drain && state.outstanding > 0)
  if (waits) yield* waitEvent(queue, "wait_on_bit", [], () => !state.drain)
})
