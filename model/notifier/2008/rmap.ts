/** What goes from the page to its mappings in 2008 (mm/rmap.c, mm/vmscan.c): reclaim, ageing, writeback. */
import type * as Effect from "effect/Effect"
import { guardedStep, procedure, self, step } from "../../../checker/program/index.ts"
import { type Frame, folioOf } from "../../mm/folio.ts"
import { type Present, wrprotect } from "../../mm/pte.ts"
import { at } from "../../mm/range.ts"
import { keep, release, underLock } from "../../sync/spinlock.ts"
import { type Machine, mappedFor, putPage } from "./machine.ts"
import { agePage, invalidatePage } from "./mmuNotifier.ts"
import { pageRmapExternal, rmapInvalidatePage } from "./rmapNotifier.ts"

/** Whether the process's entry maps the page. Within a step. */
const maps = (of: Machine, va: number, frame: Frame): boolean => {
  const mapped = mappedFor(of, va, false)
  return mapped?.pfn === frame.pfn && mapped.generation === frame.generation
}

const lockRmap = ({ file }: Machine): Effect.Effect<void> =>
  underLock(file.iMmapLock, "spin_lock(i_mmap_lock)", [], () => keep(file.iMmapLock))

const unlockRmap = ({ file }: Machine): Effect.Effect<void> =>
  step("spin_unlock(i_mmap_lock)", () => release(file.iMmapLock))

/** `shrink_page_list`, of a page of the file: frees it unless somebody used it or cannot let go of it. */
export const shrinkPage = procedure(function* (of: Machine, index: number, ages: boolean) {
  const cached = at(of.file.cache, index)
  const frame = yield* step("shrink_page_list: TestSetPageLocked", [index], () => {
    if (cached.value === null) return null
    const folio = folioOf(of.folios, cached.value)
    if (folio.lock !== "") return null
    folio.lock = self()
    folio.refcount++
    return cached.value
  })
  if (frame === null) return
  if (ages && (yield* pageReferenced(of, index, frame))) return yield* keepPage(of, frame)
  if (!(yield* tryToUnmap(of, index, frame))) return yield* keepPage(of, frame)

  yield* step("pageout", [frame.pfn], () => {
    const folio = folioOf(of.folios, frame)
    if (!folio.dirty || folio.refcount !== freeable) return
    folio.dirty = false
    at(of.file.disk, index).value = folio.content
  })
  const removed = yield* step("remove_mapping", [frame.pfn], () => {
    const folio = folioOf(of.folios, frame)
    if (folio.refcount !== freeable || folio.dirty) return false
    cached.value = null
    folio.lock = ""
    putPage(of, frame)
    putPage(of, frame)
    return true
  })
  if (!removed) yield* keepPage(of, frame)
})

/** The references of a page that only the page cache and reclaim refer to. */
const freeable = 2

const keepPage = (of: Machine, frame: Frame): Effect.Effect<void> =>
  step("putback_lru_page", [frame.pfn], () => {
    folioOf(of.folios, frame).lock = ""
    putPage(of, frame)
  })

/** `page_referenced`: whether the process or a device used the page since it was last asked. */
const pageReferenced = procedure(function* (of: Machine, va: number, frame: Frame) {
  yield* lockRmap(of)
  const young = yield* underLock(of.mm.ptl, "ptep_clear_flush_young", [va], () => {
    const pte = at(of.mm.pte, va)
    if (pte.value?.kind !== "present" || !maps(of, va, frame)) return null
    keep(of.mm.ptl)
    const before = pte.value.young
    pte.value = { ...pte.value, young: false }
    return before
  })
  let referenced = false
  if (young !== null) {
    const external = yield* agePage(of, va)
    referenced = yield* step("page_referenced_one", [va], () => {
      release(of.mm.ptl)
      return young || external
    })
  }
  yield* unlockRmap(of)
  return referenced
})

/**
 * `try_to_unmap`, the page locked: external mappers that may sleep first, as afterwards spinlocks are held. False when one
 * of them cannot let go of the page.
 */
const tryToUnmap = procedure(function* (of: Machine, va: number, frame: Frame) {
  if (yield* pageRmapExternal(of, frame, "try_to_unmap")) {
    if (!(yield* rmapInvalidatePage(of, frame, "try_to_unmap"))) return false
  }
  yield* lockRmap(of)
  const taken = yield* clearFlush(of, va, frame)
  if (taken !== null) {
    yield* invalidatePage(of, va)
    yield* step("try_to_unmap_one", [va], () => {
      const folio = folioOf(of.folios, frame)
      if (taken.dirty) folio.dirty = true
      folio.mapcount--
      putPage(of, frame)
      release(of.mm.ptl)
    })
  }
  yield* unlockRmap(of)
  return true
})

/** `ptep_clear_flush`, if the entry maps the page: the page table's lock is kept. */
const clearFlush = (of: Machine, va: number, frame: Frame): Effect.Effect<Present | null> =>
  underLock(of.mm.ptl, "ptep_clear_flush", [va], () => {
    const cell = at(of.mm.pte, va)
    const pte = cell.value
    if (pte?.kind !== "present" || !maps(of, va, frame)) return null
    keep(of.mm.ptl)
    cell.value = null
    return pte
  })

/**
 * `page_mkclean`, the page locked: whoever stores to it from now on takes a fault. External mappers have no say here.
 *
 * @returns whether the process has stored to it
 */
const pageMkclean = procedure(function* (of: Machine, va: number, frame: Frame) {
  if (yield* pageRmapExternal(of, frame, "page_mkclean")) yield* rmapInvalidatePage(of, frame, "page_mkclean")
  yield* lockRmap(of)
  const taken = yield* clearFlush(of, va, frame)
  if (taken !== null) {
    yield* invalidatePage(of, va)
    yield* step("page_mkclean_one", [va], () => {
      at(of.mm.pte, va).value = { ...wrprotect(taken), dirty: false }
      release(of.mm.ptl)
    })
  }
  yield* unlockRmap(of)
  return taken?.dirty === true
})

/** `write_cache_pages`, of one page: fsync. */
export const writePage = procedure(function* (of: Machine, index: number) {
  const cached = at(of.file.cache, index)
  const frame = yield* guardedStep(
    "write_cache_pages: lock_page",
    [index],
    () => cached.value === null || folioOf(of.folios, cached.value).lock === "",
    () => {
      if (cached.value === null) return null
      const folio = folioOf(of.folios, cached.value)
      if (!folio.dirty) return null
      folio.lock = self()
      folio.refcount++
      return cached.value
    },
  )
  if (frame === null) return
  if (of.file.accountsDirty && (yield* pageMkclean(of, index, frame))) {
    yield* step("set_page_dirty", [frame.pfn], () => {
      folioOf(of.folios, frame).dirty = true
    })
  }
  yield* step("clear_page_dirty_for_io", [frame.pfn], () => {
    const folio = folioOf(of.folios, frame)
    folio.dirty = false
    folio.writeback = true
    folio.lock = ""
  })
  yield* step("end_page_writeback", [frame.pfn], () => {
    const folio = folioOf(of.folios, frame)
    at(of.file.disk, index).value = folio.content
    folio.writeback = false
    putPage(of, frame)
  })
})
