/** Under which locks notifiers register, ranges are announced, and the sequence and the tree change. */
import { actionInvariant, type Property } from "../../../checker/index.ts"
import { listed } from "../../../model/notifier/mmuNotifier.ts"
import type { MmuNotifierWorld } from "./world.ts"

/** A driver's page table, and whether anybody has its lock. */
type Table = {
  readonly name: string
  readonly isLocked: boolean
  /** Each with its generation; empty where there is none. */
  readonly pages: ReadonlyArray<string>
}

/** Those that are not as they were. */
const tablesChanged = (before: ReadonlyArray<Table>, after: ReadonlyArray<Table>): ReadonlyArray<Table> =>
  before.filter(({ pages }, device) => pages.some((page, va) => page !== after[device]?.pages[va]))

export const lockProperties: ReadonlyArray<Property<MmuNotifierWorld>> = [
  {
    kind: "invariant",
    id: "NOTIFIER-REG-LOCKED",
    statement:
      "Who registers holds mmap_lock for writing, and every other lock under which a range may be announced, one process at a time.",
    source:
      "mm/mmu_notifier.c: __mmu_notifier_register, mmap_assert_write_locked; mm/vma.c: mm_take_all_locks, mm_all_locks_mutex",
    premise: ({ mm, record }) => record.slips.registeredUnlocked || mm.anonVmaRwsem.state.writer !== "",
    holds: ({ record }) => !record.slips.registeredUnlocked,
  },
  {
    kind: "invariant",
    id: "NOTIFIER-START-LOCKED",
    statement:
      "As long as the process has users a range is announced under a lock that register takes for writing: mmap_lock, the area's, the file's or the anonymous area's.",
    source: "mm/mmu_notifier.c: __mmu_notifier_register, the comment on mm_take_all_locks",
    premise: ({ record }) =>
      record.slips.startedUnlocked || [...record.walks.values()].some(({ phase }) => phase === "started"),
    holds: ({ record }) => !record.slips.startedUnlocked,
  },
  {
    kind: "invariant",
    id: "SEQ-SETSEQ-UNDER-ULOCK",
    statement: "set_seq and read_retry run with the lock of the driver held.",
    source: "mm/mmu_notifier.c: mmu_interval_set_seq, mmu_interval_read_retry (kernel-doc)",
    premise: ({ record, refusing, twoPass }) =>
      record.slips.sequenceUnlocked || [...refusing, ...twoPass].some(({ lock }) => lock.state.holder !== ""),
    holds: ({ record }) => !record.slips.sequenceUnlocked,
  },
  actionInvariant({
    id: "MIRROR-TABLE-LOCKED",
    statement: "A driver changes its page table with the lock held under which it sets and compares the sequence.",
    source: "Documentation/mm/hmm.rst: take_lock(driver->update)",
    observe: ({ refusing, twoPass }: MmuNotifierWorld) =>
      [...refusing, ...twoPass].map(({ name, lock, pageTable }) => ({
        name,
        isLocked: lock.state.holder !== "",
        pages: pageTable.map(({ value }) => (value === null ? "" : `${value.pfn}.${value.generation}`)),
      })),
    premise: (before, after) => tablesChanged(before, after).length > 0,
    holds: (before, after) => tablesChanged(before, after).every(({ isLocked }) => isLocked),
    explain: (before, after) =>
      `Without its lock: ${tablesChanged(before, after).flatMap(({ name, isLocked }) => (isLocked ? [] : [name]))}.`,
  }),
  actionInvariant({
    id: "SEQ-TREE-FROZEN",
    statement: "While the sequence is odd the interval tree does not change.",
    source: "mm/mmu_notifier.c: struct mmu_notifier_subscriptions, the description of the writer's states",
    observe: ({ mm: { subs } }: MmuNotifierWorld) => ({
      isOdd: subs.itree.state.seq % 2 === 1,
      tree: subs.itree.state.tree.join(),
      deferred: subs.itree.state.deferred,
    }),
    premise: (before, after) => before.isOdd && after.isOdd,
    holds: (before, after) => !(before.isOdd && after.isOdd) || before.tree === after.tree,
    explain: (before, after) => `The tree was [${before.tree}] and became [${after.tree}].`,
  }),
  {
    kind: "invariant",
    id: "NOTIFIER-GET-ONE",
    statement: "All who get a driver's notifier of one process get the same: no two of a driver are on the list.",
    source: "mm/mmu_notifier.c: mmu_notifier_get_locked (kernel-doc)",
    premise: ({ mm }) => listed(mm.subs).some(({ state }) => state.life === "allocated"),
    holds: ({ mm }) => {
      const drivers = listed(mm.subs).map(({ driver }) => driver)
      return new Set(drivers).size === drivers.length
    },
    explain: ({ mm }) => `On the list are ${listed(mm.subs).map(({ name, driver }) => `${name} of ${driver}`)}.`,
  },
]
