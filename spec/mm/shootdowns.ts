/** Which flushes of the TLBs have returned: recorded from outside, in the same instant as the steps. */
import { type Cell, cell, type Monitor } from "../../checker/index.ts"

/** The record, for one address space. */
export interface Shootdowns {
  /** The count of the latest flush that has returned (`tlb_gen`). */
  readonly completed: Cell<number>
  readonly monitor: Monitor
}

/** Makes the record for fibers that may flush. */
export const recordShootdowns = (fibers: ReadonlyArray<string>): Shootdowns => {
  const underWay = new Map(fibers.map((name) => [name, cell(`flushes.${name}`, 0)]))
  const completed = cell("flushes.completed", 0)
  const returned = (fiber: string) => {
    const mine = underWay.get(fiber)
    if (mine === undefined || mine.value === 0) return
    completed.value = Math.max(completed.value, mine.value)
    mine.value = 0
  }
  const monitor: Monitor = {
    inc_mm_tlb_gen: ({ fiber, result }) => {
      const mine = underWay.get(fiber)
      if (mine !== undefined) mine.value = Number(result)
    },
    tlb_flush_mmu_tlbonly: ({ fiber }) => returned(fiber),
    tlb_finish_mmu: ({ fiber }) => returned(fiber),
  }
  return { completed, monitor }
}
