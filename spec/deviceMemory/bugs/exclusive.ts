/**
 * Seeded bugs of pages that a device has for itself, and of what may be done to its memory.
 */
import * as Effect from "effect/Effect"
import { changeBody, changeResult, type Replacement, type SeededBug, step } from "../../../checker/index.ts"
import { makeDeviceExclusive, unlockAndPut } from "../../../model/deviceMemory/deviceExclusive.ts"
import { pgmapOf } from "../../../model/deviceMemory/pgmap.ts"
import type { Gpu } from "../../../model/driver/gpu.ts"
import { mmapReadLock, mmapReadUnlock, pageTableLock } from "../../../model/mm/mm.ts"
import { at } from "../../../model/mm/range.ts"
import { dropTranslations } from "../../../model/mm/tlb.ts"
import { notifierRange } from "../../../model/notifier/events.ts"
import { mmuIntervalReadBegin, mmuIntervalReadRetry } from "../../../model/notifier/interval.ts"
import { mmuNotifierInvalidateRangeStart } from "../../../model/notifier/invalidate.ts"
import { mutexLock, mutexUnlock } from "../../../model/sync/mutex.ts"
import { keep } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { andThen, placeOf } from "../../mm/bugs/instead.ts"
import { exclusiveProtected, fileExclusive, forkAll, loneAtomic, mapAndTake } from "../races.ts"
import type { DeviceWorld } from "../world.ts"
import { folioIn } from "./instead.ts"

const isRestore = (args: ReadonlyArray<unknown>): boolean => args[4] === "remove_device_exclusive_entry"

/** `nouveau_atomic_range_fault` as published: nothing is faulted in, nor taken back, before the sequence is read. */
const atomicFaultAsPublished = Effect.fnUntraced(function* (
  { mm, iv, lock, memory, name, pageTable }: Gpu,
  va: number,
) {
  // HMM_RANGE_DEFAULT_TIMEOUT, in rounds.
  for (let round = 0; round < 2; round++) {
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, iv)
    yield* mmapReadLock(mm)
    const page = yield* makeDeviceExclusive(mm, va, memory.owner)
    yield* mmapReadUnlock(mm)
    if (typeof page === "string") return
    yield* mutexLock(lock)
    const stale = yield* mmuIntervalReadRetry(iv, seq)
    if (!stale) {
      yield* step("gpu_map", [name, va], () => {
        at(pageTable, va).value = { page, write: true, atomic: true }
      })
    }
    yield* mutexUnlock(lock)
    yield* unlockAndPut(mm, page)
    if (!stale) return
  }
})

export const exclusiveBugs: ReadonlyArray<SeededBug<DeviceWorld>> = [
  {
    id: "gpu-faults-handled-together",
    title: "a GPU's fault is handled by whoever hears of it, whether or not another is being handled",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_svm_fault; by inference",
    scenario: loneAtomic.id,
    breaks: "GPU-ONE-FAULT",
    at: ({ gpus }) => {
      const ofFaults = new Set(gpus.map(({ faults }) => faults.name))
      const leave: Replacement = (original, { args }) => (ofFaults.has(String(args[0])) ? Effect.void : original)
      return { mutex_lock: leave, mutex_unlock: leave }
    },
  },
  {
    id: "exclusive-entry-not-taken-back",
    title: "a fault tells the device to let go of the page and leaves the entry as it is, and comes again for ever",
    source: "mm/memory.c: remove_device_exclusive_entry, its look at the entry under the lock; by inference",
    scenario: exclusiveProtected.id,
    breaks: "EXCL-TAKEN-BACK",
    at: () => ({ restore_exclusive_pte: changeBody(() => undefined) }),
  },
  {
    id: "exclusive-without-read-retry",
    title: "a driver programs its device without a question whether the page still is its own",
    source: "lib/test_hmm.c: dmirror_atomic_map, by reading",
    scenario: "device/pairs/gpu-atomic+madvise-dontneed",
    breaks: "EXCL-CPU-BLOCKED",
    at: () => {
      let exclusive = false
      return {
        "make_device_exclusive: set_pte_at": andThen(() =>
          Effect.sync(() => {
            exclusive = true
          }),
        ),
        mmu_interval_read_retry: (original) =>
          Effect.map(original, (stale) => {
            const asked = !exclusive
            exclusive = false
            return asked && stale
          }),
      }
    },
  },
  {
    id: "exclusive-restored-before-notify",
    title: "the process has its page back before the device hears of it",
    source: "mm/memory.c: remove_device_exclusive_entry",
    scenario: exclusiveProtected.id,
    breaks: "EXCL-NOTIFY-FIRST",
    at: (world) => {
      let announcing = false
      return {
        mn_itree_inv_start_range: (original, { args }) =>
          isRestore(args) && !announcing ? Effect.succeed({ seq: 0, first: null }) : original,
        restore_exclusive_pte: andThen((operation) =>
          Effect.suspend(() => {
            const { mm, va } = placeOf(world, operation)
            announcing = true
            const range = notifierRange("CLEAR", "remove_device_exclusive_entry", { start: va, end: va + 1 })
            return mmuNotifierInvalidateRangeStart(mm.subscriptions, range)
          }),
        ),
      }
    },
  },
  {
    id: "exclusive-without-folio-lock",
    title: "the page is unlocked before the driver has programmed its device: whoever wants it back has it at once",
    source: "mm/rmap.c: make_device_exclusive",
    scenario: "device/pairs/gpu-atomic+munmap",
    breaks: "EXCL-LOCKED-PROGRAM",
    at: (world) => ({
      "make_device_exclusive: set_pte_at": changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        operation.body()
        const pte = at(mm.pte, va).value
        if (pte?.kind === "exclusive") folioIn(world, pte.page.pfn).lock = ""
      }),
    }),
  },
  {
    id: "fork-ignores-exclusive",
    title: "fork takes a page that is a device's alone for none: the child does not have it",
    source: "commit b756a3b5e7ea: mm: device exclusive memory access (copy_nonpresent_pte)",
    scenario: forkAll.id,
    bound: { coherent: 0 },
    breaks: "COW-NO-LEAK",
    at: (world) => ({
      copy_pte_range: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        return at(mm.pte, va).value?.kind === "exclusive" ? "copied" : operation.body()
      }),
    }),
  },
  {
    id: "mprotect-forgets-private",
    title: "mprotect leaves the entry of a page in private memory as it is",
    source: "mm/mprotect.c: change_softleaf_pte",
    scenario: "device/pairs/gpu-store+mprotect",
    breaks: "MIRROR-PERM",
    at: (world) => ({
      ptep_modify_prot_start: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        return at(mm.pte, va).value?.kind === "private" ? null : operation.body()
      }),
    }),
  },
  {
    id: "private-owner-unchecked",
    title: "a GPU is told of pages in another's memory as if they were in its own",
    source: "mm/hmm.c: hmm_vma_handle_pte (dev_private_owner)",
    scenario: mapAndTake.id,
    breaks: "MIGD-OWNER",
    at: ({ parent, folios }) => ({
      hmm_vma_handle_pte: changeBody(({ args, body }) => {
        const found = body()
        const pte = at(parent.pte, Number(args[0])).value
        const absent = found === "fault" || found === "write fault"
        if (!absent || pte?.kind !== "private" || pgmapOf(folios, pte.page) === undefined) return found
        return { page: pte.page, write: pte.write }
      }),
    }),
  },
  {
    id: "exclusive-of-a-file",
    title: "a device gets a page of a file for itself",
    source: "mm/rmap.c: make_device_exclusive, by inference",
    scenario: fileExclusive.id,
    breaks: "EXCL-ANON",
    at: () => ({ "make_device_exclusive: folio_test_anon": changeResult(() => true) }),
  },
  {
    id: "exclusive-entries-fool-rmap",
    title: "a page does not count the entry of a device that has it for itself: who looks for its mappings finds none",
    source:
      "the series of commit 8977752c8056: mm/gup: reject FOLL_SPLIT_PMD with hugetlb VMAs; CVE-2025-22034. mm/rmap.c: make_device_exclusive",
    references: zoo(103),
    scenario: loneAtomic.id,
    breaks: "EXCL-MAPCOUNT",
    at: (world) => ({
      "make_device_exclusive: set_pte_at": changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        operation.body()
        const pte = at(mm.pte, va).value
        if (pte?.kind === "exclusive") folioIn(world, pte.page.pfn).mapcount--
      }),
    }),
  },
  {
    id: "exclusive-restored-writable",
    title: "the process has its page back to store to, whatever it may do there by now",
    source: "mm/memory.c: restore_exclusive_pte, by inference",
    scenario: exclusiveProtected.id,
    breaks: "EXCL-RESTORE-PERM",
    at: (world) => ({
      restore_exclusive_pte: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        operation.body()
        const cell = at(mm.pte, va)
        if (cell.value?.kind === "present") cell.value = { ...cell.value, access: "write" }
      }),
    }),
  },
  {
    id: "exclusive-without-recheck",
    title: "a device gets the page for itself that was mapped when it was looked up, whatever is there now",
    source: "mm/rmap.c: make_device_exclusive, by inference",
    scenario: "device/pairs/gpu-atomic+madvise-dontneed",
    breaks: "EXCL-RECHECK",
    at: (world) => ({
      "make_device_exclusive: ptep_clear_flush": changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        at(mm.pte, va).value = null
        dropTranslations(mm, { start: va, end: va + 1 })
        keep(pageTableLock(mm, va))
        return true
      }),
    }),
  },
  {
    id: "atomic-fault-undoes-itself",
    title:
      "as published: an atomic fault makes the page exclusive behind the look at the sequence, by a fault that invalidates it; every round takes back what the one before has got, until its time is over",
    source:
      "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_atomic_range_fault, by reading; a timeout of two rounds here",
    scenario: loneAtomic.id,
    breaks: "EXCL-GETS-THROUGH",
    at: ({ gpus }) => ({
      nouveau_svm_fault: (original, { args }) =>
        Effect.gen(function* () {
          const wanted = yield* original
          const gpu = gpus.find(({ name }) => name === args[0])
          if (wanted !== "atomic" || gpu === undefined) return wanted
          yield* atomicFaultAsPublished(gpu, Number(args[1]))
          return "nothing"
        }),
    }),
  },
]
