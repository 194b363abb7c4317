/**
 * gntdev (drivers/xen/gntdev.c, drivers/xen/grant-table.c): pages that another domain has granted, mapped into a process of
 * a paravirtualised guest. An invalidation gives the grant back, by a hypercall that takes the process's entry along; not
 * while somebody else refers to the page: then a work item does it later, and nobody is waited for.
 *
 * The entry is one of a file without pages: what is not mapped any more is not faulted in again, and a child gets nothing
 * (VM_DONTCOPY). It counts as a reference here, as any entry does.
 */
import type * as Effect from "effect/Effect"
import { fork, guardedStep, procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import { inode } from "../file/inode.ts"
import { type Frame, folioAlloc, folioOf, folioPut } from "../mm/folio.ts"
import { type Mm, pageTableLock } from "../mm/mm.ts"
import { mappedPage, present } from "../mm/pte.ts"
import { at } from "../mm/range.ts"
import { removeRmap } from "../mm/rmap.ts"
import { dropTranslations } from "../mm/tlb.ts"
import { anonymous } from "../mm/vma.ts"
import type { NotifierRange } from "../notifier/events.ts"
import { type IntervalSubscription, intervalSubscription } from "../notifier/interval.ts"
import { isFree, underLock } from "../sync/spinlock.ts"

/** `struct gntdev_grant_map`, of one page. */
export interface GrantMap {
  readonly name: string
  readonly mm: Mm
  readonly va: number
  readonly iv: IntervalSubscription
  readonly page: Frame
  readonly state: Struct<{
    /** `live_grants`: whether the grant is mapped, so that the other domain has not got its page back. */
    live: boolean
    /** `being_removed` */
    beingRemoved: boolean
  }>
}

/** What `gntdev_mmap` leaves behind: a page of the process that is another domain's. Its subscription is not inserted. */
export const grantMap = (mm: Mm, name: string, va: number): GrantMap => {
  const { system } = mm
  const file = inode(system, name, { size: 0 })
  const page = folioAlloc(system.folios, mm.name)
  if (page === null) throw new RangeError("there is no memory for the granted page")
  const folio = folioOf(system.folios, page)
  folio.mapping = file.name
  folio.refcount++
  folio.mapcount++
  mm.rss.file++
  at(mm.vma, va).value = { ...anonymous, shared: true, file: file.name }
  at(mm.pte, va).value = present(page, "write", { dirty: true })
  for (const tlb of mm.tlbs.values()) at(tlb, va).value = { page, write: true, dirty: true }
  const map: GrantMap = {
    name,
    mm,
    va,
    iv: intervalSubscription(mm.subscriptions, name, { start: va, end: va + 1 }, (range) => invalidate(map, range)),
    page,
    state: struct(`${name}.map`, { live: true, beingRemoved: false }),
  }
  return map
}

/** `gntdev_invalidate`. There is no sequence to be set: what is given back is not mapped again. */
const invalidate = procedure(function* (map: GrantMap, range: NotifierRange) {
  if (!range.blockable) return false
  yield* unmapGrantPages(map)
  return true
})

/** `unmap_grant_pages`: of what is about to be given back already, nothing is done again. */
const unmapGrantPages = procedure(function* (map: GrantMap) {
  const { name, mm, va, state } = map
  const begins = yield* step("unmap_grant_pages", [name], () => {
    if (!state.live || state.beingRemoved) return false
    state.beingRemoved = true
    return true
  })
  if (!begins) return
  const done = yield* underLock(pageTableLock(mm, va), "__gnttab_unmap_refs_async", [name], () => {
    if (isUsed(map)) return false
    gnttabUnmapRefs(map)
    return true
  })
  if (!done) yield* fork(`${name}-work`, gnttabUnmapWork(map))
})

/** `gnttab_unmap_work`, which looks again every few milliseconds. */
const gnttabUnmapWork = (map: GrantMap): Effect.Effect<void> =>
  guardedStep(
    "gnttab_unmap_work",
    [map.name],
    () => isFree(pageTableLock(map.mm, map.va)) && !isUsed(map),
    () => gnttabUnmapRefs(map),
  )

/** Whether anybody but the driver and page tables refers to the page (`page_count(page) > 1`). Within a step or guard. */
export const isUsed = ({ mm, page }: GrantMap): boolean => {
  const { refcount, mapcount } = folioOf(mm.system.folios, page)
  return refcount - mapcount > 1
}

/**
 * `gnttab_unmap_refs`, and what `__unmap_grant_pages_done` gives up. The look at the references is one step with it: the
 * kernel holds no lock over both, and who gets the page in between uses another domain's.
 */
export const gnttabUnmapRefs = ({ mm, va, page, state }: GrantMap): void => {
  const { folios } = mm.system
  const folio = folioOf(folios, page)
  const pte = at(mm.pte, va)
  if (mappedPage(pte.value)?.pfn === page.pfn) {
    pte.value = null
    mm.rss.file--
    dropTranslations(mm, { start: va, end: va + 1 })
    removeRmap(folio)
    folioPut(folios, page)
  }
  state.live = false
  folioPut(folios, page)
}
