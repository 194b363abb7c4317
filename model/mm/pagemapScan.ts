/** PAGEMAP_SCAN with PM_SCAN_WP_MATCHING, of /proc/pid/pagemap (fs/proc/task_mmu.c): tells which pages there are, and write-protects them. */
import type * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { underLock } from "../sync/spinlock.ts"
import { findVma, hasTable, type Mm, mmapReadLock, mmapReadUnlock, pageTableLock } from "./mm.ts"
import { wrprotect } from "./pte.ts"
import { at, pagesOf, type Range } from "./range.ts"
import { dropTranslations } from "./tlb.ts"

/**
 * `do_pagemap_scan`: in rounds, each as long as the buffer for what was found. Between the rounds that is given to the
 * caller, whose memory may have to be faulted in, so that `mmap_lock` is given up. Each round therefore announces what
 * is left of the range anew, under the lock: nobody can register a notifier in the middle of it.
 *
 * All areas count as registered with userfaultfd, in its asynchronous mode: the next store to a page makes it writable.
 *
 * @param buffer how many pages fit in the buffer
 */
export const pagemapScan = procedure(function* (mm: Mm, range: Range, buffer: number) {
  yield* step("do_pagemap_scan", [mm.name, range.start, range.end], () => undefined)
  for (let from = range.start; from < range.end; ) {
    yield* mmapReadLock(mm)
    const window = notifierRange("PROTECTION_VMA", "do_pagemap_scan", { start: from, end: range.end })
    yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
    const found: Array<number> = []
    for (const va of pagesOf(window)) {
      if (yield* pagemapScanPmdEntry(mm, va)) found.push(va)
      from = va + 1
      if (found.length === buffer) break
    }
    yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
    yield* mmapReadUnlock(mm)
    if (found.length > 0) yield* step("pagemap_scan_flush_buffer", [...found], () => undefined)
  }
  yield* step("do_pagemap_scan: kfree", [mm.name], () => undefined)
})

/** `pagemap_scan_pmd_entry`, of one page: whether there is one. It is flushed before the page table's lock is given up. */
const pagemapScanPmdEntry = (mm: Mm, va: number): Effect.Effect<boolean> =>
  underLock(pageTableLock(mm, va), "pagemap_scan_pmd_entry", [mm.name, va], () => {
    const pte = at(mm.pte, va)
    if (findVma(mm, va) === null || !hasTable(mm, va) || pte.value?.kind !== "present") return false
    pte.value = wrprotect(pte.value)
    dropTranslations(mm, { start: va, end: va + 1 })
    return true
  })
