/**
 * A GPU with memory of its own, in the way of nouveau (drivers/gpu/drm/nouveau/nouveau_dmem.c, nouveau_svm.c) and amdgpu
 * (drivers/gpu/drm/amd/amdkfd/kfd_migrate.c, kfd_svm.c): it mirrors the process's page table, takes pages into its memory,
 * gives them back when the CPU wants them or its memory runs short, and has pages for itself for atomic accesses.
 */
import type * as Effect from "effect/Effect"
import { type Cell, cell, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { makeDeviceExclusive, unlockAndPut } from "../deviceMemory/deviceExclusive.ts"
import {
  type MigrateSlot,
  type MigrateVma,
  migrateVmaFinalize,
  migrateVmaPages,
  migrateVmaSetup,
} from "../deviceMemory/migrateVma.ts"
import { type DevPagemap, type PrivateFault, pgmapOf, zoneDevicePageInit } from "../deviceMemory/pgmap.ts"
import { hmmRangeFault } from "../hmm/rangeFault.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import type { FaultResult } from "../mm/fault.ts"
import { type Content, type Frame, folioAllocUncharged, folioLock, folioOf, isLive, zeroes } from "../mm/folio.ts"
import { type Mm, mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import { isRmapped } from "../mm/pte.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import type { System } from "../mm/system.ts"
import type { NotifierRange } from "../notifier/events.ts"
import {
  type IntervalSubscription,
  intervalSubscription,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
  mmuIntervalSetSeq,
} from "../notifier/interval.ts"
import { type Mutex, mutex, mutexLock, mutexTrylock, mutexUnlock } from "../sync/mutex.ts"

/** An entry of the GPU's page table: `page` is `null` for the zero page; `atomic` if the page is the GPU's alone. */
export type GpuPte = { readonly page: Frame | null; readonly write: boolean; readonly atomic: boolean }

/** A GPU, with the driver's state for one process. */
export interface Gpu {
  readonly name: string
  readonly mm: Mm
  readonly memory: DevPagemap
  readonly iv: IntervalSubscription
  /** The lock of its page table. */
  readonly lock: Mutex
  /** Its fault buffer has one reader: one fault at a time (`nouveau_svm_fault`). */
  readonly faults: Mutex
  readonly pageTable: ReadonlyArray<Cell<GpuPte | null>>
}

/** Makes a GPU that maps nothing, with a subscription to all of the process's memory, not inserted. */
export const gpuDevice = (mm: Mm, name: string, memory: DevPagemap): Gpu => {
  const lock = mutex(`${name}.lock`)
  const pageTable = mm.pte.map((_, va) => cell<GpuPte | null>(`${name}.pte${va}`, null))

  /** `ops->invalidate` */
  const invalidate = procedure(function* (range: NotifierRange, seq: number) {
    // It makes the page its own, and what it maps stays as it is.
    if (range.event === "EXCLUSIVE" && range.owner === name) return true
    if (range.blockable) yield* mutexLock(lock)
    else if (!(yield* mutexTrylock(lock))) return false
    yield* mmuIntervalSetSeq(iv, seq)
    yield* step("gpu_unmap", [name, range.start, range.end], () => {
      for (const va of pagesOf(range)) at(pageTable, va).value = null
    })
    yield* mutexUnlock(lock)
    return true
  })
  const iv: IntervalSubscription = intervalSubscription(mm.subscriptions, name, { start: 0, end: mm.pages }, invalidate)
  const gpu: Gpu = { name, mm, memory, iv, lock, faults: mutex(`${name}.faults`), pageTable }
  memory.migrateToRam = (fault) => migrateToRam(memory, fault)
  return gpu
}

/** Makes an entry of the GPU's. What it may store to in system memory is dirty: the process's page table will not tell. */
const gpuMap = (gpu: Gpu, va: number, entry: GpuPte): Effect.Effect<void> =>
  step("gpu_map", [gpu.name, va], () => {
    const { folios } = gpu.mm.system
    at(gpu.pageTable, va).value = entry
    if (entry.write && entry.page !== null && isLive(folios, entry.page)) folioOf(folios, entry.page).dirty = true
  })

/**
 * A fault of the GPU on one page: maps what the process has there.
 *
 * @param mapsWrite whether it is mapped for writing where the process's entry allows that, asked for or not
 * @returns false when the process has nothing there for that, or is gone
 */
const gpuFault = procedure(function* (gpu: Gpu, va: number, write: boolean, mapsWrite: boolean = true) {
  const { mm, iv, lock, memory } = gpu
  const range = { start: va, end: va + 1 }
  const head = yield* enterLoop("gpu_fault")
  for (;;) {
    yield* head()
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, iv)
    yield* mmapReadLock(mm)
    const pfns = yield* hmmRangeFault(mm, iv, seq, range, write, memory.owner)
    yield* mmapReadUnlock(mm)
    if (pfns === "-EBUSY") continue
    if (pfns === "-EFAULT" || pfns === "-EPERM") return false
    yield* mutexLock(lock)
    const stale = yield* mmuIntervalReadRetry(iv, seq)
    const [pfn] = pfns
    if (!stale && pfn !== undefined) yield* gpuMap(gpu, va, { ...pfn, write: pfn.write && mapsWrite, atomic: false })
    yield* mutexUnlock(lock)
    if (!stale) return true
  }
})

/**
 * Takes the pages of a range into the GPU's memory, those that can be had (`nouveau_dmem_migrate_vma`). Pages that are not
 * there yet come into being there. The GPU's next fault maps them (as with amdgpu and Xe): whoever mapped them here, before
 * they are unlocked, would have to ask the sequence, as a zap takes migration entries away and waits for no lock.
 *
 * @param select which pages: those of other devices with the same owner too, if it is said so (as Xe does)
 * @returns whether all were moved; the process may be gone
 */
export const gpuMigrateToDevice = procedure(function* (
  gpu: Gpu,
  range: Range,
  select: MigrateVma["select"] = "system",
) {
  const { mm, memory } = gpu
  if (!(yield* mmgetNotZero(mm))) return false
  yield* mmapReadLock(mm)
  const args: MigrateVma = { mm, range, select, owner: memory.owner }
  const slots: Array<MigrateSlot> = []
  for (const slot of yield* migrateVmaSetup(args)) {
    const isThere = slot.src !== null && pgmapOf(mm.system.folios, slot.src) === memory
    const dst = slot.migrate && !isThere ? yield* zoneDevicePageInit(mm.system.folios, memory) : null
    if (dst !== null) yield* copyPage(mm.system, slot.src, dst)
    slots.push({ ...slot, dst })
  }
  const moved = yield* migrateVmaPages(args, slots)
  yield* migrateVmaFinalize(args, moved)
  yield* mmapReadUnlock(mm)
  yield* mmput(mm)
  return moved.every(({ migrate }) => migrate)
})

/** The GPU's copy engine: the content of a page, or zeroes where there was none. */
export const copyPage = ({ folios }: System, src: Frame | null, dst: Frame): Effect.Effect<void> =>
  step("copy_page", [src?.pfn ?? null, dst.pfn], () => {
    folioOf(folios, dst).content = src === null ? zeroes : folioOf(folios, src).content
  })

/** `nouveau_dmem_migrate_to_ram`, `svm_migrate_to_ram`: gives the page back that a CPU has faulted on. */
const migrateToRam = procedure(function* (memory: DevPagemap, { mm, va, page }: PrivateFault) {
  const range = { start: va, end: va + 1 }
  const args: MigrateVma = { mm, range, select: memory.type, owner: memory.owner, faultPage: page }
  const done: FaultResult = "done"
  const [slot] = yield* migrateVmaSetup(args)
  // It is gone, or somebody else refers to it: the fault comes again.
  if (slot === undefined || slot.src === null || !slot.migrate) return done
  const dst = yield* allocSystemPage(mm.system)
  if (dst !== null) yield* copyPage(mm.system, slot.src, dst)
  const moved = yield* migrateVmaPages(args, [{ ...slot, dst }])
  yield* migrateVmaFinalize(args, moved)
  return dst === null ? "SIGBUS" : done
})

/** `alloc_page_vma` and `lock_page`: a page of system memory, which takes the charge of the one it replaces. */
export const allocSystemPage = procedure(function* ({ folios }: System) {
  const frame = yield* step("alloc_page_vma", () => folioAllocUncharged(folios))
  if (frame !== null) yield* folioLock(folios, frame)
  return frame
})

/** How often an atomic fault is tried before its time is over (HMM_RANGE_DEFAULT_TIMEOUT). */
const mostRounds = 2

/** A bound of the driver's is reached: true, unless it has none. */
const givesUp = ({ name }: Gpu, what: string): Effect.Effect<boolean> => step(what, [name], () => true)

/**
 * An atomic fault (`nouveau_atomic_range_fault`): has the page for itself, and programs the GPU before anybody can take it
 * back.
 *
 * What an earlier round has left exclusive is undone before the sequence is read: `make_device_exclusive` would do it
 * behind, by a fault that invalidates the page (CLEAR, of which the driver does not know that it is its own doing), and
 * every round would find its sequence stale on account of the one before. Nouveau's goes on so until its time is over.
 *
 * @returns false when the page cannot be had so, or not in time
 */
export const gpuAtomicFault = procedure(function* (gpu: Gpu, va: number) {
  const { mm, iv, lock, name } = gpu
  const head = yield* enterLoop("nouveau_atomic_range_fault")
  for (let round = 0; ; round = Math.min(round + 1, mostRounds)) {
    yield* head(round)
    if (round === mostRounds && (yield* givesUp(gpu, "nouveau_atomic_range_fault: timeout"))) return false
    if (!(yield* gpuFault(gpu, va, true))) return false
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, iv)
    yield* mmapReadLock(mm)
    const page = yield* makeDeviceExclusive(mm, va, name)
    yield* mmapReadUnlock(mm)
    if (typeof page === "string") return false
    yield* mutexLock(lock)
    const stale = yield* mmuIntervalReadRetry(iv, seq)
    if (!stale) yield* gpuMap(gpu, va, { page, write: true, atomic: true })
    yield* mutexUnlock(lock)
    yield* unlockAndPut(mm, page)
    if (!stale) return true
  }
})

/** What the GPU does at an address, and what it stores. */
export type GpuAccess =
  | { readonly kind: "load" }
  | { readonly kind: "store"; readonly content: Content }
  | { readonly kind: "atomic"; readonly content: Content }

/**
 * How many faults an access may take before it is given up (`nouveau_svm_fault_cancel`): a CPU and a GPU that both want
 * a page could take it from each other for ever.
 */
const mostFaults = 2

/**
 * What a fault on a load asks of the process, and maps: a page to load from, mapped as the process's entry allows (nouveau);
 * one to store to, so that there is no second fault (amdgpu, as of 2022); or a page to load from, mapped for no more.
 */
export type ReadFaults = "as allowed" | "for writing" | "read-only"

/**
 * An access of the GPU, through its page table, with faults where it takes them.
 *
 * @returns false when the process has nothing there for that, or is gone, or the page was taken away again and again
 */
export const gpuAccess = procedure(function* (
  gpu: Gpu,
  va: number,
  access: GpuAccess,
  readFaults: ReadFaults = "as allowed",
) {
  const { mm, name, pageTable } = gpu
  const head = yield* enterLoop("gpu_access")
  for (let faults = 0; ; faults = Math.min(faults + 1, mostFaults)) {
    yield* head(faults)
    const content = access.kind === "load" ? [] : [access.content]
    const done = yield* step(`gpu_${access.kind}`, [name, va, ...content], () => {
      const entry = at(pageTable, va).value
      if (entry === null || !allows(gpu, entry, access)) return false
      if (access.kind !== "load" && entry.page !== null) {
        folioOf(mm.system.folios, entry.page).content = access.content
      }
      return true
    })
    if (done) return true
    if (faults === mostFaults && (yield* givesUp(gpu, "nouveau_svm_fault_cancel"))) return false
    if (!(yield* mmgetNotZero(mm))) return false
    const mapped = yield* serviceFault(gpu, va, access, readFaults)
    yield* mmput(mm)
    if (!mapped) return false
  }
})

/** In its own memory nobody else comes into the way of an atomic access: no CPU can reach it, or it is coherent. */
const allows = ({ mm, memory }: Gpu, entry: GpuPte, { kind }: GpuAccess): boolean => {
  if (kind === "load") return true
  if (!entry.write) return false
  return kind === "store" || entry.atomic || (entry.page !== null && pgmapOf(mm.system.folios, entry.page) === memory)
}

/**
 * One fault of the buffer (`nouveau_svm_fault`): of those on one page the first is handled, and the others are with it.
 *
 * @returns whether the access is to be tried again
 */
const serviceFault = procedure(function* (gpu: Gpu, va: number, access: GpuAccess, readFaults: ReadFaults) {
  const write = access.kind !== "load"
  yield* mutexLock(gpu.faults)
  const wanted = yield* step("nouveau_svm_fault", [gpu.name, va], () => {
    const entry = at(gpu.pageTable, va).value
    if (entry !== null && allows(gpu, entry, access)) return "nothing"
    return access.kind === "atomic" && !isInDeviceMemory(gpu, va) ? "atomic" : "page"
  })
  const mapped =
    wanted === "nothing" ||
    (wanted === "atomic"
      ? yield* gpuAtomicFault(gpu, va)
      : yield* gpuFault(gpu, va, write || readFaults === "for writing", write || readFaults !== "read-only"))
  yield* mutexUnlock(gpu.faults)
  return mapped
})

/** Whether the process's entry says that the page is in the GPU's memory. A hint. Within a step. */
const isInDeviceMemory = ({ mm, memory }: Gpu, va: number): boolean => {
  const pte = at(mm.pte, va).value
  return isRmapped(pte) && pte.kind !== "exclusive" && pgmapOf(mm.system.folios, pte.page) === memory
}
