/** Unmapping, protecting, moving, reclaim, migration, the OOM reaper. */
import { actionInvariant } from "../../../checker/index.ts"
import { isLive } from "../../../model/mm/folio.ts"
import { hasTable } from "../../../model/mm/mm.ts"
import { isWritable } from "../../../model/mm/pte.ts"
import { isOpen } from "../../notifier/windows.ts"
import type { MmWorld } from "../world.ts"
import {
  entries,
  folioOf,
  iotlbs,
  isAnon,
  isSettled,
  mappings,
  runningTlbs,
  type Spec,
  translations,
} from "./places.ts"

const isCovered = (world: MmWorld, va: number): boolean =>
  [...world.windows.values()].some(({ phase, start, end }) => phase === "open" && start <= va && va < end)

/** What is observed of an entry: the page, the rights, whether an open window covers it, whether it is settled. */
type Reading = readonly [page: string, rights: number, covered: boolean, settled: boolean]
type Readings = ReadonlyArray<Reading>

const rights = { none: 0, read: 1, write: 2 }

/** The entries of the address space that devices mirror. */
const observeEntries = (world: MmWorld): Readings =>
  world.parent.pte.map(({ value }, va): Reading => {
    // Below an entry of the upper level that leads nowhere there is nothing.
    const pte = hasTable(world.parent, va) ? value : null
    const page = pte?.kind === "present" ? `${pte.page.pfn}.${pte.page.generation}` : pte?.kind === "zero" ? "zero" : ""
    const right = pte?.kind === "present" || pte?.kind === "zero" ? rights[pte.access] : 0
    return [page, right, isCovered(world, va), isSettled(world.parent, va)]
  })

const someEntry = (before: Readings, after: Readings, test: (was: Reading, is: Reading) => boolean): boolean =>
  before.some((was, va) => test(was, after[va] ?? was))

const mirrored = (world: MmWorld) => world.devices.length > 0

export const unmapProperties: ReadonlyArray<Spec> = [
  actionInvariant({
    id: "ZAP-IN-WINDOW",
    statement:
      "An entry that maps a page loses it inside an open window of the notifier, where devices mirror the process.",
    source: "mm/memory.c: zap_page_range_single; mm/rmap.c; mm/mremap.c",
    observe: (world: MmWorld) => (mirrored(world) ? observeEntries(world) : []),
    premise: (before, after) => someEntry(before, after, (was, is) => was[0] !== "" && is[0] !== was[0]),
    holds: (before, after) => !someEntry(before, after, (was, is) => was[0] !== "" && is[0] !== was[0] && !was[2]),
  }),
  actionInvariant({
    id: "COW-UPGRADE-SAME",
    statement: "Outside a window an entry only changes from no page to a page, or to more rights for the same page.",
    source: "Documentation/mm/mmu_notifier.rst",
    observe: (world: MmWorld) => (mirrored(world) ? observeEntries(world) : []),
    premise: (before, after) => someEntry(before, after, (was, is) => was[0] === is[0] && was[1] !== is[1]),
    holds: (before, after) => !someEntry(before, after, (was, is) => was[0] === is[0] && is[1] < was[1] && !was[2]),
  }),
  actionInvariant({
    id: "COW-NO-REPLACE-UNSEEN",
    statement: "No entry goes from one page straight to another: it is cleared in between.",
    source: "mm/memory.c: wp_page_copy",
    observe: (world: MmWorld) =>
      world.mms.map((mm) =>
        mm.pte.map(({ value: pte }) => (pte?.kind === "present" ? `${pte.page.pfn}.${pte.page.generation}` : "")),
      ),
    premise: (before, after) => before !== after,
    holds: (before, after) =>
      before.every((mm, i) => mm.every((was, va) => was === "" || after[i]?.[va] === "" || after[i]?.[va] === was)),
  }),
  {
    kind: "invariant",
    id: "ZAP-TLB-BEFORE-FREE",
    statement: "No CPU that runs the process translates an address to a page that was freed.",
    source: "mm/mmu_gather.c: tlb_finish_mmu; CVE-2018-18281",
    premise: (world) => translations(world, runningTlbs).length > 0,
    holds: (world) => staleTlbs(world).length === 0,
    explain: (world) =>
      staleTlbs(world)
        .map(({ mm, cpu, va, pfn }) => `${cpu} still translates page ${va} of ${mm} to page ${pfn}, which was freed.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "UNMAP-AREAS-GONE",
    statement: "munmap, and the end of an address space, leave no area in their range.",
    source: "mm/vma.c: vms_gather_munmap_vmas, vms_complete_munmap_vmas; mm/mmap.c: exit_mmap",
    premise: ({ slips }) => slips.unmapsAreas !== "untested",
    holds: ({ slips }) => slips.unmapsAreas !== "broken",
  },
  {
    kind: "invariant",
    id: "AREA-LOCKED",
    statement: "Who looks an area up to go on with it has mmap_lock.",
    source: "include/linux/mmap_lock.h: mmap_assert_locked, in mm/mmap.c: find_vma",
    premise: ({ mms }) => mms.some(({ mmapLock: { state } }) => state.writer !== "" || state.readers.length > 0),
    holds: ({ slips }) => slips.looksLocked !== "broken",
  },
  {
    kind: "invariant",
    id: "AREA-WRITE-LOCKED",
    statement: "An area is locked for writing only while mmap_lock is held for writing.",
    source: "include/linux/mmap_lock.h: vma_start_write, vma_end_write_all in mmap_write_unlock",
    premise: ({ mms }) => mms.some(({ vmaLock }) => vmaLock.some(({ writer }) => writer)),
    holds: ({ mms }) =>
      mms.every(({ vmaLock, mmapLock }) => mmapLock.state.writer !== "" || vmaLock.every(({ writer }) => !writer)),
  },
  {
    kind: "invariant",
    id: "WINDOW-LOCKED",
    statement:
      "Who announces a range, or that the announcement is over, has mmap_lock, the lock of an area in it or a lock of the reverse mapping.",
    source: "include/linux/mmu_notifier.h: invalidate_range_start; at the end of the address space nobody else is left",
    premise: ({ windows }) => [...windows.values()].some(isOpen),
    holds: ({ slips }) => slips.announcesLocked !== "broken",
  },
  {
    kind: "invariant",
    id: "WINDOW-MAY-SLEEP",
    statement:
      "Who announces a range, or that the announcement is over, has no page table locked: callbacks may sleep.",
    source: "mm/mmu_notifier.c: __mmu_notifier_invalidate_range_start, __mmu_notifier_invalidate_range_end",
    premise: ({ windows }) => [...windows.values()].some(isOpen),
    holds: ({ slips }) => slips.announcesAwake !== "broken",
  },
  {
    kind: "invariant",
    id: "PROT-LAZY-WINDOW",
    statement: "mprotect announces nothing where no page table is.",
    source: "mm/mprotect.c: change_pmd_range",
    premise: ({ slips }) => slips.announcesTables !== "untested",
    holds: ({ slips }) => slips.announcesTables !== "broken",
  },
  {
    kind: "invariant",
    id: "PROT-AREAS",
    statement: "When mprotect gives mmap_lock back, the areas of its range have the protection that it was asked for.",
    source: "mm/mprotect.c: mprotect_fixup, vma_set_page_prot; mprotect(2)",
    premise: ({ slips }) => slips.protects !== "untested",
    holds: ({ slips }) => slips.protects !== "broken",
  },
  {
    kind: "invariant",
    id: "PROT-PRIV-RO",
    statement: "Once mprotect has taken the right to store, no entry, migration entry or TLB gives it.",
    source: "mm/mprotect.c: change_pte_range",
    premise: (world) => world.mms.some((mm) => mm.vma.some(({ value }) => value !== null && value.prot !== "rw")),
    holds: (world) =>
      world.mms.every((mm) =>
        mm.vma.every(({ value: vma }, va) => {
          if (vma === null || vma.prot === "rw" || mm.mmapLock.state.writer !== "") return true
          const pte = mm.pte[va]?.value ?? null
          const translated = [...runningTlbs(mm), ...iotlbs(mm)].some(([, cache]) => cache[va]?.value?.write === true)
          return !isWritable(pte) && !(pte?.kind === "migration" && pte.mode === "write") && !translated
        }),
      ),
  },
  {
    kind: "invariant",
    id: "MOVE-OLD-ONLY",
    statement: "mremap moves entries to where there are none.",
    source: "mm/mremap.c: move_page_tables",
    premise: ({ slips }) => slips.movesToEmpty !== "untested",
    holds: ({ slips }) => slips.movesToEmpty !== "broken",
  },
  {
    kind: "invariant",
    id: "MOVE-LEAVES-NOTHING",
    statement: "mremap leaves no entry behind: where it unmaps the range that it has moved, there is none.",
    source: "mm/mremap.c: move_ptes, move_page_tables, unmap_source_vma",
    premise: ({ slips }) => slips.leavesNothing !== "untested",
    holds: ({ slips }) => slips.leavesNothing !== "broken",
  },
  {
    kind: "invariant",
    id: "MOVE-ATOMIC",
    statement: "A page that mremap moves is mapped at its old or its new place, never at both.",
    source: "mm/mremap.c: move_ptes",
    premise: ({ slips }) => slips.moves !== "untested",
    holds: (world) =>
      mappings(world).every(({ mm, va, pte }) =>
        mappings(world).every((other) => other.mm !== mm || other.va === va || other.pte.page.pfn !== pte.page.pfn),
      ),
  },
  {
    kind: "invariant",
    id: "RECLAIM-SWAP-AE",
    statement: "A swap entry that is marked exclusive is the only one that holds its slot.",
    source: "mm/rmap.c: try_to_unmap_one; include/linux/swapops.h: pte_swp_exclusive",
    premise: (world) => entries(world).some(({ pte }) => pte.kind === "swap" && pte.exclusive),
    holds: (world) =>
      entries(world).every(
        ({ pte }) => pte.kind !== "swap" || !pte.exclusive || world.system.swap.slots[pte.slot]?.count === 1,
      ),
  },
  {
    kind: "invariant",
    id: "MIG-EXACT-REF",
    statement: "A page is moved only while nobody but its caches and the mover refers to it.",
    source: "mm/migrate.c: __folio_migrate_mapping",
    premise: ({ slips }) => slips.movesUnheld !== "untested",
    holds: ({ slips }) => slips.movesUnheld !== "broken",
  },
  {
    kind: "invariant",
    id: "MIG-SPECULATIVE-HARMLESS",
    statement: "Who took a reference without locks keeps it only if the entry still maps the page.",
    source: "mm/gup.c: gup_fast_pte_range, by inference",
    premise: ({ slips }) => slips.dropsUnmapped !== "untested",
    holds: ({ slips }) => slips.dropsUnmapped !== "broken",
  },
  {
    kind: "invariant",
    id: "MIG-ENTRY-LOCKED",
    statement: "The folio that a migration entry names is locked.",
    source: "include/linux/swapops.h: softleaf_to_folio",
    premise: (world) => entries(world).some(({ pte }) => pte.kind === "migration"),
    holds: (world) =>
      entries(world).every(
        ({ pte }) =>
          pte.kind !== "migration" || (isLive(world.folios, pte.page) && folioOf(world.folios, pte.page).lock !== ""),
      ),
  },
  {
    kind: "atEnd",
    id: "MIG-RESTORE",
    statement: "When everything has ended no migration entry is left.",
    source: "mm/migrate.c: remove_migration_ptes",
    premise: ({ slips }) => slips.migrationEnds !== "untested",
    holds: (world) => entries(world).every(({ pte }) => pte.kind !== "migration"),
  },
  actionInvariant({
    id: "OOM-UNSTABLE",
    statement:
      "Once the OOM reaper has begun, no fresh page and no zero page is mapped in anonymous memory; private copies of a file's pages are, for their faults ask before they take the page table's lock.",
    source: "include/linux/oom.h: check_stable_address_space; mm/memory.c: do_anonymous_page, finish_fault",
    observe: (world: MmWorld): Stability => ({
      unstable: world.parent.state.unstable,
      entries: world.parent.pte.map(({ value: pte }, va) => [
        pte === null && isSettled(world.parent, va) && world.parent.vma[va]?.value?.file === null,
        pte?.kind === "zero"
          ? "zero"
          : pte?.kind === "present" && isAnon(folioOf(world.folios, pte.page))
            ? String(pte.page.pfn)
            : "",
      ]),
    }),
    premise: (before) => before.unstable,
    holds: (before, after) =>
      !before.unstable ||
      !before.entries.some(([none], va) => {
        const page = after.entries[va]?.[1] ?? ""
        // What mremap brings from elsewhere is not new.
        return none && page !== "" && before.entries.every(([, other]) => other !== page)
      }),
  }),
  {
    kind: "invariant",
    id: "OOM-NONBLOCK",
    statement: "The OOM reaper asks subscribers not to wait, and waits for no lock of a driver.",
    source: "mm/oom_kill.c: __oom_reap_task_mm",
    premise: ({ slips }) => slips.reaperWaitsNot !== "untested",
    holds: ({ slips }) => slips.reaperWaitsNot !== "broken",
  },
  {
    kind: "atEnd",
    id: "OOM-SKIP",
    statement:
      "When the OOM reaper has done with an address space, or that has ended, the OOM killer waits for it no longer.",
    source: "mm/oom_kill.c: oom_reap_task (Hide this mm from OOM killer); mm/mmap.c: exit_mmap",
    premise: ({ parent: { state } }) => state.unstable || state.users === 0,
    holds: ({ parent: { state } }) => state.oomSkip || !(state.unstable || state.users === 0),
  },
]

/** The end of an address space, as its subscribers hear of it. */
export const releaseProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "NOTIFIER-RELEASE-BEFORE-FREE",
    statement: "Nothing of an address space is unmapped at its end before its subscribers have heard of it.",
    source: "mm/mmap.c: exit_mmap; Linux MMU notifiers, LKML 2008",
    premise: ({ slips }) => slips.releasedFirst !== "untested",
    holds: ({ slips }) => slips.releasedFirst !== "broken",
  },
]

type Stability = {
  readonly unstable: boolean
  /** Of each: whether it is None, of anonymous memory, and nobody changes it; and the page that it maps. */
  readonly entries: ReadonlyArray<readonly [boolean, string]>
}

const staleTlbs = (world: MmWorld) =>
  translations(world, runningTlbs).flatMap(({ mm, owner, va, entry: { page } }) =>
    page === null || isLive(world.folios, page) ? [] : [{ mm: mm.name, cpu: owner, va, pfn: page.pfn }],
  )
