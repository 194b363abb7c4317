/** mprotect, and NUMA balancing's hints, which change access the same way (mm/mprotect.c). */
import * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import { isZoneDevice } from "../deviceMemory/pgmap.ts"
import { Errno } from "../errno.ts"
import { type NotifierCaller, type NotifierRange, notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { keep, release, underLock } from "../sync/spinlock.ts"
import { underFlushedLock } from "./batchedFlush.ts"
import { folioOf, maybePinned } from "./folio.ts"
import { type Gather, gatherEntry, owesFlush, tlbEndVma, tlbFinishMmu, tlbGather } from "./gather.ts"
import { hugePmdOf, splitHugePmd } from "./hugeSplit.ts"
import { hugetlbChangeProtection, hugetlbVmOpSplit, isVmHugetlbPage } from "./hugetlb.ts"
import {
  changeVmas,
  findVma,
  hasTable,
  type Mm,
  mmapReadLock,
  mmapReadUnlock,
  mmapWriteLock,
  mmapWriteUnlock,
  pageTableLock,
  spanOf,
  vmaStartWrite,
} from "./mm.ts"
import type { Access, Present } from "./pte.ts"
import { at, isWithin, pagesOf, type Range } from "./range.ts"
import { isAnon } from "./rmap.ts"
import { areasIn, mostAccess, type Protection, type Vma } from "./vma.ts"
import { vmaMerge } from "./vmaMerge.ts"

/**
 * `mprotect`. Where nothing is mapped it stops, with what came before changed; without pages there is nothing to do, and
 * nothing in areas that have that protection. All areas share one gather: what was taken from one of them may last in
 * the TLBs until the last one is done.
 *
 * @throws Errno ENOMEM where the range has pages that are not mapped, or lie beyond the address space; EINVAL where it ends
 *   inside a page of hugetlbfs
 */
export const mprotect = procedure(function* (mm: Mm, range: Range, prot: Protection) {
  if (range.start === range.end) return
  const inside = { start: range.start, end: Math.min(range.end, mm.pages) }
  if (!isWithin(mm.pages, inside)) return yield* new Errno({ call: "mprotect", errno: "ENOMEM" })
  yield* mmapWriteLock(mm)
  if (!(yield* hugetlbVmOpSplit(mm, range))) {
    yield* mmapWriteUnlock(mm)
    return yield* new Errno({ call: "mprotect", errno: "EINVAL" })
  }
  const areas = yield* step("mprotect_fixup", [mm.name, range.start, range.end, prot], () => {
    const hole = pagesOf(inside).find((va) => findVma(mm, va) === null) ?? inside.end
    const found = areasIn((va) => findVma(mm, va), { start: range.start, end: hole })
    return found.map((area) => ({ ...area, changes: vmaOf(mm, area.start).prot !== prot }))
  })
  const reached = areas.at(-1)?.end ?? range.start
  const gather = tlbGather(mm)
  for (const { changes, ...area } of areas) {
    if (!changes) continue
    yield* vmaStartWrite(mm, area)
    yield* step("vma_set_page_prot", [mm.name, area.start, area.end, prot], () => {
      changeVmas(mm, area, (vma) => ({ ...vma, prot, accounted: accountedAs(vma, prot) }))
      vmaMerge(mm, area)
    })
    if (yield* isVmHugetlbPage(mm, area.start)) yield* hugetlbChangeProtection(mm, area)
    else yield* changeProtection(gather, area, "change_protection", (va) => mostAccess(vmaOf(mm, va)))
  }
  if (areas.length > 0) yield* tlbFinishMmu(gather, { start: range.start, end: reached })
  yield* mmapWriteUnlock(mm)
  if (reached < range.end) return yield* new Errno({ call: "mprotect", errno: "ENOMEM" })
})

/**
 * Whether an area is accounted for when its protection changes: if it may be stored to, and as long as it may have
 * private pages.
 */
const accountedAs = (vma: Vma, prot: Protection): boolean => {
  if (prot === "rw") return !vma.shared
  return vma.accounted && !(vma.file === null && vma.anonVmas.length === 0)
}

const vmaOf = (mm: Mm, va: number) => {
  const vma = findVma(mm, va)
  if (vma === null) throw new RangeError(`page ${va} of ${mm.name} has no VMA`)
  return vma
}

/**
 * `change_prot_numa`, by the task's own balancing work: takes all access away, so that the next one tells who uses the
 * page. Pages that several may use are left alone, and those of a device's memory (`prot_numa_skip`).
 */
export const changeProtNuma = procedure(function* (mm: Mm, range: Range) {
  yield* mmapReadLock(mm)
  const areas = yield* step("task_numa_work", [mm.name, range.start, range.end], () =>
    areasIn((va) => findVma(mm, va), range),
  )
  for (const area of areas) {
    const gather = tlbGather(mm)
    yield* changeProtection(gather, area, "change_prot_numa", (va, pte) => {
      const folio = folioOf(mm.system.folios, pte.page)
      const shared = !vmaOf(mm, va).shared && (maybePinned(folio) || folio.mapcount !== 1)
      return shared || isZoneDevice(mm.system.folios, pte.page) ? pte.access : "none"
    })
    yield* tlbFinishMmu(gather, area)
  }
  yield* mmapReadUnlock(mm)
})

/**
 * `change_protection`: gives the entries of a range the access that is said. The notifier hears of it when the first
 * entry is found. Every entry is taken away from the hardware before it is put back changed, so that no dirty bit is
 * lost. The caller flushes what was gathered.
 */
const changeProtection = Effect.fnUntraced(function* (
  gather: Gather,
  area: Range,
  by: NotifierCaller,
  accessOf: (va: number, pte: Present) => Access,
) {
  const { mm } = gather
  let window: NotifierRange | null = null
  let next = area.start
  for (const va of pagesOf(area)) {
    if (window === null) {
      const populated = yield* step("change_pmd_range", [mm.name, va], () => hasTable(mm, va))
      if (!populated) continue
      window = notifierRange("PROTECTION_VMA", by, area)
      yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
    }
    if (mm.system.thp && va === next) next = yield* changeHugePmd(gather, va, area, by, accessOf)
    if (va < next) continue
    next = va + 1
    const ptl = pageTableLock(mm, va)
    const taken = yield* underFlushedLock(mm, va, "ptep_modify_prot_start", [mm.name, va], () => {
      const pte = at(mm.pte, va).value
      if (pte?.kind !== "present") return changeOther(mm, va, by)
      if (accessOf(va, pte) === pte.access) return null
      at(mm.pte, va).value = null
      owesFlush(mm)
      keep(ptl)
      return pte
    })
    if (taken === null) continue
    gatherEntry(gather, va)
    if (taken === "zero") continue
    yield* step("ptep_modify_prot_commit", [mm.name, va], () => {
      at(mm.pte, va).value = changed(mm, va, taken, accessOf(va, taken))
      release(ptl)
    })
  }
  if (window !== null) yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
  yield* tlbEndVma(gather)
})

/** An entry with that access, if it may have it. Within a step. */
const changed = (mm: Mm, va: number, pte: Present, access: Access): Present => ({
  ...pte,
  access: access === "write" && !canChangeWritable(mm, va, pte) ? "read" : access,
})

/** The same of entries that map no page of memory; `zero` where something is to be flushed. Within a step. */
const changeOther = (mm: Mm, va: number, by: NotifierCaller): "zero" | null => {
  const cell = at(mm.pte, va)
  const pte = cell.value
  if (pte?.kind === "migration" && pte.mode === "write" && mostAccess(vmaOf(mm, va)) !== "write") {
    const anon = isAnon(folioOf(mm.system.folios, pte.page))
    cell.value = { ...pte, mode: anon ? "readExclusive" : "read" }
  }
  if (pte?.kind === "private" && pte.write && mostAccess(vmaOf(mm, va)) !== "write") {
    cell.value = { ...pte, write: false }
  }
  if (pte?.kind !== "zero") return null
  const access = mostAccess(vmaOf(mm, va)) === "none" ? "none" : "read"
  if (pte.access === access || by !== "change_protection") return null
  cell.value = { ...pte, access }
  owesFlush(mm)
  return "zero"
}

/**
 * `change_huge_pmd`: the huge entry that begins there, if all of it is in the area; else it is split.
 *
 * @returns where to go on: behind it, or there
 */
const changeHugePmd = Effect.fnUntraced(function* (
  gather: Gather,
  va: number,
  area: Range,
  by: NotifierCaller,
  accessOf: (va: number, pte: Present) => Access,
) {
  const { mm } = gather
  const span = spanOf(mm, va)
  const pmd = hugePmdOf(mm, va)
  if (!(yield* step("change_pmd_range: pmd_trans_huge", [mm.name, va], () => pmd.huge.value))) return va
  if (span.start < area.start || area.end < span.end) {
    yield* splitHugePmd(pmd)
    return va
  }
  const cleared = yield* underLock(pageTableLock(mm, va), "change_huge_pmd", [mm.name, span.start, span.end], () =>
    pagesOf(span).filter((page) => {
      const cell = at(mm.pte, page)
      const pte = cell.value
      if (pte?.kind !== "present") return changeOther(mm, page, by) !== null
      const access = accessOf(page, pte)
      if (access === pte.access) return false
      cell.value = changed(mm, page, pte, access)
      owesFlush(mm)
      return true
    }),
  )
  for (const page of cleared) gatherEntry(gather, page)
  return span.end
})

/** `can_change_pte_writable`: an anonymous page must be exclusive; a file must have heard of the page's first store. */
export const canChangeWritable = (mm: Mm, va: number, pte: Present): boolean => {
  const folio = folioOf(mm.system.folios, pte.page)
  if (!vmaOf(mm, va).shared) return isAnon(folio) && folio.anonExclusive
  return pte.dirty || mm.system.inodes.get(folio.mapping)?.tracksDirty === false
}
