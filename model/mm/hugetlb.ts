/**
 * Private areas of hugetlbfs (mm/hugetlb.c): MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB. A page there is as large as a huge
 * page and told likewise: all the entries of a page table together map a large folio. It is mapped, changed and unmapped
 * whole, and neither split, nor swapped out, nor merged; it is on no LRU list, charged to no control group and no part of
 * the RSS.
 *
 * Not told: the pool and its reservations, every page being a surplus page (`nr_overcommit_hugepages`); shared areas;
 * fork and mremap, which are refused, and pins.
 */
import * as Effect from "effect/Effect"
import { assert, procedure, step } from "../../checker/program/index.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { assertHeld } from "../sync/holding.ts"
import { type Mutex, mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { assertRwsemHeld, upWrite } from "../sync/rwsem.ts"
import { fairDownRead, fairDownWrite, fairUpRead } from "../sync/rwsemFair.ts"
import { underLock } from "../sync/spinlock.ts"
import { type FaultFlags, type FaultResult, lockedVma, vmfAnonPrepare } from "./fault.ts"
import { folioOf, folioPut, pagesOfFolio } from "./folio.ts"
import { type Gather, gatherEntry, owesFlush, tlbEndVma } from "./gather.ts"
import { clearHuge, setHuge } from "./hugeMemory.ts"
import { folioAllocHugeUncharged } from "./largeFolio.ts"
import { findVma, type HugetlbLocks, hasTable, isHuge, type Mm, pageTableLock, spanOf } from "./mm.ts"
import { mappedPage, type Present, present } from "./pte.ts"
import { at, pagesOf, type Range } from "./range.ts"
import { addNewAnonRmap, removeRmap } from "./rmap.ts"
import { dropTranslations } from "./tlb.ts"
import { mostAccess } from "./vma.ts"

/** `is_vm_hugetlb_page`, of the area of a page, which the caller's lock keeps; no step where there is no hugetlbfs. */
export const isVmHugetlbPage = (mm: Mm, va: number): Effect.Effect<boolean> =>
  mm.hugetlb === null
    ? Effect.succeed(false)
    : step("is_vm_hugetlb_page", [mm.name, va], () => at(mm.vma, va).value?.hugetlb === true)

/** Whether a range begins and ends where huge pages do. */
export const isWhole = (mm: Mm, { start, end }: Range): boolean =>
  start % mm.system.pagesPerTable === 0 && end % mm.system.pagesPerTable === 0

/** `hugetlb_vm_op_split`: whether areas of hugetlbfs may be cut where a range begins and where it ends. */
export const hugetlbVmOpSplit = (mm: Mm, { start, end }: Range): Effect.Effect<boolean> =>
  mm.hugetlb === null
    ? Effect.succeed(true)
    : step("hugetlb_vm_op_split", [mm.name, start, end], () =>
        [start, end].every(
          (cut) => cut % mm.system.pagesPerTable === 0 || cut >= mm.pages || findVma(mm, cut)?.hugetlb !== true,
        ),
      )

const locksOf = (mm: Mm): HugetlbLocks => {
  if (mm.hugetlb === null) throw new RangeError(`${mm.name} has no hugetlbfs`)
  return mm.hugetlb
}

const faultMutexOf = (mm: Mm, va: number): Mutex => {
  const mutex = locksOf(mm).faultMutexes[spanOf(mm, va).start / mm.system.pagesPerTable]
  if (mutex === undefined) throw new RangeError(`there is no page ${va}`)
  return mutex
}

/** `hugetlb_vma_lock_read`: nobody zaps or protects the area meanwhile. Whose doing it is is told with the step. */
export const hugetlbVmaLockRead = (mm: Mm, by: string): Effect.Effect<void> =>
  fairDownRead(locksOf(mm).vmaLock, `${by}: hugetlb_vma_lock_read`, [mm.name])
/** `hugetlb_vma_unlock_read` */
export const hugetlbVmaUnlockRead = (mm: Mm, by: string): Effect.Effect<void> =>
  fairUpRead(locksOf(mm).vmaLock, `${by}: hugetlb_vma_unlock_read`, [mm.name])
const hugetlbVmaLockWrite = (mm: Mm): Effect.Effect<void> =>
  fairDownWrite(locksOf(mm).vmaLock, "hugetlb_vma_lock_write", [mm.name])
const hugetlbVmaUnlockWrite = (mm: Mm): Effect.Effect<void> =>
  upWrite(locksOf(mm).vmaLock, "hugetlb_vma_unlock_write", [mm.name])

/** `hugetlb_walk`: the entries of an area are looked at only with its lock. Within a step. */
export const assertWalkable = (mm: Mm): void => assertRwsemHeld(locksOf(mm).vmaLock)

/** `hugetlb_fault`: the huge page is mapped whole, or may be stored to from then on. */
export const hugetlbFault = procedure(function* (mm: Mm, va: number, flags: FaultFlags) {
  yield* mutexLock(faultMutexOf(mm, va))
  yield* hugetlbVmaLockRead(mm, "hugetlb_fault")
  const found = yield* step("hugetlb_fault: huge_ptep_get", [mm.name, va], () => {
    assertHeld(faultMutexOf(mm, va))
    assertWalkable(mm)
    if (!isHuge(mm, va)) return "hugetlb_no_page"
    const pte = at(mm.pte, va).value
    return flags.write && pte?.kind === "present" && pte.access !== "write" ? "hugetlb_wp" : "nothing"
  })
  let result: FaultResult = "done"
  if (found === "hugetlb_no_page") result = yield* hugetlbNoPage(mm, spanOf(mm, va), flags)
  if (found === "hugetlb_wp") yield* hugetlbWp(mm, spanOf(mm, va))
  yield* hugetlbVmaUnlockRead(mm, "hugetlb_fault")
  yield* mutexUnlock(faultMutexOf(mm, va))
  return result
})

/**
 * `hugetlb_no_page`, for a store with the `hugetlb_wp` behind it: a fresh huge page, be it for a load; SIGBUS where
 * there is none.
 */
const hugetlbNoPage = procedure(function* (mm: Mm, range: Range, flags: FaultFlags) {
  const { folios } = mm.system
  const fresh = yield* step("alloc_hugetlb_folio", [mm.name, range.start], () =>
    vmfAnonPrepare(mm, range.start, flags) ? (folioAllocHugeUncharged(folios) ?? "SIGBUS") : "RETRY",
  )
  if (fresh === "SIGBUS" || fresh === "RETRY") return fresh
  return yield* underLock(
    pageTableLock(mm, range.start),
    "hugetlb_no_page",
    [mm.name, range.start],
    (): FaultResult => {
      if (!hasTable(mm, range.start)) {
        const pages = pagesOfFolio(folios, fresh)
        setHuge(mm, range, (va, position) => {
          const page = pages[position] ?? fresh
          const folio = folioOf(folios, page)
          addNewAnonRmap(folio, lockedVma(mm, va))
          folio.lru = false
          folio.refcount++
          return present(page, flags.write ? "write" : mostAccess(lockedVma(mm, va)) === "none" ? "none" : "read", {
            dirty: flags.write,
          })
        })
      }
      folioPut(folios, fresh)
      return "done"
    },
  )
})

/** `hugetlb_wp`: the page is this mapping's alone, as there is no fork: it is reused. */
const hugetlbWp = (mm: Mm, range: Range): Effect.Effect<void> =>
  underLock(pageTableLock(mm, range.start), "hugetlb_wp", [mm.name, range.start], () =>
    setEntries(mm, range, (pte) => ({ ...pte, access: "write", dirty: true, young: true })),
  )

/** Changes the entry, if there is one; returns whether there is. Within a step, under the page table's lock. */
const setEntries = (mm: Mm, range: Range, change: (pte: Present) => Present): boolean => {
  if (!isHuge(mm, range.start)) return false
  for (const va of pagesOf(range)) {
    const cell = at(mm.pte, va)
    assert(cell.value?.kind === "present", `page ${va} of ${mm.name} is a piece of a page of hugetlbfs and not mapped`)
    cell.value = change(cell.value)
  }
  return true
}

/**
 * `hugetlb_change_protection`, of whole pages, `mmap_lock` held for write: no entry may be stored through before the
 * next fault.
 */
export const hugetlbChangeProtection = procedure(function* (mm: Mm, area: Range) {
  const window = notifierRange("PROTECTION_VMA", "hugetlb_change_protection", area)
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  yield* hugetlbVmaLockWrite(mm)
  for (const span of spansIn(mm, area)) {
    yield* underLock(
      pageTableLock(mm, span.start),
      "hugetlb_change_protection",
      [mm.name, span.start, span.end],
      () => {
        assertWalkable(mm)
        const access = mostAccess(lockedVma(mm, span.start)) === "none" ? "none" : "read"
        setEntries(mm, span, (pte) => ({ ...pte, access }))
      },
    )
  }
  yield* step("flush_hugetlb_tlb_range", [mm.name, area.start, area.end], () => dropTranslations(mm, area))
  yield* hugetlbVmaUnlockWrite(mm)
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
})

const spansIn = (mm: Mm, range: Range): ReadonlyArray<Range> =>
  pagesOf(range)
    .map((va) => spanOf(mm, va))
    .filter((span, position, spans) => span.start !== spans[position - 1]?.start)

/**
 * `hugetlb_zap_begin`: where the area is hugetlbfs' nobody faults in it from now on, until `hugetlbZapEnd`. Who frees
 * pages in between has given them back by then: a fault is not told that there are none.
 *
 * @returns whether the area is hugetlbfs'
 */
export const hugetlbZapBegin = procedure(function* (mm: Mm, va: number) {
  const isHugetlb = yield* isVmHugetlbPage(mm, va)
  if (isHugetlb) yield* hugetlbVmaLockWrite(mm)
  return isHugetlb
})

/** `hugetlb_zap_end`, where `hugetlbZapBegin` has said that the area is hugetlbfs'. */
export const hugetlbZapEnd = (mm: Mm, isHugetlb: boolean): Effect.Effect<void> =>
  isHugetlb ? hugetlbVmaUnlockWrite(mm) : Effect.void

/** `__unmap_hugepage_range`, of whole pages, inside the caller's window, between `hugetlbZapBegin` and `hugetlbZapEnd`. */
export const unmapHugepageRange = Effect.fnUntraced(function* (gather: Gather, range: Range) {
  const { mm } = gather
  for (const span of spansIn(mm, range)) {
    const zapped = yield* underLock(
      pageTableLock(mm, span.start),
      "__unmap_hugepage_range",
      [mm.name, span.start, span.end],
      () => {
        assertWalkable(mm)
        return zapEntry(mm, span)
      },
    )
    for (const [position, page] of zapped.entries()) {
      gatherEntry(gather, span.start + position)
      gather.pages.push(page)
    }
  }
  yield* tlbEndVma(gather)
})

/**
 * `huge_ptep_get_and_clear`, `hugetlb_remove_rmap`; returns the pages that it mapped. Within a step, under the page
 * table's lock.
 */
const zapEntry = (mm: Mm, span: Range) => {
  if (!isHuge(mm, span.start)) return []
  owesFlush(mm)
  const pages = pagesOf(span).flatMap((va) => {
    const cell = at(mm.pte, va)
    const page = mappedPage(cell.value)
    cell.value = null
    return page === null ? [] : [page]
  })
  for (const page of pages) removeRmap(folioOf(mm.system.folios, page))
  clearHuge(mm, span.start)
  return pages
}
