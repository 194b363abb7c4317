/** What announces ranges in 2008: munmap and MADV_DONTNEED, which may sleep; truncation, which may not; and exit. */
import type * as Effect from "effect/Effect"
import { guardedStep, procedure, step } from "../../../checker/program/index.ts"
import { folioOf } from "../../mm/folio.ts"
import { at, pagesOf, type Range } from "../../mm/range.ts"
import { downRead, downWrite, upRead, upWrite } from "../../sync/rwsem.ts"
import { keep, release, underLock } from "../../sync/spinlock.ts"
import { type Machine, putPage } from "./machine.ts"
import { freeNotifier, invalidateRangeBegin, invalidateRangeEnd, mmuNotifierRelease } from "./mmuNotifier.ts"

/** `munmap` (mm/mmap.c: unmap_region) */
export const munmap = procedure(function* (of: Machine, range: Range) {
  yield* downWrite(of.mm.mmapSem, "down_write(mmap_sem)")
  yield* step("detach_vmas_to_be_unmapped", [range.start, range.end], () => {
    for (const va of pagesOf(range)) at(of.mm.vma, va).value = false
  })
  yield* zapPageRange(of, range, false)
  yield* upWrite(of.mm.mmapSem, "up_write(mmap_sem)")
})

/** `madvise(MADV_DONTNEED)` */
export const madviseDontneed = procedure(function* (of: Machine, range: Range) {
  yield* downRead(of.mm.mmapSem, "down_read(mmap_sem)")
  yield* zapPageRange(of, range, false)
  yield* upRead(of.mm.mmapSem, "up_read(mmap_sem)")
})

/** `vmtruncate`: the size first, so that no fault brings a page back; then what is mapped; then the page cache. */
export const truncate = procedure(function* (of: Machine, size: number) {
  const { file } = of
  const beyond = { start: size, end: file.cache.length }
  yield* step("i_size_write", [size], () => {
    file.state.size = size
  })
  yield* underLock(file.iMmapLock, "spin_lock(i_mmap_lock)", [], () => keep(file.iMmapLock))
  yield* zapPageRange(of, beyond, true)
  yield* step("spin_unlock(i_mmap_lock)", () => release(file.iMmapLock))
  for (const index of pagesOf(beyond)) yield* truncateInodePage(of, index)
})

/** `zap_page_range`: `details->i_mmap_lock` says whether a spinlock is held around it. */
const zapPageRange = procedure(function* (of: Machine, range: Range, atomic: boolean) {
  yield* invalidateRangeBegin(of, range, atomic)
  for (const va of pagesOf(range)) yield* zapPte(of, va)
  yield* invalidateRangeEnd(of, range, atomic)
})

/** `zap_pte_range`, of one entry. */
const zapPte = (of: Machine, va: number): Effect.Effect<void> =>
  underLock(of.mm.ptl, "zap_pte_range", [va], () => {
    const pte = at(of.mm.pte, va)
    if (pte.value?.kind !== "present") return
    const folio = folioOf(of.folios, pte.value.page)
    if (pte.value.dirty) folio.dirty = true
    folio.mapcount--
    putPage(of, pte.value.page)
    pte.value = null
  })

/** `truncate_complete_page`, under the page lock. */
const truncateInodePage = (of: Machine, index: number): Effect.Effect<void> => {
  const cached = at(of.file.cache, index)
  return guardedStep(
    "truncate_complete_page",
    [index],
    () => cached.value === null || folioOf(of.folios, cached.value).lock === "",
    () => {
      if (cached.value === null) return
      folioOf(of.folios, cached.value).dirty = false
      putPage(of, cached.value)
      cached.value = null
    },
  )
}

/** `do_exit`: the address space goes with its last user, then the files, and with them what drivers keep for the process. */
export const exit = procedure(function* (of: Machine) {
  yield* guardedStep(
    "mmput",
    () => of.mm.state.users === 1,
    () => {
      of.mm.state.users = 0
    },
  )
  const drivers = yield* step("exit_mm", () => of.mmuNotifiers.state.names)
  yield* mmuNotifierRelease(of)
  for (const va of pagesOf({ start: 0, end: of.mm.pages })) {
    yield* zapPte(of, va)
    yield* step("free_pgtables", [va], () => {
      at(of.mm.vma, va).value = false
    })
  }
  for (const name of drivers) yield* freeNotifier(of, name)
})
