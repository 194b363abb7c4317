/** Seeded bugs of hmm_range_fault with an array, and of those who call it. Names without `range-fault-` are those of the bug zoo. */
import * as Effect from "effect/Effect"
import {
  builtIn,
  changeBody,
  leaveOut,
  type Replacement,
  type Replacements,
  type SeededBug,
  step,
} from "../../../checker/index.ts"
import { emptyEntry, filled, type HmmEntry, type HmmPfn, hmmVmaHandlePte } from "../../../model/hmm/rangeFault.ts"
import { folioOf } from "../../../model/mm/folio.ts"
import { pageTableLock } from "../../../model/mm/mm.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { mmuIntervalReadBegin } from "../../../model/notifier/interval.ts"
import { keep } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { foreignPrivate, migration, ownPrivate, pieces, timeout, window } from "./scenarios.ts"
import { wishNamed } from "./wishes.ts"
import type { RequestsWorld } from "./world.ts"

/** Replacements for the device's fiber. */
const inDevice =
  (replacements: (world: RequestsWorld) => Replacements) =>
  (world: RequestsWorld, fiber: string): Replacements =>
    fiber === world.device.name ? replacements(world) : {}

const inWindow = { scenario: window.id, bound: { invalidations: 1, chunk: 2 } }
const inPieces = { scenario: pieces.id, bound: { invalidations: 1 } }

/** A private page is told as it is, with no more questions. */
const tellsPrivate = ({ mm, device }: RequestsWorld): Replacement =>
  changeBody(({ body, args }) => {
    const va = Number(args[0])
    const pte = at(mm.pte, va).value
    if (pte?.kind !== "private") return body()
    const pfn = { page: pte.page, write: pte.write }
    const entry = at(device.hmmPfns, va)
    entry.value = filled(entry.value, pfn)
    return pfn
  })

export const requestsBugs: ReadonlyArray<SeededBug<RequestsWorld>> = [
  {
    id: "hmm-seq-resampled-per-chunk",
    title: "the sequence is read anew for each piece of a range, and the last one answers for all",
    source: "commit 962d684b5dc0: drm/amdgpu: fix amdgpu_hmm_range_get_pages; CVE-2026-63879",
    references: zoo(20),
    ...inPieces,
    breaks: "MIRROR-NO-UAF",
    at: inDevice(({ device: { iv }, mm }) => {
      let resampled: number | null = null
      const asks: Replacement = (original, { name, args }) =>
        Effect.suspend(() => {
          const seq = resampled
          return seq === null ? original : step(name, args, () => iv.state.seq !== seq)
        })
      return {
        "hmm_pfns: requests": (original) =>
          Effect.suspend(() => {
            resampled = null
            return original
          }),
        hmm_range_fault: (original, { args }) =>
          Effect.flatMap(original, (result) =>
            result !== 0 || args[2] === iv.range.end
              ? Effect.succeed(result)
              : Effect.map(mmuIntervalReadBegin(mm.subscriptions, iv), (seq) => {
                  resampled = seq
                  return result
                }),
          ),
        mmu_interval_check_retry: asks,
        mmu_interval_read_retry: asks,
      }
    }),
  },
  {
    id: "deref-hmm-pfns-outside-lock",
    title: "pages are marked dirty between the range fault and the driver's lock, where they may be somebody else's",
    source:
      "commit 0a98219bcc96: drm/xe/hmm: Don't dereference struct page pointers without notifier lock; CVE-2025-21939",
    references: zoo(73),
    ...inPieces,
    breaks: builtIn.assertion,
    at: inDevice(({ device: { name, iv, hmmPfns }, mm }) => {
      let marked = false
      const marks = Effect.forEach(pagesOf(iv.range), (va) =>
        step("set_page_dirty_lock: unlocked", [name, va], () => {
          const { valid, write, page } = at(hmmPfns, va).value
          if (valid && write && page !== null) folioOf(mm.system.folios, page).dirty = true
        }),
      )
      return {
        hmm_range_fault: (original, { args }) =>
          Effect.tap(original, (result) =>
            Effect.sync(() => {
              marked = result === 0 && args[2] === iv.range.end
            }),
          ),
        mutex_lock: (original) => Effect.suspend(() => (marked ? Effect.andThen(marks, original) : original)),
        set_page_dirty_lock: leaveOut(),
      }
    }),
  },
  {
    id: "pfn-array-not-reset-on-retry",
    title: "the array goes into the next try with the answers of the last one, which are read as requests",
    source: "commit 0cafc62e4daf: nouveau/hmm: fault one page at a time",
    references: zoo(74),
    ...inWindow,
    breaks: "HMM-EFAULT",
    at: inDevice(({ device: { hmmPfns } }) => ({
      "hmm_pfns: requests": changeBody(({ body }) =>
        hmmPfns.every(({ value }) => isEmpty(value)) ? body() : undefined,
      ),
    })),
  },
  {
    id: "range-fault-clears-request",
    title: "an entry is cleared before its page is faulted in, and the walk that begins again there finds no request",
    source: "mm/hmm.c of Linux 5.2: hmm_vma_handle_pte; mm/hmm.c: hmm_range_fault, the comment on -EBUSY",
    ...inWindow,
    breaks: "HMM-PREFIX",
    at: inDevice(({ device }) => ({
      hmm_vma_handle_pte: changeBody(({ body, args }) => {
        const found = body()
        if (found === "fault" || found === "write fault") at(device.hmmPfns, Number(args[0])).value = emptyEntry
        return found
      }),
    })),
  },
  {
    id: "pfn-array-leaks-on-error",
    title: "the array is freed where pages were mapped, and not where there were none to be had",
    source: "drivers/gpu/drm/amd/amdgpu/amdgpu_hmm.c: amdgpu_hmm_range_get_pages, out_free_pfns; by inference",
    ...inWindow,
    breaks: "HMM-PFNS-FREED",
    at: inDevice(() => {
      let mapped = false
      return {
        device_map: (original) =>
          Effect.suspend(() => {
            mapped = true
            return original
          }),
        "kvfree(hmm_pfns)": (original) => Effect.suspend(() => (mapped ? original : Effect.void)),
      }
    }),
  },
  {
    id: "range-fault-ignores-mask",
    title: "the requests in the array count whatever the mask says",
    source: "mm/hmm.c: hmm_pte_need_fault, pfn_flags_mask",
    ...inWindow,
    breaks: "HMM-EPERM",
    at: inDevice(({ mm, device }) => {
      let wish = ""
      return {
        "hmm_pfns: requests": (original, { args }) =>
          Effect.suspend(() => {
            wish = String(args[1])
            return original
          }),
        hmm_vma_handle_pte: (_, { name, args }) =>
          Effect.suspend(() => {
            const all = { ...wishNamed(wish), owner: "card0", pfnFlagsMask: { fault: true, write: true } }
            return step(name, args, () => hmmVmaHandlePte(mm, Number(args[0]), { ...all, hmmPfns: device.hmmPfns }))
          }),
      }
    }),
  },
  {
    id: "range-fault-under-page-table-lock",
    title: "a page is faulted in with the lock of the page table held that the walk has found it missing in",
    source: "mm/hmm.c: hmm_vma_walk_hugetlb_entry, the comment on dropping the lock before hmm_vma_fault",
    ...inWindow,
    breaks: "HMM-NO-PT-LOCK-IN-FAULT",
    at: inDevice(({ mm }) => ({
      hmm_vma_fault: changeBody(({ body, args }) => {
        keep(pageTableLock(mm, Number(args[0])))
        return body()
      }),
    })),
  },
  {
    id: "range-fault-ignores-owner",
    title: "a private page is told as it is whoever's it is",
    source: "commit 08ddddda667b: mm/hmm: check the device private page owner in hmm_range_fault()",
    scenario: foreignPrivate.id,
    bound: { invalidations: 0 },
    breaks: "HMM-OWN-ONLY",
    at: inDevice((world) => ({ hmm_vma_handle_pte: tellsPrivate(world) })),
  },
  {
    id: "range-fault-own-private-read-only",
    title: "as in 2025: a private page of the device's own is told without a look at the request to store",
    source:
      "mm/hmm.c of Linux 6.16: hmm_vma_handle_pte, is_device_private_entry. By inference: read in the source, not observed",
    scenario: ownPrivate.id,
    bound: { invalidations: 1 },
    breaks: "HMM-REQ-OK",
    at: inDevice((world) => ({ hmm_vma_handle_pte: tellsPrivate(world) })),
  },
  {
    id: "range-fault-unlocked-keeps-prefix",
    title: "after a fault that has dropped mmap_lock the walk goes on where it was, with a new sequence",
    source:
      "mm/hmm: add hmm_range_fault_unlocked_timeout() for mmap lock-drop support, 2026: the walk restarts at range->start",
    scenario: timeout.id,
    bound: { invalidations: 1, reaper: 0 },
    breaks: "MIRROR-NO-UAF",
    // The array, which this variant does not have, keeps the prefix.
    at: inDevice(({ device: { hmmPfns } }) => ({
      hmm_vma_handle_pte: changeBody(({ body, args }) => {
        const entry = at(hmmPfns, Number(args[0]))
        const { valid, page, write } = entry.value
        if (valid) return { page, write }
        const found = body()
        if (isPfn(found)) entry.value = filled(entry.value, found)
        return found
      }),
    })),
  },
  {
    id: "range-fault-skips-migration",
    title:
      "as in 2019: of a page that is being moved it is told that nothing is there, whether or not it was asked for",
    source:
      "mm/hmm.c of Linux 5.2: hmm_vma_handle_pte, is_migration_entry: fault and write_fault are not computed before",
    scenario: migration.id,
    bound: { invalidations: 0 },
    breaks: "HMM-REQ-OK",
    at: inDevice(({ mm, device }) => ({
      hmm_vma_handle_pte: changeBody(({ body, args }) => {
        const va = Number(args[0])
        if (at(mm.pte, va).value?.kind !== "migration") return body()
        const entry = at(device.hmmPfns, va)
        entry.value = filled(entry.value, "none")
        return "none"
      }),
    })),
  },
  {
    id: "range-fault-timeout-keeps-lock",
    title: "hmm_range_fault_unlocked_timeout finds that its time is over, and goes home with mmap_lock",
    source: "mm/hmm: add hmm_range_fault_unlocked_timeout() for mmap lock-drop support, 2026",
    scenario: timeout.id,
    bound: { invalidations: 1, reaper: 0 },
    breaks: "HMM-LOCK-END",
    at: inDevice(() => {
      let late = false
      return {
        "time_after(jiffies, deadline)": (original) =>
          Effect.tap(original, (over) =>
            Effect.sync(() => {
              late = over === true
            }),
          ),
        mmap_read_unlock: (original) => Effect.suspend(() => (late ? Effect.void : original)),
      }
    }),
  },
]

const isEmpty = ({ valid, write }: HmmEntry): boolean => !valid && !write

const isPfn = (found: unknown): found is HmmPfn => typeof found === "object" && found !== null && "write" in found
