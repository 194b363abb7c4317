/** What is left when everything has ended. */
import type { Property } from "../../../checker/index.ts"
import { type Frame, isLive } from "../../../model/mm/folio.ts"
import { isGone } from "../../../model/notifier/2008/machine.ts"
import type { World2008 } from "./world.ts"

/** The references to a page that its holders account for: the page cache, the process's entries, devices that keep some. */
const knownReferences = ({ machine: { mm, file }, engines }: World2008, { pfn }: Frame): number =>
  [
    ...file.cache.map(({ value }) => value),
    ...mm.pte.map(({ value }) => (value?.kind === "present" ? value.page : null)),
    ...engines.flatMap(({ pageTable }) => pageTable.map(({ value }) => value?.page ?? null)),
  ].filter((page) => page?.pfn === pfn).length

const livePages = ({ machine: { folios } }: World2008) =>
  folios.arena.slots.flatMap((slot, pfn) => {
    const frame = { pfn, generation: slot.generation }
    return isLive(folios, frame) ? [{ ...frame, slot }] : []
  })

/** The pages of the file that were unmapped, truncated, or mapped by a process that has ended. */
const gone = ({ machine: { mm, file }, record: { unmapped } }: World2008) =>
  mm.vma.map((_, va) => ({
    va,
    isUnmapped: isGone(mm) || unmapped.pages.includes(va),
    isTruncated: va >= file.state.size,
  }))

export const endProperties: ReadonlyArray<Property<World2008>> = [
  {
    kind: "atEnd",
    id: "N08-GONE",
    statement:
      "What was unmapped, and all of a process that has ended, has neither area nor entry; what was truncated has neither entry nor page.",
    source: "mm/mmap.c (2.6.24): detach_vmas_to_be_unmapped, exit_mmap; mm/memory.c: vmtruncate",
    premise: (world) => gone(world).some(({ isUnmapped, isTruncated }) => isUnmapped || isTruncated),
    holds: (world) =>
      gone(world).every(({ va, isUnmapped, isTruncated }) => {
        const { mm, file } = world.machine
        const isMapped = mm.pte[va]?.value !== null
        return (
          !(isUnmapped && (isMapped || mm.vma[va]?.value === true)) &&
          !(isTruncated && (isMapped || file.cache[va]?.value !== null))
        )
      }),
  },
  {
    kind: "atEnd",
    id: "N08-NO-LEAK",
    statement:
      "When everything has ended, a page is free or has references, each of which is the page cache's, a page table's or that of a device that keeps some; nobody has it locked, and no write of it is under way.",
    source: "mm/swap.c (2.6.24): put_page; mm/filemap.c: unlock_page, end_page_writeback",
    holds: (world) =>
      livePages(world).every(
        (page) =>
          page.slot.refcount > 0 &&
          page.slot.refcount === knownReferences(world, page) &&
          page.slot.lock === "" &&
          !page.slot.writeback,
      ),
    explain: (world) =>
      livePages(world)
        .filter((page) => page.slot.refcount !== knownReferences(world, page))
        .map(
          (page) =>
            `Page ${page.pfn} has ${page.slot.refcount} references, of which ${knownReferences(world, page)} are accounted for.`,
        )
        .join(" "),
  },
  {
    kind: "atEnd",
    id: "N08-QUIET",
    statement: "When everything has ended nobody holds a lock, is inside a read section, or sleeps in a callback.",
    source: "kernel/lockdep.c (2.6.24): debug_check_no_locks_held",
    holds: ({ machine: { mm, file, readers, sleeping }, counters, rangeLists, engines }) => {
      const ofDevices = [...counters, ...rangeLists, ...engines].map(({ lock }) => lock)
      return (
        [mm.mmapSem, mm.ptl, file.iMmapLock, ...ofDevices].every((lock) => lock.holders().length === 0) &&
        [...readers.rcu, ...readers.srcu, ...sleeping.names].length === 0
      )
    },
  },
  {
    kind: "atEnd",
    id: "N08-FREED",
    statement: "When everything has ended, a notifier that is on no list is freed.",
    source: "Lameter: mmu_notifier: Core code, LKML 2008: mmu_notifier_unregister, ->release(), by inference",
    premise: ({ machine }) =>
      [...machine.mmuNotifiers.byName.keys()].some((name) => !machine.mmuNotifiers.state.names.includes(name)),
    holds: ({ machine }) =>
      [machine.mmuNotifiers, machine.rmapNotifiers].every(({ byName, state: { names } }) =>
        [...byName.values()].every(({ name, state }) => state.freed || names.includes(name)),
      ),
  },
]
