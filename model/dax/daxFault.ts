/**
 * Faults in mappings of DAX files (fs/dax.c: dax_iomap_pte_fault; fs/xfs/xfs_file.c: xfs_filemap_fault). From the look at
 * the extent map to the entry in the page table they keep truncation out by the invalidate lock, held for reading, and
 * each other by the lock of the page cache's entry.
 *
 * Entries of shared mappings are writable at once: that the file system wants to hear of the first store is left out.
 */
import type * as Effect from "effect/Effect"
import { guardedStep, procedure, step, type Wait } from "../../checker/program/index.ts"
import { inodeOf, withinSize } from "../file/inode.ts"
import { unmapMappingRange } from "../file/truncate.ts"
import { allocAnonFolio, type FaultFlags, type FaultResult } from "../mm/fault.ts"
import { type Frame, folioOf, folioPut, zeroes } from "../mm/folio.ts"
import { hasTable, type Mm, pageTableLock } from "../mm/mm.ts"
import { type Pte, present } from "../mm/pte.ts"
import { at } from "../mm/range.ts"
import { addFileRmap, addNewAnonRmap } from "../mm/rmap.ts"
import { mostAccess, type Vma } from "../mm/vma.ts"
import { holding } from "../sync/holding.ts"
import { downRead, upRead } from "../sync/rwsem.ts"
import { underLock } from "../sync/spinlock.ts"
import { allocateBlock, blockOf, type DaxMapping, daxPage, folioOfBlock, lockEntry } from "./daxMapping.ts"

/** `do_fault` of a DAX file: `dax_iomap_fault` under the invalidate lock; a store to a private mapping copies. */
export const daxFault = procedure(function* (mm: Mm, va: number, vma: Vma, flags: FaultFlags) {
  const file = inodeOf(mm.system, vma.file ?? "")
  const { dax } = file
  if (dax === null) return "SIGBUS" as const
  const cow = flags.write && !vma.shared
  const fresh = cow ? yield* allocAnonFolio(mm, va, flags, "do_cow_fault: folio_prealloc") : null
  if (fresh === "OOM" || fresh === "RETRY") return fresh
  yield* downRead(file.invalidateLock, "filemap_invalidate_lock_shared", [file.name])
  const found = yield* daxIomapPteFault(mm, va, { vma, dax, write: flags.write }, fresh)
  yield* upRead(file.invalidateLock, "filemap_invalidate_unlock_shared", [file.name])
  if (fresh !== null && !found.used) {
    yield* step("do_cow_fault: folio_put", [fresh.pfn], () => folioPut(mm.system.folios, fresh))
  }
  return found.result
})

interface Fault {
  readonly vma: Vma
  readonly dax: DaxMapping
  readonly write: boolean
}

/** `dax_iomap_pte_fault`. @param fresh the page for a private copy, if one is to be mapped */
const daxIomapPteFault = procedure(function* (mm: Mm, va: number, fault: Fault, fresh: Frame | null) {
  const { system } = mm
  const { vma, dax } = fault
  const file = inodeOf(system, vma.file ?? "")
  const { pgoff: index } = vma
  const within = yield* step("dax_iomap_pte_fault: i_size_read", [file.name, index], () => withinSize(file, index))
  if (!within) return mappedNothing("SIGBUS")
  const page = daxPage(dax, index)
  yield* guardedStep(
    "grab_mapping_entry",
    [file.name, index],
    () => page.lock === "",
    () => lockEntry(page),
    entryWait(dax, index),
  )
  const block = yield* iomapBegin(mm, fault, fresh === null)
  let done = mappedNothing("done")
  if (block === "ENOSPC") done = mappedNothing("SIGBUS")
  else if (fresh !== null) done = yield* daxFaultCowPage(mm, va, fault, fresh, block)
  else if (block === null) yield* daxLoadHole(mm, va, fault)
  else yield* daxMapBlock(mm, va, fault, block)
  yield* step("dax_unlock_entry", [file.name, index], () => {
    page.lock = ""
  })
  return done
})

/** What a fault comes to that does not use the page for a private copy. */
const mappedNothing = (result: FaultResult) => ({ result, used: false })

/** A wait for the lock of an entry. */
export const entryWait = (dax: DaxMapping, index: number): Wait => ({
  on: `the entry of page ${index}`,
  kind: "dax_entry",
  sleeps: true,
  hindrances: () => holding(daxPage(dax, index).lock),
})

/** `xfs_read_iomap_begin`, `xfs_direct_write_iomap_begin`: which block it is; one that is stored to and has none gets one. */
const iomapBegin = procedure(function* (mm: Mm, { vma, dax, write }: Fault, allocates: boolean) {
  const page = daxPage(dax, vma.pgoff)
  const name = vma.file ?? ""
  const found = yield* step("xfs_bmapi_read", [name, vma.pgoff], () => page.extent)
  if (found !== null || !write || !allocates) return found
  return yield* step("xfs_iomap_write_direct", [name, vma.pgoff], () => {
    page.extent ??= allocateBlock(mm.system.folios, dax.device, name)
    return page.extent ?? ("ENOSPC" as const)
  })
})

/** `dax_fault_cow_page`: the copy is made and mapped; the block is not. */
const daxFaultCowPage = procedure(function* (
  mm: Mm,
  va: number,
  { vma, dax }: Fault,
  fresh: Frame,
  block: number | null,
) {
  const { folios } = mm.system
  yield* step("dax_fault_cow_page: copy_cow_page_dax", [mm.name, va], () => {
    folioOf(folios, fresh).content = block === null ? zeroes : folioOfBlock(folios, dax.device, block).content
  })
  const used = yield* insert(mm, va, "finish_fault", () => {
    addNewAnonRmap(folioOf(folios, fresh), vma)
    mm.rss.anon++
    return present(fresh, mostAccess(vma), { dirty: true })
  })
  const result: FaultResult = "done"
  return { result, used }
})

/** `dax_load_hole`: a load of a hole maps the zero page. */
const daxLoadHole = procedure(function* (mm: Mm, va: number, { vma, dax }: Fault) {
  yield* step("dax_insert_entry", [vma.file, vma.pgoff, "zero"], () => {
    daxPage(dax, vma.pgoff).entry = "zero"
  })
  yield* insert(mm, va, "vmf_insert_mixed", () => ({ kind: "zero", access: "read" }))
})

/** `dax_fault_iter`, of a block: the entry says so (`dax_insert_entry`), zero pages that were mapped go, and it is mapped. */
const daxMapBlock = procedure(function* (mm: Mm, va: number, { vma, dax, write }: Fault, block: number) {
  const { system } = mm
  const { pgoff: index } = vma
  const wasHole = yield* step("dax_insert_entry", [vma.file, index, block], () => {
    const page = daxPage(dax, index)
    const before = page.entry
    page.entry = block
    const folio = folioOfBlock(system.folios, dax.device, block)
    folio.mapping = vma.file ?? ""
    folio.offset = index
    return before === "zero"
  })
  if (wasHole) {
    const file = inodeOf(system, vma.file ?? "")
    yield* unmapMappingRange(system, file, { start: index, end: index + 1 }, { keepCows: true })
  }
  yield* insert(mm, va, "vmf_insert_page_mkwrite", () => {
    const folio = folioOfBlock(system.folios, dax.device, block)
    folio.refcount++
    addFileRmap(folio)
    mm.rss.file++
    const access = vma.shared || vma.prot !== "rw" ? mostAccess(vma) : "read"
    return present(blockOf(dax.device, block).frame, access, { dirty: write })
  })
})

/** Sets an entry where there is none yet, under the page table's lock. @returns whether it did */
const insert = (mm: Mm, va: number, name: string, entry: () => Pte): Effect.Effect<boolean> =>
  underLock(pageTableLock(mm, va), name, [mm.name, va], () => {
    const pte = at(mm.pte, va)
    if (pte.value !== null || !hasTable(mm, va)) return false
    pte.value = entry()
    return true
  })
