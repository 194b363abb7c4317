/** What is left when everything has ended. */
import type { Property } from "../../../checker/index.ts"
import type { MmuNotifierWorld } from "./world.ts"

/** The names of the locks that somebody holds. */
const held = ({ mm, counting, refusing, twoPass }: MmuNotifierWorld): ReadonlyArray<string> => [
  ...[
    mm.mmapLock,
    mm.vmaLock,
    mm.iMmapRwsem,
    mm.anonVmaRwsem,
    mm.allLocksMutex,
    mm.subs.itree.lock,
    ...[...counting, ...refusing, ...twoPass].map(({ lock }) => lock),
  ].flatMap((lock) => (lock.holders().length > 0 ? [lock.name] : [])),
  ...mm.folioLock.flatMap(({ value }, va) => (value === "" ? [] : [`the lock of the folio at ${va}`])),
]

/** The pages that are neither free nor mapped by the process; those behind are a device's own. */
const lost = ({ mm }: MmuNotifierWorld): ReadonlyArray<number> =>
  mm.folios.arena.slots.flatMap((slot, pfn) =>
    slot.live && pfn < mm.pages && mm.pte.every(({ value }) => value?.pfn !== pfn) ? [pfn] : [],
  )

export const endProperties: ReadonlyArray<Property<MmuNotifierWorld>> = [
  {
    kind: "atEnd",
    id: "NOTIFIER-LOCKS-FREE",
    statement: "When everything has ended nobody holds a lock.",
    source: 'kernel/locking/lockdep.c: lockdep_sys_exit, "lock held when returning to user space!"',
    holds: (world) => held(world).length === 0,
    explain: (world) => `Still held: ${held(world).join(", ")}.`,
  },
  {
    kind: "atEnd",
    id: "NOTIFIER-FREED",
    statement: "When everything has ended a notifier that was allocated by get is on the list, or was freed.",
    source: "mm/mmu_notifier.c: mmu_notifier_put, mmu_notifier_free_srcu",
    premise: ({ mm }) => [...mm.subs.byName.values()].some(({ state }) => state.life !== "unused"),
    holds: ({ mm }) => [...mm.subs.byName.values()].every(({ state }) => state.life !== "allocated" || state.hashed),
  },
  {
    kind: "atEnd",
    id: "NOTIFIER-PAGES-FREED",
    statement: "When everything has ended a page that was taken away from the process, or moved to a device, is free.",
    source: "mm/memory.c: zap_pte_range, tlb_finish_mmu; mm/migrate_device.c: migrate_vma_finalize",
    premise: ({ mm }) => mm.pte.some(({ value }) => value === null),
    holds: (world) => lost(world).length === 0,
    explain: (world) => `Nobody has ${lost(world).map((pfn) => `page ${pfn}`)}, and it is not free.`,
  },
]
