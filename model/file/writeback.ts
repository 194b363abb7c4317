/** Writing dirty pages of a file to the disk (mm/page-writeback.c; mm/rmap.c: page_mkclean_one). */
import { guardedStep, procedure, self, step } from "../../checker/program/index.ts"
import { type Frame, folioLockWait, folioOf, folioPut } from "../mm/folio.ts"
import { type Mm, pageTableLock } from "../mm/mm.ts"
import { wrprotect } from "../mm/pte.ts"
import { at } from "../mm/range.ts"
import { clearMapping } from "../mm/reclaim.ts"
import { rmapWalk } from "../mm/rmap.ts"
import type { System } from "../mm/system.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { keep, release, underLock } from "../sync/spinlock.ts"
import { filemapGetFolio, type Inode } from "./inode.ts"

/** `write_cache_pages`, of one page: if it is dirty it is cleaned, write-protected wherever it is mapped, and written. */
export const writeback = procedure(function* (system: System, file: Inode, index: number) {
  const { folios } = system
  const frame = yield* filemapGetFolio(system, file, index, "filemap_get_folios_tag")
  if (frame === null) return
  const locked = yield* guardedStep(
    "folio_lock",
    [frame.pfn],
    () => folioOf(folios, frame).lock === "" && !folioOf(folios, frame).writeback,
    () => {
      const folio = folioOf(folios, frame)
      if (folio.mapping !== file.name) {
        folioPut(folios, frame)
        return false
      }
      folio.lock = self()
      return true
    },
    folioLockWait(folios, frame),
  )
  if (!locked) return
  yield* rmapWalk(system, frame, (mm, va) => pageMkcleanOne(mm, va, frame))
  const write = yield* step("folio_clear_dirty_for_io", [frame.pfn], () => {
    const folio = folioOf(folios, frame)
    const dirty = folio.dirty
    folio.dirty = false
    folio.writeback = dirty
    folio.lock = ""
    return dirty
  })
  if (write) {
    yield* step("submit_bio", [file.name, index], () => {
      at(file.disk, index).value = folioOf(folios, frame).content
    })
  }
  yield* step("folio_end_writeback", [frame.pfn], () => {
    folioOf(folios, frame).writeback = false
    folioPut(folios, frame)
  })
})

/** `page_mkclean_one`: the entry keeps its page, clean and without the right to write; the next store is a fault. */
const pageMkcleanOne = procedure(function* (mm: Mm, va: number, frame: Frame) {
  const ptl = pageTableLock(mm, va)
  const window = notifierRange("PROTECTION_PAGE", "page_mkclean_one", { start: va, end: va + 1 })
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  const taken = yield* underLock(ptl, "page_mkclean_one: ptep_clear_flush", [mm.name, va], () => {
    const pte = at(mm.pte, va).value
    if (pte?.kind !== "present" || (!pte.dirty && pte.access !== "write")) return null
    const cleared = clearMapping(mm, va, frame)
    if (cleared?.kind !== "present") return null
    keep(ptl)
    return cleared
  })
  if (taken !== null) {
    yield* step("page_mkclean_one: set_pte_at", [mm.name, va], () => {
      at(mm.pte, va).value = { ...wrprotect(taken), dirty: false }
      release(ptl)
    })
  }
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
})
