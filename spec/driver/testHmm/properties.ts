/** The invariants of the self tests' driver. */
import type { Property } from "../../../checker/index.ts"
import type { Dmirror } from "../../../model/driver/testHmm.ts"
import { folioOf, isLive } from "../../../model/mm/folio.ts"
import { rmappedPage } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { dirtyAtMap } from "../dirtyAtMap.ts"
import { mapsCurrent } from "../installs.ts"
import { locksHeld } from "../locksHeld.ts"
import { type Mapping, mappingProperties } from "../mappings.ts"
import type { DmirrorWorld } from "./world.ts"

const source = "lib/test_hmm.c"

/** What a device maps. */
export const mappedBy = (dmirror: Dmirror, where: string): ReadonlyArray<Mapping> =>
  dmirror.pt.flatMap(({ value }, hva) =>
    value === null || isHandedOver(dmirror, hva)
      ? []
      : [{ page: value.page, write: value.write || value.atomic === true, hva, where }],
  )

/** The same of the device here: nothing that anybody uses any more once its file is being closed. */
const inTable = ({ dmirror, record }: DmirrorWorld): ReadonlyArray<Mapping> =>
  record.closing.value ? [] : mappedBy(dmirror, "the device's page table")

/** What a snapshot says, as long as it holds the mutex. */
const inSnapshot = ({ dmirror, snapshot }: DmirrorWorld): ReadonlyArray<Mapping> =>
  snapshot === undefined || dmirror.mutex.state.holder !== "snapshot"
    ? []
    : snapshot.perm.flatMap(({ value }, hva) =>
        value === null || typeof value === "string" ? [] : [{ ...value, hva, where: "the snapshot" }],
      )

const mappings = (world: DmirrorWorld): ReadonlyArray<Mapping> => [...inTable(world), ...inSnapshot(world)]

/**
 * Whether the driver already maps the page that a migration of its own moves to, whose folio is locked until the process
 * maps it too.
 */
const isHandedOver = ({ mm, pt }: Dmirror, hva: number): boolean => {
  const { folios } = mm.system
  const page = at(pt, hva).value?.page ?? null
  const pte = at(mm.pte, hva).value
  if (pte?.kind !== "migration" || page === null || page.pfn === pte.page.pfn) return false
  return isLive(folios, page) && folioOf(folios, page).lock === folioOf(folios, pte.page).lock
}

/** Pages that do not hold what the device has stored there. */
const lost = ({ mm, record }: DmirrorWorld): ReadonlyArray<string> =>
  record.stored.flatMap(({ value }, va) => {
    const page = rmappedPage(at(mm.pte, va).value)
    if (value === "" || page === null || !isLive(mm.system.folios, page)) return []
    const { content } = folioOf(mm.system.folios, page)
    return content === value ? [] : [`Page ${va} holds ${content}, and ${value} was stored there.`]
  })

export const dmirrorProperties: ReadonlyArray<Property<DmirrorWorld>> = [
  ...mappingProperties(mappings, source),
  dirtyAtMap(inTable, source),
  {
    kind: "atEnd",
    id: "MIGD-NO-LOST-WRITE",
    statement: "When everything has ended, a page that is mapped holds what the device has stored there.",
    source: `Documentation/mm/hmm.rst; ${source}: dmirror_migrate_to_device`,
    premise: ({ record }) => record.stored.some(({ value }) => value !== ""),
    holds: (world) => lost(world).length === 0,
    explain: (world) => lost(world).join(" "),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-NO-CB-AFTER-REMOVE",
    statement: "When the file has been closed, no list holds its subscription, and no callback uses it.",
    source: `mm/mmu_notifier.c: mmu_interval_notifier_remove; ${source}: dmirror_fops_release`,
    premise: ({ record }) => record.freed.value,
    holds: ({ dmirror, record, subs }) =>
      !record.freed.value ||
      (record.slip.value === "" &&
        !subs.state.tree.includes(dmirror.name) &&
        !subs.state.deferred.includes(dmirror.name)),
    explain: ({ record }) => record.slip.value,
  },
  {
    kind: "invariant",
    id: "DMIRROR-TABLE-DESTROYED",
    statement:
      "When a file's memory has been given back, nothing is left of the device's page table, whose nodes nobody would free.",
    source: `${source}: dmirror_fops_release, xa_destroy`,
    premise: ({ record }) => record.freed.value,
    holds: ({ dmirror, record }) => !record.freed.value || dmirror.pt.every(({ value }) => value === null),
  },
  locksHeld(
    "The device's page table is looked at and changed under the file's mutex.",
    `${source}: dmirror_interval_invalidate, dmirror_range_fault, dmirror_read, dmirror_write`,
    ({ dmirror }) => dmirror.mutex.state.holder !== "",
  ),
  mapsCurrent(`${source}: dmirror_do_fault, dmirror_migrate_finalize_and_map, dmirror_atomic_map`),
  {
    kind: "invariant",
    id: "MIRROR-CHILD-EMPTY",
    statement: "A child of fork has no subscriptions.",
    source: "kernel/fork.c: mm_init, mmu_notifier_subscriptions_init",
    premise: ({ child }) => child.state.users > 0,
    holds: ({ child }) => child.subscriptions.state.tree.length + child.subscriptions.state.deferred.length === 0,
  },
  {
    kind: "invariant",
    id: "MIRROR-SNAPSHOT-PURE",
    statement: "A snapshot faults nothing in.",
    source: `Documentation/mm/hmm.rst; ${source}: dmirror_snapshot`,
    premise: ({ snapshot }) => snapshot?.perm.some(({ value }) => value !== null) === true,
    holds: ({ record, snapshot }) => snapshot === undefined || record.slip.value === "",
    explain: ({ record }) => record.slip.value,
  },
]

/** What a device that reads one page after the other finds, where the process stores to the first one and then to the second. */
export const orderProperties: ReadonlyArray<Property<DmirrorWorld>> = [
  {
    kind: "invariant",
    id: "MIRROR-ORDERED-READ",
    statement:
      "When the process has stored to one page and then to another, a device that finds the second store finds the first one behind it.",
    source: "Documentation/mm/mmu_notifier.rst",
    premise: ({ record }) => record.seen.second === "new" && record.seen.first !== "",
    holds: ({ record }) => record.seen.second !== "new" || record.seen.first === "new" || record.seen.first === "",
    explain: ({ record }) =>
      `The device has read ${record.seen.second} from the second page, and then ${record.seen.first} from the first.`,
  },
]

/** What must come about. */
export const dmirrorPromises: ReadonlyArray<Property<DmirrorWorld>> = [
  {
    kind: "leadsTo",
    id: "L-RETRY",
    statement: "With finitely many invalidations, every read, write and snapshot comes to the end of its retries.",
    source: `Documentation/mm/hmm.rst; ${source}: dmirror_range_fault`,
    to: ({ uses }, { ended }) => uses.every(ended),
  },
]

/** What must come about where a thread wants a page that is in the device's memory. */
export const privatePromises: ReadonlyArray<Property<DmirrorWorld>> = [
  {
    kind: "leadsTo",
    id: "L-FAULT-PRIV",
    statement:
      "An access of the process to a page in the device's memory comes to an end, be it that there is no memory.",
    source: `mm/memory.c: do_swap_page; ${source}: dmirror_devmem_fault`,
    to: ({ threads }, { ended }) => threads.every(ended),
  },
]
