/**
 * The record of which invalidations a umem has not seen the start of: what the properties need to remember and the
 * protocol does not. Recorded from outside, in cells of its own, in the same instant as the step that it is about.
 */
import { type Cell, cell, type Monitor, type Taken } from "../../../checker/index.ts"
import type { IbUcontext } from "../../../model/driver/umemOdp2014.ts"
import { type Locking, recordLocking } from "../locksHeld.ts"
import { closes, ends, entriesChange, opens, recordWindows, starts, type Windows } from "../windows.ts"

export interface Record2014 {
  readonly windows: Windows
  /** The umems that came during an invalidation, by the fiber whose that is. */
  readonly missed: ReadonlyMap<string, Cell<ReadonlyArray<string>>>
  readonly locking: Locking
  readonly monitors: ReadonlyArray<Monitor>
}

/** Makes the record for fibers that may invalidate. */
export const record2014 = ({ umemRwsem }: IbUcontext, fibers: ReadonlyArray<string>): Record2014 => {
  const { windows, monitor } = recordWindows(fibers, {
    ...entriesChange,
    ib_ucontext_notifier_start_account: starts(),
    "up_read: umem_rwsem": opens(),
    ib_umem_notifier_end_account: ends,
    ib_ucontext_notifier_end_account: closes(),
  })
  const none: ReadonlyArray<string> = []
  const missed = new Map(fibers.map((fiber) => [fiber, cell(`missed.${fiber}`, none)]))
  const registrations: Monitor = {
    ib_umem_odp_get: ({ args }) => {
      for (const [fiber, umems] of missed) {
        if (windows.get(fiber)?.phase !== "closed") umems.value = [...umems.value, String(args[0])]
      }
    },
    ib_ucontext_notifier_end_account: ({ fiber }) => {
      const umems = missed.get(fiber)
      if (umems !== undefined) umems.value = none
    },
  }
  const reads = ({ fiber }: Taken) => umemRwsem.state.readers.includes(fiber)
  const writes = ({ fiber }: Taken) => umemRwsem.state.writer === fiber
  const locking = recordLocking({
    ib_umem_notifier_start_account: reads,
    ib_umem_notifier_release_trampoline: reads,
    ib_umem_odp_unmap_dma_pages: reads,
    ib_umem_notifier_end_account: reads,
    ib_umem_odp_get: writes,
    "ib_ucontext_notifier_end_account: mn_counters_active": writes,
  })
  return { windows, missed, locking, monitors: [monitor, registrations, locking.monitor] }
}
