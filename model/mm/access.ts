/** Loads and stores of a process's threads: through the CPU's TLB, with page faults where it takes them. */
import * as Effect from "effect/Effect"
import { enterLoop, procedure, self, step } from "../../checker/program/index.ts"
import { Signal } from "../errno.ts"
import { type FaultResult, handleMmFault } from "./fault.ts"
import { type Content, folioOf, zeroes } from "./folio.ts"
import { findVma, hasTable, type Mm, mmapReadLock, mmapReadUnlock, vmaEndRead, vmaLockOf } from "./mm.ts"
import { at } from "./range.ts"
import { type TlbEntry, tlbOf } from "./tlb.ts"
import { allows } from "./vma.ts"

/**
 * A load of a thread on a CPU.
 *
 * @returns what it reads
 * @throws Signal when the page is not mapped for that
 */
export const userLoad = (mm: Mm, cpu: string, va: number): Effect.Effect<Content, Signal> =>
  userAccess(mm, va, false, () =>
    step("user_load", [mm.name, va], () => {
      const entry = translate(mm, cpu, va, false)
      return entry === null ? null : entry.page === null ? zeroes : folioOf(mm.system.folios, entry.page).content
    }),
  )

/**
 * A store of a thread on a CPU.
 *
 * @throws Signal when the page is not mapped for that
 */
export const userStore = (mm: Mm, cpu: string, va: number, content: Content): Effect.Effect<Content, Signal> =>
  userAccess(mm, va, true, () =>
    step("user_store", [mm.name, va, content], () => {
      const entry = translate(mm, cpu, va, true)
      if (entry === null || entry.page === null) return null
      folioOf(mm.system.folios, entry.page).content = content
      return content
    }),
  )

/** The access, again and again until no page fault is in its way. */
const userAccess = procedure(function* (
  mm: Mm,
  va: number,
  write: boolean,
  access: () => Effect.Effect<Content | null>,
) {
  const head = yield* enterLoop("user_access")
  for (;;) {
    yield* head()
    const result = yield* access()
    if (result !== null) return result
    yield* excPageFault(mm, va, write)
  }
})

/**
 * What the hardware does: a translation that the TLB has is used as it is, however stale; else the page table is
 * walked, its accessed and dirty bits are set and the TLB filled. Within a step; `null` is a page fault.
 */
const translate = (mm: Mm, cpu: string, va: number, write: boolean): TlbEntry | null => {
  if (mm.pte[va] === undefined) return null
  const cached = at(tlbOf(mm, cpu), va)
  const entry = cached.value
  if (entry !== null && (!write || (entry.write && entry.dirty))) return entry
  const walked = walk(mm, va, write)
  cached.value = walked
  return walked
}

/** The hardware's page table walk. Within a step. */
export const walk = (mm: Mm, va: number, write: boolean): TlbEntry | null => {
  if (!hasTable(mm, va)) return null
  const cell = at(mm.pte, va)
  const pte = cell.value
  if (pte?.kind === "zero") return write || pte.access === "none" ? null : { page: null, write: false, dirty: false }
  if (pte?.kind === "special") {
    const allowed = write ? pte.access === "write" : pte.access !== "none"
    return allowed ? { page: pte.page, write: pte.access === "write", dirty: true } : null
  }
  if (pte?.kind !== "present" || pte.access === "none" || (write && pte.access !== "write")) return null
  cell.value = { ...pte, young: true, dirty: pte.dirty || write }
  return { page: pte.page, write: pte.access === "write", dirty: pte.dirty || write }
}

/** `exc_page_fault`: under the VMA's lock where that is to be had and does, else under `mmap_lock`. */
const excPageFault = procedure(function* (mm: Mm, va: number, write: boolean) {
  const underVmaLock = yield* step("lock_vma_under_rcu", [mm.name, va], () => {
    const vma = findVma(mm, va)
    if (vma === null || !allows(vma, write) || vmaLockOf(mm, va).writer) return false
    const lock = vmaLockOf(mm, va)
    lock.readers = [...lock.readers, self()].sort()
    return true
  })
  if (underVmaLock) {
    const result = yield* handleMmFault(mm, va, { write, vmaLock: true, allowRetry: true })
    if (result === "UNLOCKED") return
    yield* vmaEndRead(mm, va)
    if (result !== "RETRY") return yield* faultError(result, va)
  }
  yield* mmapReadLock(mm)
  const allowed = yield* step("lock_mm_and_find_vma", [mm.name, va], () => {
    const vma = findVma(mm, va)
    return vma !== null && allows(vma, write)
  })
  const result = allowed ? yield* handleMmFault(mm, va, { write, allowRetry: true }) : ("SIGSEGV" as const)
  if (result === "UNLOCKED") return
  yield* mmapReadUnlock(mm)
  return yield* faultError(result, va)
})

/** `mm_fault_error` */
const faultError = (result: Exclude<FaultResult, "UNLOCKED"> | "SIGSEGV", va: number): Effect.Effect<void, Signal> => {
  // Under mmap_lock no fault ends with RETRY here.
  if (result === "done" || result === "RETRY") return Effect.void
  return Effect.fail(new Signal({ signal: result === "OOM" ? "SIGKILL" : result, va }))
}
