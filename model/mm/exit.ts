/** The end of an address space (mm/mmap.c: exit_mmap). */
import * as Effect from "effect/Effect"
import { fork, guardedStep, procedure, step } from "../../checker/program/index.ts"
import { mmuNotifierRelease } from "../notifier/invalidate.ts"
import { gatherTables, tlbFinishMmu, tlbGather } from "./gather.ts"
import { changeVmas, type Mm, mmapReadLock, mmapReadUnlock, mmapWriteLock, mmapWriteUnlock } from "./mm.ts"
import { freePgtables, tlbRemoveTables } from "./pageTable.ts"
import { at } from "./range.ts"
import { dropSecondaryTranslations } from "./tlb.ts"
import { unmapVmas } from "./unmap.ts"
import { areasIn } from "./vma.ts"

/** `mmget_not_zero`: becomes a user of the memory, unless its end has begun. */
export const mmgetNotZero = (mm: Mm): Effect.Effect<boolean> =>
  step("mmget_not_zero", [mm.name], () => {
    if (mm.state.users > 0) mm.state.users++
    return mm.state.users > 0
  })

/** `mmput`: one user less; with the last one goes all that is mapped. */
export const mmput = procedure(function* (mm: Mm) {
  const last = yield* step("mmput", [mm.name], () => {
    mm.state.users--
    return mm.state.users === 0
  })
  if (last) yield* lastMmput(mm)
})

/**
 * `mmput_async`: the same, for those who hold a lock that the end of the address space takes: a worker carries that out.
 */
export const mmputAsync = procedure(function* (mm: Mm) {
  const last = yield* step("mmput_async", [mm.name], () => {
    mm.state.users--
    return mm.state.users === 0
  })
  if (last) yield* fork(mmputWorker, lastMmput(mm))
})

/** The worker of `mmput_async_fn`. */
export const mmputWorker = "kworker/mmput"

/** `__mmput` */
const lastMmput = procedure(function* (mm: Mm) {
  yield* khugepagedExit(mm)
  yield* exitMmap(mm)
})

/** The end of a process's last thread: its CPU leaves the address space, and its use of it is given back. */
export const exitMm = procedure(function* (mm: Mm) {
  yield* step("exit_mm", [mm.name], () => {
    for (const cache of mm.tlbs.values()) for (const entry of cache) entry.value = null
  })
  yield* mmput(mm)
})

/**
 * `khugepaged_exit`: whoever collapses page tables is waited for; who comes later finds that the address space has no
 * user.
 */
const khugepagedExit = (mm: Mm): Effect.Effect<void> =>
  guardedStep(
    "khugepaged_exit",
    [mm.name],
    () => mm.state.collapsers.length === 0,
    () => undefined,
  )

/** `exit_mmap`: nobody runs in the address space any more. */
const exitMmap = procedure(function* (mm: Mm) {
  const whole = { start: 0, end: mm.pages }
  yield* mmuNotifierRelease(mm.subscriptions, whole)
  yield* releaseSecondaryTlbs(mm)
  yield* mmapReadLock(mm)
  const areas = yield* step("exit_mmap", [mm.name], () => areasIn((va) => at(mm.vma, va).value, whole))
  const gather = tlbGather(mm)
  yield* unmapVmas(gather, whole, areas)
  yield* mmapReadUnlock(mm)
  // The memory is given up: the OOM reaper has nothing to gain here any more.
  yield* step("exit_mmap: set_bit(MMF_OOM_SKIP)", [mm.name], () => {
    mm.state.oomSkip = true
  })
  yield* mmapWriteLock(mm)
  yield* step("exit_mmap: mt_clear_in_rcu", [mm.name], () => {
    changeVmas(mm, whole, (vma) => ({ ...vma, detached: true }))
  })
  const tables = yield* freePgtables(mm, whole)
  gatherTables(gather, tables)
  yield* tlbFinishMmu(gather, whole)
  yield* tlbRemoveTables(mm, tables)
  yield* mmapWriteUnlock(mm)
})

/** `ops->release` of the devices that walk the page table (arm_smmu_mm_release): they may not any more, and their TLBs are empty. */
const releaseSecondaryTlbs = (mm: Mm): Effect.Effect<void> =>
  mm.secondaryTlbs.size === 0
    ? Effect.void
    : step("arm_smmu_mm_release", [mm.name], () => {
        for (const { state } of mm.secondaryTlbs.values()) state.bound = false
        dropSecondaryTranslations(mm, { start: 0, end: mm.pages })
      })
