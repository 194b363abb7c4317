/** Seeded bugs: translations that outlive what they translate, in the TLBs of CPUs and of devices. */
import * as Effect from "effect/Effect"
import { builtIn, changeBody, type Replacement, type SeededBug, step } from "../../../checker/index.ts"
import { type Frame, folioOf } from "../../../model/mm/folio.ts"
import { type Mm, pageTableLock, tableOf } from "../../../model/mm/mm.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { removeRmap } from "../../../model/mm/rmap.ts"
import { mutexLock } from "../../../model/sync/mutex.ts"
import { release } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { page } from "../pages.ts"
import { loneReap } from "../scenarios/races.ts"
import { svaPermissionUpgrade, svaTwoAreas } from "../scenarios/sva.ts"
import { dontneedHugePmd, zapWritebackStore } from "../scenarios/translations.ts"
import type { MmWorld } from "../world.ts"
import { alone } from "./instead.ts"

/** What a fiber no longer owes. Within a step. */
const forgetFlush = ({ parent }: MmWorld, fiber: string): void => {
  parent.state.gathers = parent.state.gathers.filter((name) => name !== fiber)
}

/** What `zap_pte_range` returns of a page whose translation is to be flushed before anybody else may see it. */
const isForced = (found: unknown): found is { readonly page: Frame } =>
  typeof found === "object" && found !== null && "forceFlush" in found && found.forceFlush === true

/** The step is taken as if nobody owed the flush of entries that were cleared. */
const withoutBatchedFlush = ({ mms }: MmWorld): Replacement =>
  changeBody(({ body }) => {
    const pending = mms.map(({ state }) => state.flushBatched)
    for (const { state } of mms) state.flushBatched = []
    const result = body()
    for (const [position, { state }] of mms.entries()) state.flushBatched = pending[position] ?? []
    return result
  })

/** Makes the entry of the upper level lead to the page table, or nowhere. Within a step. */
const setLinked = (mm: Mm, linked: boolean): void => {
  tableOf(mm, page).state.linked = linked
}

export const tlbBugs: ReadonlyArray<SeededBug<MmWorld>> = [
  {
    id: "parallel-gather-misses-flush",
    title: "a gather that has found nothing flushes nothing, although another one still owes a flush of the same range",
    source: "commit 99baac21e458: mm: fix MADV_[FREE|DONTNEED] TLB flush miss problem",
    references: zoo(35),
    scenario: "mm/pairs/madvise-dontneed+madvise-dontneed",
    bound: alone,
    breaks: "DONTNEED-GONE",
    at: (world, fiber) => {
      let found = false
      return {
        MADV_DONTNEED: (original) =>
          Effect.suspend(() => {
            found = false
            return original
          }),
        zap_pte_range: (original) =>
          Effect.tap(original, (result) =>
            Effect.sync(() => {
              found ||= result !== "nothing"
            }),
          ),
        tlb_finish_mmu: (original, operation) =>
          found ? original : step(operation.name, operation.args, () => forgetFlush(world, fiber)),
      }
    },
  },
  {
    id: "permission-upgrade-skips-secondary",
    title: "a fault that gives an entry more rights flushes it for CPUs, and tells no device that walks the page table",
    source: "commit 6bbd42e2df8f: mmu_notifiers: call invalidate_range() when invalidating TLBs",
    references: zoo(37),
    scenario: svaPermissionUpgrade.id,
    bound: alone,
    breaks: "SVA-FAULT-RESOLVES",
    at: ({ parent }) => ({
      "ptep_set_access_flags: flush_tlb_page": changeBody(({ args }) =>
        release(pageTableLock(parent, Number(args[1]))),
      ),
    }),
  },
  {
    id: "per-vma-flush-cpu-only",
    title: "the flush behind each area is of the CPUs' TLBs only, and the range is forgotten for devices too",
    source: "commit fd1102f0aade: mm: mmu_notifier fix for tlb_end_vma",
    references: zoo(38),
    scenario: svaTwoAreas.id,
    bound: alone,
    breaks: "IOTLB-NO-UAF",
    at: ({ parent }) => ({
      tlb_end_vma: changeBody(({ args }) => {
        for (const cache of parent.tlbs.values()) {
          for (const va of pagesOf({ start: Number(args[1]), end: Number(args[2]) })) at(cache, va).value = null
        }
      }),
    }),
  },
  {
    id: "zap-dirty-flush-after-unlock",
    title: "the translation of a dirty page of a file is flushed when the page table's lock is given up already",
    source: "commit 1cf35d47712d: mm: split 'tlb_flush_mmu()' into tlb flushing and memory freeing parts",
    references: zoo(49),
    scenario: zapWritebackStore.id,
    bound: alone,
    breaks: "ZAP-DIRTY-KEPT",
    at: ({ parent, folios }) => ({
      zap_pte_range: changeBody(({ args, body }) => {
        const found = body()
        if (!isForced(found)) return found
        removeRmap(folioOf(folios, found.page))
        release(pageTableLock(parent, Number(args[1])))
        return { page: found.page, forceFlush: false }
      }),
    }),
  },
  {
    id: "reaper-fullmm-elides-flush",
    title:
      "the OOM reaper says that the whole address space goes: its translations are not flushed, nobody will use them",
    source: "commit 687cb0884a71: mm, oom_reaper: gather each vma to prevent leaking TLB entry",
    references: zoo(50),
    scenario: loneReap.id,
    bound: alone,
    breaks: "ZAP-TLB-BEFORE-FREE",
    at: (world, fiber) =>
      fiber.startsWith("oom_reaper") ? { tlb_finish_mmu: changeBody(() => forgetFlush(world, fiber)) } : {},
  },
  {
    id: "callback-sleeps-for-oom-reaper",
    title: "a device's callback waits for its mutex though the OOM reaper has said that it must not sleep",
    source: "commit 93065ac753e4: mm, oom: distinguish blockable mode for mmu notifiers",
    references: zoo("atomicStartSleeps"),
    scenario: loneReap.id,
    breaks: builtIn.context,
    at: ({ devices }) => ({
      mutex_trylock: (original, { args }) => {
        const device = devices.find(({ lock }) => lock.name === args[0])
        return device === undefined ? original : Effect.as(mutexLock(device.lock), true)
      },
    }),
  },
  {
    id: "zap-misses-transiently-cleared-pmd",
    title: "a huge entry is taken away and put back changed, and whoever looks without its lock finds none in between",
    source: "commit ced108037c2a: thp: fix MADV_DONTNEED vs. numa balancing race; commits 58ceeb6bec86, 024eee0e83f0",
    references: zoo(52),
    scenario: dontneedHugePmd.id,
    bound: alone,
    breaks: "DONTNEED-GONE",
    at: ({ parent }) => ({
      "change_huge_pmd: pmdp_invalidate_ad": changeBody(({ body }) => {
        const taken = body()
        if (taken === true) setLinked(parent, false)
        return taken
      }),
      "change_huge_pmd: set_pmd_at": changeBody(({ body }) => {
        setLinked(parent, true)
        body()
      }),
    }),
  },
  {
    id: "batched-flush-pending-ignored",
    title:
      "who changes entries does not look whether reclaim still owes a flush of some: mprotect returns, and a CPU goes on storing",
    source:
      "commit 3ea277194daa: mm, mprotect: flush TLB if potentially racing with a parallel reclaim leaving stale TLB entries",
    scenario: "mm/pairs/mprotect+reclaim",
    ...alone,
    breaks: "PROT-PRIV-RO",
    at: (world) => {
      const ignored = withoutBatchedFlush(world)
      return {
        zap_pte_range: ignored,
        ptep_modify_prot_start: ignored,
        move_ptes: ignored,
        madvise_free_pte_range: ignored,
        madvise_cold_or_pageout_pte_range: ignored,
      }
    },
  },
  {
    id: "munmap-leaves-area",
    title: "munmap zaps what is mapped and leaves the area: who faults there is given pages again",
    source: "mm/vma.c: vms_gather_munmap_vmas, vms_complete_munmap_vmas",
    scenario: "mm/pairs/store+munmap",
    bound: alone,
    breaks: "UNMAP-AREAS-GONE",
    at: ({ parent }) => ({
      vms_gather_munmap_vmas: changeBody(({ body }) => {
        const found = body()
        for (const vma of parent.vma) if (vma.value !== null) vma.value = { ...vma.value, detached: false }
        return found
      }),
    }),
  },
]
