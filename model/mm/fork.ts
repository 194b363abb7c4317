/** fork's copy of the address space (kernel/fork.c: dup_mmap; mm/memory.c: copy_page_range). */
import * as Effect from "effect/Effect"
import { enterLoop, guardedStep, step } from "../../checker/program/index.ts"
import { Errno } from "../errno.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/interval.ts"
import { underLock } from "../sync/spinlock.ts"
import { mmput } from "./exit.ts"
import { type Frame, folioAlloc, folioOf, folioPut } from "./folio.ts"
import {
  findVma,
  hasTable,
  type Mm,
  mmapWriteLock,
  mmapWriteUnlock,
  pageTableLock,
  tableOf,
  vmaStartWrite,
} from "./mm.ts"
import { type Present, present, wrprotect } from "./pte.ts"
import { at, pagesOf, type Range } from "./range.ts"
import { addFileRmap, addNewAnonRmap, canChangeTrees, isAnon, tryDupAnonRmap } from "./rmap.ts"
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
export const dupMmap = Effect.fnUntraced(function* (parent: Mm, child: Mm) {
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

/** Copies an area; returns whether its page table is to be copied too (`vma_needs_copy`): what can be faulted in again is not. */
const dupArea = (parent: Mm, child: Mm, area: Range): boolean => {
  const first = findVma(parent, area.start)
  if (first === null) return false
  const inherited = first.anonVmas.length > 0 && !first.wipeOnFork
  // anon_vma_fork: one of its own for each area, besides those of its forebears.
  const anonVmas = inherited ? [...first.anonVmas, anonVmaAlloc(child)] : []
  for (const va of pagesOf(area)) {
    const vma = findVma(parent, va)
    if (vma !== null) at(child.vma, va).value = { ...vma, locked: false, anonVmas }
  }
  return inherited
}

/** `copy_page_range`; false when there is no memory. */
const copyPageRange = Effect.fnUntraced(function* (parent: Mm, child: Mm, area: Range) {
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
  for (const va of pagesOf(area)) {
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

/** `copy_pte_range`, of one entry; a page that may be pinned is copied at once, which takes a page allocated without the locks. */
const copyPte = Effect.fnUntraced(function* (parent: Mm, child: Mm, va: number) {
  const { folios } = parent.system
  let prealloc: Frame | null = null
  const head = yield* enterLoop("copy_pte_range")
  for (;;) {
    yield* head(prealloc)
    const spare: Frame | null = prealloc
    const copied = yield* underLock(pageTableLock(parent, va), "copy_pte_range", [parent.name, va], () => {
      const result = copyOneEntry(parent, child, va, spare)
      if (spare !== null && result === "copied") folioPut(folios, spare)
      return result
    })
    if (copied !== "-EAGAIN") return true
    prealloc = yield* step("folio_prealloc", [child.name, va], () => folioAlloc(folios, child.name))
    if (prealloc === null) return false
  }
})

/** `copy_nonpresent_pte` and `copy_present_ptes`. `used`: the page that was allocated beforehand is the child's now. */
const copyOneEntry = (parent: Mm, child: Mm, va: number, prealloc: Frame | null): "copied" | "used" | "-EAGAIN" => {
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
    case "marker":
      target.value = pte
      return "copied"
    case "present":
      return copyPresentPte(parent, child, va, pte, prealloc)
  }
}

const copyPresentPte = (parent: Mm, child: Mm, va: number, pte: Present, prealloc: Frame | null) => {
  const { folios } = parent.system
  const folio = folioOf(folios, pte.page)
  const vma = findVma(parent, va)
  const target = at(child.pte, va)
  if (!isAnon(folio)) addFileRmap(folio)
  else if (!tryDupAnonRmap(folio)) {
    if (prealloc === null) return "-EAGAIN"
    const copy = folioOf(folios, prealloc)
    copy.content = folio.content
    const childVma = findVma(child, va)
    if (childVma === null) return "-EAGAIN"
    addNewAnonRmap(copy, childVma)
    child.rss.anon++
    target.value = present(prealloc, mostAccess(childVma), { dirty: true })
    return "used"
  }
  folio.refcount++
  child.rss[isAnon(folio) ? "anon" : "file"]++
  const cow = vma !== null && isCow(vma)
  const shared = cow ? wrprotect(pte) : pte
  if (shared.access !== pte.access) at(parent.pte, va).value = shared
  target.value = { ...shared, young: false, dirty: cow ? shared.dirty : false }
  return "copied"
}
