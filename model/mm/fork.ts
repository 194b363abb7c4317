/** fork's copy of the address space (kernel/fork.c: dup_mmap; mm/memory.c: copy_page_range). */
import { enterLoop, guardedStep, procedure, step } from "../../checker/program/index.ts"
import { tryRestoreExclusivePte } from "../deviceMemory/deviceExclusive.ts"
import { Errno } from "../errno.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { keep, release, underLock } from "../sync/spinlock.ts"
import { mmput } from "./exit.ts"
import { type Frame, folioAlloc, folioOf, folioPut, maybePinned } from "./folio.ts"
import { hugePmdOf, splitHugePmd } from "./hugeSplit.ts"
import {
  findVma,
  hasTable,
  isHuge,
  type Mm,
  mmapWriteLock,
  mmapWriteUnlock,
  pageTableLock,
  spanOf,
  tableOf,
  vmaStartWrite,
} from "./mm.ts"
import { isWritable, mappedPage, type Present, present, wrprotect } from "./pte.ts"
import { at, pagesOf, type Range } from "./range.ts"
import { addFileRmap, addNewAnonRmap, canChangeTrees, isAnon, treesWait, tryDupAnonRmap } from "./rmap.ts"
import { swapDuplicate } from "./swap.ts"
import { flushTlbMm } from "./tlb.ts"
import { areasIn, isCow, mostAccess } from "./vma.ts"
import { anonVmaAlloc } from "./vmaMerge.ts"

/**
 * `dup_mmap`: the child gets the parent's areas and shares its private pages, which neither may write from then on.
 *
 * @param child an address space without users
 * @throws Errno ENOMEM when there is no memory: the child then has nothing
 */
export const dupMmap = procedure(function* (parent: Mm, child: Mm) {
  yield* mmapWriteLock(parent)
  const areas = yield* step("dup_mm", [parent.name, child.name], () => {
    child.state.users = 1
    return areasIn((va) => findVma(parent, va), { start: 0, end: parent.pages })
  })
  let complete = true
  for (const area of areas) {
    yield* vmaStartWrite(parent, area)
    const needsCopy = yield* guardedStep(
      "vm_area_dup",
      [child.name, area.start, area.end],
      () => canChangeTrees(parent, area),
      () => dupArea(parent, child, area),
      treesWait(parent, area),
    )
    if (needsCopy) complete = yield* copyPageRange(parent, child, area)
    if (!complete) break
  }
  yield* flushTlbMm(parent)
  yield* mmapWriteUnlock(parent)
  if (complete) return
  yield* mmput(child)
  return yield* new Errno({ call: "fork", errno: "ENOMEM" })
})

/**
 * Copies an area; returns whether its page table is to be copied too (`vma_needs_copy`): what can be faulted in again
 * is not.
 */
const dupArea = (parent: Mm, child: Mm, area: Range): boolean => {
  const first = findVma(parent, area.start)
  if (first === null) return false
  if (first.hugetlb) throw new RangeError("fork of an area of hugetlbfs is not modelled")
  const inherited = first.anonVmas.length > 0 && !first.wipeOnFork
  // anon_vma_fork: one of its own for each area, besides those of its forebears.
  const anonVmas = inherited ? [...first.anonVmas, anonVmaAlloc(child)] : []
  for (const va of pagesOf(area)) {
    const vma = findVma(parent, va)
    if (vma !== null) at(child.vma, va).value = { ...vma, locked: false, uffdMissing: false, anonVmas }
  }
  return inherited
}

/** `copy_page_range`; false when there is no memory. */
const copyPageRange = procedure(function* (parent: Mm, child: Mm, area: Range) {
  const cow = yield* step("copy_page_range", [parent.name, area.start, area.end], () => {
    const vma = findVma(parent, area.start)
    return vma !== null && isCow(vma)
  })
  const window = notifierRange("PROTECTION_PAGE", "copy_page_range", area)
  if (cow) {
    yield* mmuNotifierInvalidateRangeStart(parent.subscriptions, window)
    yield* step("raw_write_seqcount_begin", [parent.name], () => {
      parent.state.writeProtectSeq++
    })
  }
  let complete = true
  let next = area.start
  for (const va of pagesOf(area)) {
    if (parent.system.thp && va === next) next = yield* copyHugePmd(parent, child, va)
    if (va < next) continue
    next = va + 1
    complete = yield* copyPte(parent, child, va)
    if (!complete) break
  }
  if (cow) {
    yield* step("raw_write_seqcount_end", [parent.name], () => {
      parent.state.writeProtectSeq++
    })
    yield* mmuNotifierInvalidateRangeEnd(parent.subscriptions, window)
  }
  return complete
})

/**
 * `copy_huge_pmd`: the huge entry that begins there; what may be pinned is split, as it has to be copied page by page.
 *
 * @returns where to go on: behind it, or there
 */
const copyHugePmd = procedure(function* (parent: Mm, child: Mm, va: number) {
  const span = spanOf(parent, va)
  const copied = yield* underLock(pageTableLock(parent, va), "copy_huge_pmd", [parent.name, va], () => {
    if (!isHuge(parent, va)) return "no"
    const { folios } = parent.system
    const pages = pagesOf(span).map((page) => mappedPage(at(parent.pte, page).value))
    if (parent.state.hasPinned && pages.some((page) => page !== null && maybePinned(folioOf(folios, page))))
      return "pinned"
    for (const page of pagesOf(span)) {
      const entry = copyOneEntry(parent, child, page, null)
      if (typeof entry === "object") sharePresentPte(parent, child, page, entry)
    }
    hugePmdOf(child, va).huge.value = true
    return "copied"
  })
  if (copied === "pinned") yield* splitHugePmd(hugePmdOf(parent, va))
  return copied === "copied" ? span.end : va
})

/**
 * `copy_pte_range`, of one entry; a page that may be pinned is copied at once, which takes a page allocated without the
 * locks. Between the look at the pins and the write protection somebody may pin the page without locks: that is what
 * `write_protect_seq` is for.
 */
const copyPte = procedure(function* (parent: Mm, child: Mm, va: number) {
  const { folios } = parent.system
  let prealloc: Frame | null = null
  const head = yield* enterLoop("copy_pte_range")
  for (;;) {
    yield* head(prealloc)
    const spare: Frame | null = prealloc
    const copied = yield* underLock(pageTableLock(parent, va), "copy_pte_range", [parent.name, va], () => {
      const result = copyOneEntry(parent, child, va, spare)
      if (spare !== null && result !== "used" && result !== "-EAGAIN") folioPut(folios, spare)
      if (typeof result === "object") keep(pageTableLock(parent, va))
      return result
    })
    if (typeof copied === "object") {
      yield* step("copy_present_ptes: ptep_set_wrprotect", [parent.name, va], () => {
        sharePresentPte(parent, child, va, copied)
        release(pageTableLock(parent, va))
      })
    }
    if (copied === "-EBUSY") return false
    if (copied !== "-EAGAIN") return true
    prealloc = yield* step("folio_prealloc", [child.name, va], () => folioAlloc(folios, child.name))
    if (prealloc === null) return false
  }
})

/**
 * `used`: the page that was allocated beforehand is the child's now. `-EBUSY`: a page that a device has for itself is
 * locked. An entry: its page is to be shared yet.
 */
type Copied = "copied" | "used" | "-EAGAIN" | "-EBUSY" | Present

/** `copy_nonpresent_pte` and `copy_present_ptes`. */
const copyOneEntry = (parent: Mm, child: Mm, va: number, prealloc: Frame | null): Copied => {
  if (!hasTable(parent, va)) return "copied"
  const source = at(parent.pte, va)
  const pte = source.value
  if (pte === null) return "copied"
  const table = tableOf(child, va).state
  table.linked = true
  table.live = true
  const target = at(child.pte, va)
  switch (pte.kind) {
    case "zero":
    case "special":
      target.value = pte
      return "copied"
    case "swap":
      swapDuplicate(parent.system.swap, pte.slot)
      child.rss.swap++
      source.value = { ...pte, exclusive: false }
      target.value = { ...pte, exclusive: false }
      return "copied"
    case "migration": {
      child.rss[isAnon(folioOf(parent.system.folios, pte.page)) ? "anon" : "file"]++
      const vma = findVma(parent, va)
      const shared = vma !== null && isCow(vma) ? ({ ...pte, mode: "read" } as const) : pte
      source.value = shared
      target.value = shared
      return "copied"
    }
    case "private": {
      // Nobody can have pinned it.
      const folio = folioOf(parent.system.folios, pte.page)
      folio.refcount++
      tryDupAnonRmap(folio, parent)
      child.rss.anon++
      const shared = { ...pte, write: false }
      source.value = shared
      target.value = shared
      return "copied"
    }
    case "exclusive": {
      const restored = tryRestoreExclusivePte(parent, va, pte)
      return restored === null ? "-EBUSY" : copyPresentPte(parent, child, va, restored, prealloc)
    }
    case "marker":
      target.value = pte
      return "copied"
    case "present":
      return copyPresentPte(parent, child, va, pte, prealloc)
  }
}

const copyPresentPte = (parent: Mm, child: Mm, va: number, pte: Present, prealloc: Frame | null): Copied => {
  const { folios } = parent.system
  const folio = folioOf(folios, pte.page)
  if (!isAnon(folio)) {
    folio.refcount++
    addFileRmap(folio)
    sharePresentPte(parent, child, va, pte)
    return "copied"
  }
  if (tryDupAnonRmap(folio, parent)) {
    folio.refcount++
    return pte
  }
  const childVma = findVma(child, va)
  if (prealloc === null || childVma === null) return "-EAGAIN"
  const copy = folioOf(folios, prealloc)
  copy.content = folio.content
  addNewAnonRmap(copy, childVma)
  child.rss.anon++
  at(child.pte, va).value = present(prealloc, mostAccess(childVma), { dirty: true })
  return "used"
}

/**
 * `__copy_present_ptes`: neither may write to a private page from then on. The hardware may have set bits since `pte`
 * was read.
 */
const sharePresentPte = (parent: Mm, child: Mm, va: number, pte: Present): void => {
  const vma = findVma(parent, va)
  const cow = vma !== null && isCow(vma)
  const source = at(parent.pte, va)
  const now = source.value
  if (cow && isWritable(pte) && now?.kind === "present") source.value = wrprotect(now)
  child.rss[isAnon(folioOf(parent.system.folios, pte.page)) ? "anon" : "file"]++
  const shared = cow ? wrprotect(pte) : pte
  at(child.pte, va).value = { ...shared, young: false, dirty: cow ? shared.dirty : false }
}
