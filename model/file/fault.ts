/** Faults in file mappings (mm/filemap.c: filemap_fault; mm/memory.c: do_fault). */
import type * as Effect from "effect/Effect"
import { guardedStep, procedure, self, step } from "../../checker/program/index.ts"
import { allocAnonFolio, type FaultFlags, type FaultResult, lockedVma } from "../mm/fault.ts"
import { type Frame, folioLockWait, folioOf, folioPut, isFrozen } from "../mm/folio.ts"
import { hasTable, type Mm, pageTableLock, tableOf } from "../mm/mm.ts"
import { type Access, present } from "../mm/pte.ts"
import { at, pagesOf } from "../mm/range.ts"
import { addFileRmap, addNewAnonRmap } from "../mm/rmap.ts"
import type { System } from "../mm/system.ts"
import { mostAccess, type Vma } from "../mm/vma.ts"
import { areaOf } from "../mm/vmaMerge.ts"
import { downRead, upRead } from "../sync/rwsem.ts"
import { underLock } from "../sync/spinlock.ts"
import { filemapAddFolio, filemapReadFolio, folioEndRead, type Inode, inodeOf, withinSize } from "./inode.ts"

/** The file behind a page, which its VMA names. Within a step. */
const backing = (mm: Mm, va: number): { readonly file: Inode; readonly vma: Vma } => {
  const vma = lockedVma(mm, va)
  return { file: inodeOf(mm.system, vma.file ?? ""), vma }
}

/**
 * `do_cow_fault`: a private copy of a page of a file is mapped. The page for it is allocated, and the area given its
 * anon_vma, before the file is looked at.
 */
export const cowFault = procedure(function* (mm: Mm, va: number, flags: FaultFlags) {
  const fresh = yield* allocAnonFolio(mm, va, flags, "do_cow_fault: folio_prealloc")
  if (fresh === "OOM" || fresh === "RETRY") return fresh
  const { result, used } = yield* faultPage(mm, va, true, fresh)
  if (!used) yield* step("do_cow_fault: folio_put", [fresh.pfn], () => folioPut(mm.system.folios, fresh))
  return result
})

/** `do_read_fault` and `do_shared_fault`: a page of a file is mapped. */
export const fileFault = procedure(function* (mm: Mm, va: number, write: boolean) {
  if (!write && mm.system.faultAround > 1 && (yield* doFaultAround(mm, va))) return "done" as const
  return (yield* faultPage(mm, va, write, null)).result
})

/**
 * `do_fault_around`, `filemap_map_pages`: maps what is cached of the area around a page, as far as its page table goes
 * and nobody has locked it.
 *
 * @returns whether the page itself was among it
 */
const doFaultAround = (mm: Mm, va: number): Effect.Effect<boolean> =>
  underLock(pageTableLock(mm, va), "filemap_map_pages", [mm.name, va], () => {
    if (!hasTable(mm, va)) return true
    const { folios, faultAround } = mm.system
    const area = areaOf(mm, va)
    const window = Math.floor(va / faultAround)
    for (const near of pagesOf(area)) {
      if (Math.floor(near / faultAround) !== window || tableOf(mm, near) !== tableOf(mm, va)) continue
      const { file, vma } = backing(mm, near)
      const cached = withinSize(file, vma.pgoff) ? at(file.cache, vma.pgoff).value : null
      if (cached === null || at(mm.pte, near).value !== null) continue
      const folio = folioOf(folios, cached)
      if (folio.lock !== "" || !folio.uptodate || isFrozen(folios, cached)) continue
      folio.refcount++
      addFileRmap(folio)
      mm.rss.file++
      at(mm.pte, near).value = present(cached, fileAccess(vma, file, false))
    }
    return at(mm.pte, va).value !== null
  })

/**
 * `__do_fault` and `finish_fault`. Whether the OOM reaper is at work is asked before the page table's lock is taken: the
 * reaper may begin, and be through with the page, before it is mapped.
 *
 * @param fresh the page for a private copy, if one is to be mapped
 * @returns also whether that page was used or, where somebody was faster, given back
 */
const faultPage = procedure(function* (mm: Mm, va: number, write: boolean, fresh: Frame | null) {
  const { system } = mm
  const { folios } = system
  const inCache = () => {
    const { file, vma } = backing(mm, va)
    return file.cache[vma.pgoff]?.value ?? null
  }
  const found = yield* guardedStep(
    "filemap_get_folio",
    [mm.name, va],
    () => !isFrozen(folios, inCache()),
    () => {
      const { file, vma } = backing(mm, va)
      if (!withinSize(file, vma.pgoff)) return "SIGBUS"
      const cached = inCache()
      if (cached !== null) folioOf(folios, cached).refcount++
      return { name: file.name, index: vma.pgoff, cached, shared: vma.shared }
    },
  )
  if (found === "SIGBUS") return unused(found)
  const { name, index, cached, shared } = found
  const file = inodeOf(system, name)
  if (cached === null) return unused(yield* pageCacheRa(system, file, index))

  const locked = yield* lockFolio(system, file, cached, index)
  if (locked !== "locked") return unused(locked)
  if (fresh !== null) {
    yield* step("do_cow_fault: copy_mc_user_highpage", [mm.name, va], () => {
      folioOf(folios, fresh).content = folioOf(folios, cached).content
    })
  }
  const stable =
    shared || (yield* step("finish_fault: check_stable_address_space", [mm.name, va], () => !mm.state.unstable))
  if (!stable) {
    yield* unlockPut(system, cached)
    return unused("SIGBUS")
  }
  const sharedWrite = shared && write
  if (sharedWrite && file.tracksDirty) {
    yield* step("do_shared_fault: folio_unlock", [cached.pfn], () => {
      folioOf(folios, cached).lock = ""
    })
    if (!(yield* doPageMkwrite(system, cached))) {
      yield* step("do_shared_fault: folio_put", [cached.pfn], () => folioPut(folios, cached))
      return unused("done")
    }
  }
  const mapped = yield* underLock(pageTableLock(mm, va), "finish_fault", [mm.name, va], () => {
    const pte = at(mm.pte, va)
    const { vma } = backing(mm, va)
    if (pte.value !== null || !hasTable(mm, va)) {
      if (fresh !== null) folioPut(folios, fresh)
      return false
    }
    if (fresh === null) {
      addFileRmap(folioOf(folios, cached))
      mm.rss.file++
      pte.value = present(cached, fileAccess(vma, file, write), { dirty: write })
    } else {
      addNewAnonRmap(folioOf(folios, fresh), vma)
      mm.rss.anon++
      pte.value = present(fresh, mostAccess(vma), { dirty: true })
    }
    return true
  })
  if (mapped && sharedWrite) yield* faultDirtySharedPage(system, cached)
  else if (mapped && fresh === null) {
    // The reference of the look-up is the entry's from now on.
    yield* step("folio_unlock", [cached.pfn], () => {
      folioOf(folios, cached).lock = ""
    })
  } else yield* unlockPut(system, cached)
  const result: FaultResult = "done"
  return { result, used: true }
})

/** What `faultPage` comes to where it maps nothing. */
const unused = (result: FaultResult) => ({ result, used: false })

/** What an entry for a page of the cache may allow: private ones no stores, shared ones none that the file must hear of first. */
const fileAccess = (vma: Vma, file: Inode, write: boolean): Access => {
  const most = mostAccess(vma)
  return most === "write" && (!vma.shared || (file.tracksDirty && !write)) ? "read" : most
}

/** `lock_folio_maybe_drop_mmap`, and the looks at mapping and size that the lock makes lasting. */
const lockFolio = (system: System, file: Inode, cached: Frame, index: number): Effect.Effect<FaultResult | "locked"> =>
  guardedStep(
    "lock_folio_maybe_drop_mmap",
    [cached.pfn],
    () => folioOf(system.folios, cached).lock === "",
    () => {
      const folio = folioOf(system.folios, cached)
      if (folio.mapping !== file.name) {
        folioPut(system.folios, cached)
        return "done"
      }
      if (!withinSize(file, index)) {
        folioPut(system.folios, cached)
        return "SIGBUS"
      }
      folio.lock = self()
      return "locked"
    },
    folioLockWait(system.folios, cached),
  )

/**
 * `page_cache_ra_unbounded`: a page that is not cached is added to the cache, kept from truncation by the invalidate lock
 * until it can be found there, locked, and read in; then the fault begins again.
 */
const pageCacheRa = procedure(function* (system: System, file: Inode, index: number) {
  yield* downRead(file.invalidateLock, "filemap_invalidate_lock_shared", [file.name])
  const added = yield* step("filemap_add_folio", [file.name, index], () => {
    if (!withinSize(file, index) || at(file.cache, index).value !== null) return "cached"
    return filemapAddFolio(system, file, index)
  })
  yield* upRead(file.invalidateLock, "filemap_invalidate_unlock_shared", [file.name])
  if (added === "cached") return "done" as const
  if (added === null) return "OOM" as const
  yield* step("filemap_read_folio", [added.pfn], () => filemapReadFolio(system, added))
  yield* step("folio_end_read", [added.pfn], () => folioEndRead(system, added))
  return "done" as const
})

export const unlockPut = (system: System, frame: Frame): Effect.Effect<void> =>
  step("folio_unlock", [frame.pfn], () => {
    folioOf(system.folios, frame).lock = ""
    folioPut(system.folios, frame)
  })

/**
 * `do_page_mkwrite`, a reference held: the file system (filemap_page_mkwrite) locks the folio, which is about to be
 * stored to, and marks it dirty, unless it has left the file. Writeback does not keep it from that: only devices that
 * need stable pages would have it wait.
 *
 * @returns whether it is locked
 */
export const doPageMkwrite = (system: System, frame: Frame): Effect.Effect<boolean> =>
  guardedStep(
    "page_mkwrite",
    [frame.pfn],
    () => folioOf(system.folios, frame).lock === "",
    () => {
      const folio = folioOf(system.folios, frame)
      if (folio.mapping === "") return false
      folio.lock = self()
      folio.dirty = true
      return true
    },
    folioLockWait(system.folios, frame),
  )

/** `fault_dirty_shared_page`: the entry lets stores through, and the folio, still locked, is dirty; it is unlocked. */
export const faultDirtySharedPage = (system: System, frame: Frame): Effect.Effect<void> =>
  step("fault_dirty_shared_page", [frame.pfn], () => {
    const folio = folioOf(system.folios, frame)
    folio.dirty = true
    folio.lock = ""
  })
