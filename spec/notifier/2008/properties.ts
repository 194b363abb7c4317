/** The invariants of the notifiers of 2008, as executable specs. M4 is the mail "Re: [patch 1/6] mmu_notifier: Core code" of 16 February 2008. */
import { actionInvariant, type Plain, type Property } from "../../../checker/index.ts"
import type { ExternalMapper } from "../../../model/driver/external2008.ts"
import { type Folios, type Frame, fateOf, isLive } from "../../../model/mm/folio.ts"
import { isGone, type Machine } from "../../../model/notifier/2008/machine.ts"
import { endProperties } from "./endProperties.ts"
import { isBegun } from "./record.ts"
import type { World2008 } from "./world.ts"

type Spec = Property<World2008>

const m4 = "Lameter, Morton: Re: [patch 1/6] mmu_notifier: Core code, LKML 16 February 2008"

const windowsOf = ({ record }: World2008) => [...record.windows.values()]
const faultsOf = ({ record }: World2008) => [...record.faults.values()]

/** Where a device maps something. */
const installedOf = ({ pageTable }: ExternalMapper): ReadonlyArray<number> =>
  pageTable.flatMap(({ value }, va) => (value === null ? [] : [va]))

/** A device's entries, and where it may not make any. */
type Barred = {
  readonly name: string
  readonly installed: ReadonlyArray<number>
  readonly barred: ReadonlyArray<number>
}

const barredOf = (world: World2008, device: ExternalMapper, everywhere: boolean): Barred => ({
  name: device.name,
  installed: installedOf(device),
  barred: device.pageTable.flatMap((_, va) =>
    windowsOf(world).some((window) =>
      everywhere ? window.begun.includes(device.name) : isBegun(window, device.name, va),
    )
      ? [va]
      : [],
  ),
})

const newIn = (before: ReadonlyArray<Barred>, after: ReadonlyArray<Barred>) =>
  after.flatMap(({ name, installed }, position) => {
    const was = before[position]
    return installed
      .filter((va) => was?.installed.includes(va) === false && was.barred.includes(va))
      .map((va) => `${name} maps address ${va} while that is being invalidated.`)
  })

/** Ranges: pairing, and what a device may install. */
export const rangeProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "N08-PAIRED",
    statement: "A device is told of the end of an invalidation only if it was told of its beginning.",
    source: `${m4}: invalidate_range_begin() and invalidate_range_end() must be paired`,
    premise: (world) =>
      windowsOf(world).some(({ open, orphan }) => open || orphan) ||
      world.counters.some(({ state }) => state.rangeActive < 0),
    holds: (world) =>
      windowsOf(world).every(({ orphan }) => !orphan) && world.counters.every(({ state }) => state.rangeActive >= 0),
    explain: ({ counters }) =>
      counters.map(({ name, state }) => `${name} counts ${state.rangeActive} invalidations under way.`).join(" "),
  },
  {
    kind: "invariant",
    id: "N08-NOT-NESTED",
    statement: "Nobody begins an invalidation inside one of his own, although several may be under way at once.",
    source: `${m4}: "Under what circumstances would they be nested?" "Right they cannot be nested."`,
    premise: (world) =>
      windowsOf(world).filter(({ open }) => open).length > 1 || windowsOf(world).some(({ nested }) => nested),
    holds: (world) => windowsOf(world).every(({ nested }) => !nested),
  },
  actionInvariant({
    id: "N08-COUNTER",
    statement:
      "A device that counts invalidations maps nothing anywhere in the process between the beginning of one and its end.",
    source: `${m4}: "to simply stop all references when any invalidate_range is in progress (KVM and GRU do that)"`,
    observe: (world: World2008) => world.counters.map((device) => barredOf(world, device, true)),
    premise: (before) => before.some(({ barred }) => barred.length > 0),
    holds: (before, after) => newIn(before, after).length === 0,
    explain: (before, after) => newIn(before, after).join(" "),
  }),
  actionInvariant({
    id: "N08-RANGE",
    statement:
      "A device that remembers ranges maps nothing in a range between the beginning of its invalidation and the end.",
    source: `${m4}: "It needs to temporarily remember an arbitrarily large number of regions" "That is one implementation (XPmem does that)"`,
    observe: (world: World2008) => world.rangeLists.map((device) => barredOf(world, device, false)),
    premise: (before) => before.some(({ barred }) => barred.length > 0),
    holds: (before, after) => newIn(before, after).length === 0,
    explain: (before, after) => newIn(before, after).join(" "),
  }),
  {
    kind: "invariant",
    id: "N08-BEGIN-END-INSIDE",
    statement:
      "What a device has looked up is not installed when an invalidation of it has begun since, even if it has ended as well.",
    source: `${m4}, by inference: invalidate_range_begin() "must clear all references in the range and stop the establishment of new references"`,
    premise: (world) => faultsOf(world).some(({ disturbed, stale }) => disturbed || stale),
    holds: (world) => faultsOf(world).every(({ stale }) => !stale),
  },
]

/** Single pages: from the page to those who map it. */
export const pageProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "N08-PTE-THEN-CB",
    statement: "invalidate_page is called when the entry was cleared, and under the same lock of the page table.",
    source: `${m4}: "Its called after the pte was cleared while holding the pte lock."`,
    premise: ({ machine, record }) =>
      record.slips.callbackBeforeClear || (record.windows.get(machine.mm.ptl.state.holder)?.calling ?? "") !== "",
    holds: ({ record }) => !record.slips.callbackBeforeClear,
  },
  {
    kind: "invariant",
    id: "N08-RMAP-FIRST",
    statement:
      "When the kernel walks its own reverse map of a page that was exported, those who may have to sleep have let go of it.",
    source: `${m4}: invalidate_page() of the rmap notifier is called "*before* the Linux rmaps are walked"`,
    premise: ({ machine }) =>
      machine.rmapExternal.some(({ value }) => value) && machine.file.iMmapLock.state.holder !== "",
    holds: ({ record }) => !record.slips.rmapTooLate,
  },
  {
    kind: "invariant",
    id: "N08-RMAP-LOCKED",
    statement: "Whoever walks the kernel's own reverse map of a page holds i_mmap_lock.",
    source: "mm/rmap.c (2.6.24): page_referenced_file, try_to_unmap_file, page_mkclean_file",
    premise: ({ machine: { mm, file }, record }) =>
      record.slips.rmapUnlocked || (mm.ptl.state.holder !== "" && mm.ptl.state.holder === file.iMmapLock.state.holder),
    holds: ({ record }) => !record.slips.rmapUnlocked,
  },
  actionInvariant({
    id: "N08-FLAG-LOCKED",
    statement: "PageRmapExternal is set with the page locked.",
    source: "Lameter: mmu_notifier: support for drivers with reverse maps, LKML 2008: mmu_rmap_export_page",
    observe: ({ machine }: World2008) =>
      machine.rmapExternal.map(({ value }, pfn) => ({
        external: value,
        locked: (machine.folios.arena.slots[pfn]?.lock ?? "") !== "",
      })),
    premise: (before, after) => after.some(({ external }, pfn) => external && before[pfn]?.external === false),
    holds: (before, after) =>
      after.every(({ external }, pfn) => !external || before[pfn]?.external === true || before[pfn]?.locked === true),
  }),
  {
    kind: "invariant",
    id: "N08-EXPORT-FLAGGED",
    statement: "Who relies on the rmap notifier maps only pages that have PageRmapExternal.",
    source: `${m4}: "Only pages that are marked with this bit can be exported"`,
    premise: ({ rangeLists }) => rangeLists.some((device) => installedOf(device).length > 0),
    holds: ({ machine, rangeLists }) =>
      rangeLists.every(({ pageTable }) =>
        pageTable.every(({ value }) => value === null || machine.rmapExternal[value.page.pfn]?.value === true),
      ),
  },
  {
    kind: "invariant",
    id: "N08-MKCLEAN",
    statement:
      "Where a file system accounts for dirty pages, no device may store to a clean page without a fault: page_mkclean has dropped all that could.",
    source: `${m4}: "From page_mkclean() we must always evict the page to switch off the write protect bit."`,
    premise: ({ machine, devices }) => machine.file.accountsDirty && devices.some(mapsForWriting),
    holds: ({ machine, devices }) =>
      !machine.file.accountsDirty ||
      devices.every(({ pageTable }) =>
        pageTable.every(({ value }) => {
          if (value === null || !value.write) return true
          const slot = machine.folios.arena.slots[value.page.pfn]
          return slot === undefined || slot.mapcount === 0 || slot.dirty
        }),
      ),
  },
  {
    kind: "invariant",
    id: "N08-FREE-CLEAN",
    statement: "A free page is neither dirty nor locked, and no write of it is under way.",
    source: "mm/page_alloc.c (2.6.24): free_pages_check, prep_new_page",
    premise: ({ machine }) => machine.folios.arena.slots.some(({ live, generation }) => !live && generation > 0),
    holds: ({ machine }) =>
      machine.folios.arena.slots.every(
        ({ live, dirty, lock, writeback }) => live || (!dirty && lock === "" && !writeback),
      ),
  },
  {
    kind: "invariant",
    id: "N08-AGE",
    statement:
      "A page counts as used if the process or any one of the devices has used it since it was last asked for.",
    source: `${m4}: "What does it *mean* when the ->age_page() from some of the notifiers returned 1 and the ->age_page() from some other notifiers returned zero?"`,
    premise: ({ machine, counters, record }) =>
      record.slips.wrongAge ||
      (machine.mm.ptl.state.holder !== "" && counters.some(({ pageTable }) => pageTable[0]?.value?.young === true)),
    holds: ({ record }) => !record.slips.wrongAge,
  },
]

const mapsForWriting = ({ pageTable }: ExternalMapper) => pageTable.some(({ value }) => value?.write === true)

const notifiersOf = ({ mmuNotifiers, rmapNotifiers }: Machine) => [
  ...mmuNotifiers.byName.values(),
  ...rmapNotifiers.byName.values(),
]

const changesUnderMmapSem = (
  id: string,
  whatChanges: string,
  source: string,
  what: (machine: Machine) => ReadonlyArray<Plain>,
): Spec =>
  actionInvariant({
    id,
    statement: `As long as the process lives ${whatChanges} under mmap_sem, held for writing.`,
    source,
    observe: ({ machine }: World2008) => ({
      what: what(machine).join(),
      isChangeable: machine.mm.mmapSem.state.writer !== "" || isGone(machine.mm),
    }),
    premise: (before, after) => before.what !== after.what,
    holds: (before, after) => before.isChangeable || before.what === after.what,
  })

/** The notifiers whose callbacks run although they are freed. */
const freedCallbacks = (world: World2008): ReadonlyArray<string> => {
  const freed = notifiersOf(world.machine).flatMap(({ name, state }) => (state.freed ? [name] : []))
  return windowsOf(world).flatMap(({ calling }) => (freed.includes(calling) ? [calling] : []))
}

/** What callbacks may do where they are called, and how long a notifier lives. */
export const contextProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "N08-NO-SLEEP-RCU",
    statement: "No callback sleeps inside rcu_read_lock.",
    source: `Piggin: Re: [patch 2/6] mmu_notifier: Callbacks to invalidate address ranges, LKML 20 February 2008; ${m4}: the macro mmu_notifier`,
    premise: ({ machine }) => machine.sleeping.names.length > 0,
    holds: ({ machine }) => machine.sleeping.names.every((name) => !machine.readers.rcu.includes(name)),
    explain: ({ machine }) =>
      `${machine.sleeping.names} sleeps, and [${machine.readers.rcu}] are inside rcu_read_lock.`,
  },
  {
    kind: "invariant",
    id: "N08-NO-SLEEP-ATOMIC",
    statement: "No callback sleeps while its caller holds a spinlock: a flag tells it so.",
    source: `${m4}: "It is only called with locks held for file backed mappings that are truncated. A flag indicates in which mode we are."`,
    premise: ({ machine }) => machine.sleeping.names.length > 0,
    holds: ({ machine, counters, rangeLists }) => {
      const locks = [machine.mm.ptl, machine.file.iMmapLock, ...[...counters, ...rangeLists].map(({ lock }) => lock)]
      return machine.sleeping.names.every((name) => locks.every(({ state }) => state.holder !== name))
    },
  },
  {
    kind: "invariant",
    id: "N08-CB-CONTEXT",
    statement: "A callback runs inside the read section in which its notifier was found on the list.",
    source: `${m4}: the macro mmu_notifier, rcu_read_lock and rcu_read_unlock`,
    premise: ({ machine, record }) =>
      record.slips.outsideSection || machine.readers.rcu.length + machine.readers.srcu.length > 0,
    holds: ({ record }) => !record.slips.outsideSection,
  },
  {
    kind: "invariant",
    id: "N08-NO-CB-AFTER-FREE",
    statement: "Once the memory of a notifier is freed, none of its callbacks runs.",
    source: `${m4}: "The release notifier is called when no other execution threads are left. Synchronization is not necessary."`,
    premise: ({ machine }) => notifiersOf(machine).some(({ state }) => state.freed),
    holds: (world) => freedCallbacks(world).length === 0,
    explain: (world) =>
      freedCallbacks(world)
        .map((name) => `A callback of ${name} runs, whose memory is free.`)
        .join(" "),
  },
  changesUnderMmapSem(
    "N08-LIST-LOCKED",
    "its list of notifiers changes",
    'Lameter: mmu_notifier: Core code, LKML 2008: __mmu_notifier_register, "Must hold the mmap_sem for write"; mmu_notifier_unregister',
    ({ mmuNotifiers }) => mmuNotifiers.state.names,
  ),
  changesUnderMmapSem(
    "N08-AREA-LOCKED",
    "its areas change",
    "include/linux/mm_types.h (2.6.24): mmap_sem; mm/mmap.c: do_munmap",
    ({ mm }) => mm.vma.map(({ value }) => value),
  ),
  {
    kind: "invariant",
    id: "N08-RELEASE-LAST",
    statement: "A process ends when its last user lets go of it: nobody is left who still has to.",
    source: `${m4}: "->release() is called during exit() when the final reference to an mm is being dropped." "Right."`,
    premise: ({ machine }) => isGone(machine.mm),
    holds: ({ machine }) => machine.mm.state.users >= 0,
  },
  {
    kind: "invariant",
    id: "N08-RELEASE-FIRST",
    statement: "When the tearing down of a process has begun, no device maps anything of it.",
    source: `${m4}: "It is run before the pages and mappings of a process are torn down"`,
    premise: ({ machine }) => isGone(machine.mm) && machine.mm.vma.some(({ value }) => !value),
    holds: ({ machine, devices }) =>
      !isGone(machine.mm) ||
      machine.mm.vma.every(({ value }) => value) ||
      devices.every((device) => installedOf(device).length === 0),
  },
]

const hearingRanges = ({ counters, rangeLists }: Pick<World2008, "counters" | "rangeLists">) => [
  ...counters,
  ...rangeLists,
]

/** What a device maps. */
export const mirrorProperties2008: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "MIRROR-NO-UAF",
    statement: "No device maps a page that was freed.",
    source: `${m4}: "external mappings are removed when the Linux VM removes memory ranges or individual pages from a process"`,
    premise: ({ devices, rangeLists }) =>
      devices.some((device) => installedOf(device).length > 0) ||
      rangeLists.some(({ state }) => state.deferred.length > 0),
    holds: ({ machine, devices, rangeLists }) =>
      devices.every(({ pageTable }) =>
        pageTable.every(({ value }) => value === null || isLive(machine.folios, value.page)),
      ) && rangeLists.every(({ state }) => state.deferred.every((frame) => isLive(machine.folios, frame))),
    explain: ({ machine, devices }) =>
      devices
        .flatMap(({ name, pageTable }) =>
          pageTable.flatMap(({ value }, va) =>
            value === null || isLive(machine.folios, value.page)
              ? []
              : [`${name} maps address ${va} to ${fateOf(machine.folios, value.page)}.`],
          ),
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "MIRROR-AGREE",
    statement:
      "What a device maps that hears of ranges the process maps too, and for writing if the device does; unless the entry was cleared just now, its lock still held.",
    source: `${m4}, by inference`,
    premise: (world) => hearingRanges(world).some((device) => installedOf(device).length > 0),
    holds: ({ machine: { mm }, ...world }) =>
      hearingRanges(world).every(({ pageTable }) =>
        pageTable.every(({ value }, va) => {
          const pte = mm.pte[va]?.value
          if (value === null) return true
          if (pte?.kind !== "present") return mm.ptl.state.holder !== ""
          return pte.page.pfn === value.page.pfn && (!value.write || pte.access === "write")
        }),
      ),
    explain: ({ machine: { mm }, ...world }) =>
      hearingRanges(world)
        .flatMap(({ name, pageTable }) =>
          pageTable.flatMap(({ value }, va) =>
            value === null || mm.pte[va]?.value !== null
              ? []
              : [`${name} maps address ${va}, and the process does not.`],
          ),
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "MIRROR-DIRTY",
    statement:
      "A page that holds what its file does not is marked so: in its flags, or in an entry of the process or of a device.",
    source: `${m4}: "Pages must be marked dirty if dirty bits are found to be set in the external ptes during unmap." "Define marked dirty?" "Call set_page_dirty()."`,
    premise: ({ machine: { file, folios } }) =>
      file.cache.some(({ value }, index) => value !== null && contentOf(folios, value) !== file.disk[index]?.value),
    holds: ({ machine: { folios, file, mm }, devices }) =>
      file.cache.every(({ value: frame }, index) => {
        if (frame === null) return true
        const slot = folios.arena.slots[frame.pfn]
        if (slot === undefined || slot.dirty || slot.writeback || slot.content === file.disk[index]?.value) return true
        const pte = mm.pte[index]?.value
        return (
          (pte?.kind === "present" && pte.dirty) ||
          devices.some(({ pageTable }) => pageTable[index]?.value?.dirty === true)
        )
      }),
  },
]

const contentOf = ({ arena }: Folios, { pfn }: Frame) => arena.slots[pfn]?.content

export const properties2008: ReadonlyArray<Spec> = [
  ...rangeProperties,
  ...pageProperties,
  ...contextProperties,
  ...mirrorProperties2008,
  ...endProperties,
]
