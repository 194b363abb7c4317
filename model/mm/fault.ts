/** Page faults (mm/memory.c: handle_mm_fault). */
import type * as Effect from "effect/Effect"
import { assert, procedure, step } from "../../checker/program/index.ts"
import { daxFault } from "../dax/daxFault.ts"
import { removeDeviceExclusiveEntry } from "../deviceMemory/deviceExclusive.ts"
import { doDevicePrivate } from "../deviceMemory/privateFault.ts"
import { cowFault, fileFault } from "../file/fault.ts"
import { inodeOf, isPfnmap } from "../file/inode.ts"
import { underLock } from "../sync/spinlock.ts"
import { doWpPage } from "./cow.ts"
import { type Frame, folioAlloc, folioOf, folioPut, waitOnLocked } from "./folio.ts"
import { handlePmdFault } from "./hugeFault.ts"
import { hugetlbFault, isVmHugetlbPage } from "./hugetlb.ts"
import { findVma, hasTable, isHuge, type Mm, pageTableLock, tableOf } from "./mm.ts"
import { canChangeWritable } from "./protect.ts"
import {
  type Exclusive,
  isWritable,
  type Migration,
  type Present,
  type Private,
  type Pte,
  present,
  pteSame,
  type Swap,
} from "./pte.ts"
import { at } from "./range.ts"
import { addNewAnonRmap } from "./rmap.ts"
import { doSwapPage } from "./swapIn.ts"
import { handleUserfault } from "./userfaultfd.ts"
import { mostAccess, type Vma } from "./vma.ts"
import { areaOf, giveAnonVma } from "./vmaMerge.ts"

/** What a fault is for, and under which lock (FAULT_FLAG_WRITE, FAULT_FLAG_UNSHARE, FAULT_FLAG_VMA_LOCK). */
export interface FaultFlags {
  readonly write: boolean
  readonly unshare?: boolean
  readonly vmaLock?: boolean
  /** FAULT_FLAG_ALLOW_RETRY: the fault may drop the lock to wait for userspace. */
  readonly allowRetry?: boolean
}

/**
 * `done` promises nothing about the entry: whoever faulted looks again. `RETRY`: it takes `mmap_lock`, not the VMA's.
 * `UNLOCKED`, where `allowRetry` is: it has waited, and the lock is dropped (VM_FAULT_RETRY).
 */
export type FaultResult = "done" | "SIGBUS" | "OOM" | "RETRY" | "UNLOCKED"

/** What `handle_pte_fault` finds, and what it therefore calls. */
type Found =
  | { readonly call: "nothing" | "__pte_alloc" | "do_anonymous_page" | "do_fault" | "do_cow_fault" | "SIGBUS" }
  | { readonly call: "dax_iomap_fault" | "vm_ops->fault"; readonly vma: Vma }
  | { readonly call: "do_swap_page"; readonly pte: Swap }
  | { readonly call: "migration_entry_wait"; readonly pte: Migration }
  | { readonly call: "do_device_private"; readonly pte: Private }
  | { readonly call: "remove_device_exclusive_entry"; readonly pte: Exclusive }
  | { readonly call: "do_numa_page"; readonly pte: Present }
  | { readonly call: "do_wp_page"; readonly pte: Pte }

/**
 * `handle_mm_fault`, with `mmap_lock` or the VMA's lock held for read, and an access that the VMA allows.
 *
 * The entry is read without its lock; every path looks at it again under the lock before it changes it.
 */
export const handleMmFault = procedure(function* (mm: Mm, va: number, flags: FaultFlags) {
  if (yield* isVmHugetlbPage(mm, va)) return yield* hugetlbFault(mm, va, flags)
  if (mm.system.thp) {
    const result = yield* handlePmdFault(mm, va, flags)
    if (result !== "FALLBACK") return result
  }
  const found = yield* step("handle_pte_fault", [mm.name, va], () => handlePteFault(mm, va, flags))
  switch (found.call) {
    case "nothing":
      return "done" as const
    case "SIGBUS":
      return "SIGBUS" as const
    case "__pte_alloc":
      return yield* pteAlloc(mm, va)
    case "do_anonymous_page":
      return yield* doAnonymousPage(mm, va, flags)
    case "do_fault":
      return yield* fileFault(mm, va, flags.write)
    case "do_cow_fault":
      return yield* cowFault(mm, va, flags)
    case "dax_iomap_fault":
      return yield* daxFault(mm, va, found.vma, flags)
    case "vm_ops->fault":
      return yield* vmOpsFault(mm, va, found.vma, flags)
    case "do_swap_page":
      return yield* doSwapPage(mm, va, found.pte, flags.write)
    case "migration_entry_wait":
      return yield* migrationEntryWait(mm, found.pte.page)
    case "do_device_private":
      return yield* doDevicePrivate(mm, va, found.pte, flags)
    case "remove_device_exclusive_entry":
      return yield* removeDeviceExclusiveEntry(mm, va, found.pte)
    case "do_numa_page":
      return yield* doNumaPage(mm, va, found.pte)
    case "do_wp_page":
      return yield* doWpPage(mm, va, found.pte, flags)
  }
})

const handlePteFault = (mm: Mm, va: number, { write, unshare }: FaultFlags): Found => {
  const vma = lockedVma(mm, va)
  if (!hasTable(mm, va)) return { call: "__pte_alloc" }
  if (isHuge(mm, va)) return { call: "nothing" }
  const pte = at(mm.pte, va).value
  switch (pte?.kind) {
    case undefined:
      if (vma.file === null) return { call: "do_anonymous_page" }
      if (isPfnmap(mm.system, vma)) return { call: "vm_ops->fault", vma }
      if (inodeOf(mm.system, vma.file).dax !== null) return { call: "dax_iomap_fault", vma }
      return { call: write && !vma.shared ? "do_cow_fault" : "do_fault" }
    case "swap":
      return { call: "do_swap_page", pte }
    case "migration":
      return { call: "migration_entry_wait", pte }
    case "private":
      return { call: "do_device_private", pte }
    case "exclusive":
      return { call: "remove_device_exclusive_entry", pte }
    case "marker":
      return { call: "SIGBUS" }
    case "zero":
      // A hole that is stored to: the file system has to allocate a block (pfn_mkwrite).
      if (write && vma.shared && vma.file !== null) return { call: "dax_iomap_fault", vma }
      break
    case "present":
      if (pte.access === "none") return { call: "do_numa_page", pte }
  }
  return (write || unshare === true) && !isWritable(pte) ? { call: "do_wp_page", pte } : { call: "nothing" }
}

/** `do_fault`, of an area with VM_PFNMAP: under the VMA's lock no driver is asked (`vmf_can_call_fault`). */
const vmOpsFault = procedure(function* (mm: Mm, va: number, vma: Vma, flags: FaultFlags) {
  if (flags.vmaLock === true) return "RETRY" as const
  const { pfnmap } = inodeOf(mm.system, vma.file ?? "")
  if (pfnmap === null) throw new RangeError(`the area of page ${va} has no driver`)
  return yield* pfnmap.fault(mm, va, vma)
})

/** The VMA that the caller's lock keeps where it is. */
export const lockedVma = (mm: Mm, va: number): Vma => {
  const vma = findVma(mm, va)
  assert(vma !== null, `page ${va} of ${mm.name} has no VMA in the middle of a fault`)
  return vma
}

/** `__pte_alloc`: links an empty page table. */
const pteAlloc = (mm: Mm, va: number): Effect.Effect<FaultResult> =>
  step("__pte_alloc", [mm.name, va], () => {
    linkTable(mm, va)
    return "done"
  })

/** Links an empty page table, if there is none. Within a step. */
export const linkTable = (mm: Mm, va: number): void => {
  const { state } = tableOf(mm, va)
  if (state.linked) return
  state.linked = true
  state.live = true
  state.generation++
}

/** `do_anonymous_page`: the zero page for a load, a fresh page for a store. */
const doAnonymousPage = procedure(function* (mm: Mm, va: number, flags: FaultFlags) {
  const { folios } = mm.system
  const fresh = flags.write ? yield* allocAnonFolio(mm, va, flags, "alloc_anon_folio") : null
  if (fresh === "OOM" || fresh === "RETRY") return fresh
  const result = yield* underLock(pageTableLock(mm, va), "do_anonymous_page", [mm.name, va], () => {
    const pte = at(mm.pte, va)
    const vma = lockedVma(mm, va)
    if (pte.value !== null || mm.state.unstable || !hasTable(mm, va)) {
      if (fresh !== null) folioPut(folios, fresh)
      return mm.state.unstable ? "SIGBUS" : "done"
    }
    if (vma.uffdMissing) {
      if (fresh !== null) folioPut(folios, fresh)
      return "userfault"
    }
    if (fresh === null) pte.value = { kind: "zero", access: "read" }
    else {
      addNewAnonRmap(folioOf(folios, fresh), vma)
      mm.rss.anon++
      pte.value = present(fresh, mostAccess(vma), { dirty: true })
    }
    return "done"
  })
  return result === "userfault" ? yield* handleUserfault(mm, va, flags) : result
})

/**
 * `vmf_anon_prepare` and `folio_prealloc`: the VMA gets its anon_vma, if it has none, and a fresh, zeroed page is
 * allocated and charged to the process; or what the fault comes to instead.
 */
export const allocAnonFolio = (
  mm: Mm,
  va: number,
  flags: FaultFlags,
  name: string,
): Effect.Effect<Frame | "OOM" | "RETRY"> =>
  step(name, [mm.name, va], () =>
    vmfAnonPrepare(mm, va, flags) ? (folioAlloc(mm.system.folios, mm.name) ?? "OOM") : "RETRY",
  )

/**
 * `vmf_anon_prepare`, for the whole area that the page is in. It looks at the neighbours, which the VMA's lock does not
 * keep where they are: false when `mmap_lock` is to be had only by waiting (mmap_read_trylock). Within a step.
 */
export const vmfAnonPrepare = (mm: Mm, va: number, { vmaLock }: FaultFlags): boolean => {
  if (lockedVma(mm, va).anonVmas.length > 0) return true
  if (vmaLock === true && mm.mmapLock.state.writer !== "") return false
  giveAnonVma(mm, areaOf(mm, va))
  return true
}

/** `do_numa_page`, where the page may stay: gives back the access that the VMA allows. */
const doNumaPage = (mm: Mm, va: number, orig: Present): Effect.Effect<FaultResult> =>
  underLock(pageTableLock(mm, va), "do_numa_page", [mm.name, va], () => {
    const pte = at(mm.pte, va)
    if (!pteSame(pte.value, orig)) return "done"
    const most = mostAccess(lockedVma(mm, va))
    pte.value = { ...orig, access: most === "write" && !canChangeWritable(mm, va, orig) ? "read" : most, young: true }
    return "done"
  })

/** `migration_entry_wait`: sleeps, with no reference, until the folio that is being moved is unlocked. */
export const migrationEntryWait = ({ system }: Mm, page: Frame): Effect.Effect<FaultResult> =>
  waitOnLocked(system.folios, "migration_entry_wait", page)
