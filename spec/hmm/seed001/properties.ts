/**
 * The rule of 2019: devices that can be revoked at any time use the notifier and take no reference to a page, others pin
 * it through GUP; and what either costs the rest of memory management.
 */
import type { Property } from "../../../checker/index.ts"
import { pageTableLock } from "../../../model/mm/mm.ts"
import { isRmapped } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { isFree } from "../../../model/sync/spinlock.ts"
import { type Mapping, mappingProperties } from "../../driver/mappings.ts"
import type { Event, JobWorld } from "./world.ts"

type Spec = Property<JobWorld>

const source = "mm/hmm: add an helper function that fault pages and map them to a device, LKML 2019"

const mappings = ({ device }: JobWorld): ReadonlyArray<Mapping> =>
  (device?.pageTable ?? []).flatMap(({ value }, hva) =>
    value === null ? [] : [{ ...value, where: "the table of the device", hva }],
  )

/** Of a device that mirrors. */
export const mirrorCosts = (event: Event): ReadonlyArray<Spec> => [
  ...mappingProperties<JobWorld>(mappings, source),
  {
    kind: "invariant",
    id: "SEED001-MIRROR-FAULTS",
    statement: "A mirroring device gets the page once, and once more for each time that it was taken from it.",
    source,
    premise: ({ record: { cost } }) => cost.taken > 0,
    holds: ({ record: { cost } }) => cost.got <= cost.taken + 1,
  },
  {
    kind: "invariant",
    id: "SEED001-STORE-ARRIVES",
    statement:
      "What a mirroring device stores the process finds at its address: the callback returns when no access by the old entry is under way.",
    source: "Documentation/mm/hmm.rst; include/linux/mmu_notifier.h: invalidate_range_start",
    premise: ({ record }) => record.state.mapped || record.state.stray !== "",
    holds: ({ record }) => record.state.stray === "",
    explain: ({ record }) => record.state.stray,
  },
  ...(event === "fork" ? [forkShares] : [mirrorYields(event)]),
]

const mirrorYields = (event: Event): Spec => ({
  kind: "invariant",
  id: event === "reclaim" ? "SEED001-MIRROR-RECLAIMED" : "SEED001-MIRROR-MOVED",
  statement: `To ${event} takes the page from a mirroring device that maps it, unless the device faults at the same time.`,
  source,
  premise: ({ record: { cost, state } }) => (cost.taken > 0 && cost.reclaimed + cost.moved > 0) || state.refused !== "",
  holds: ({ record }) => record.state.refused === "",
  explain: ({ record }) => record.state.refused,
})

const forkShares: Spec = {
  kind: "invariant",
  id: "SEED001-MIRROR-SHARED",
  statement: "Fork copies nothing on account of a mirroring device; who stores later copies, once.",
  source,
  premise: ({ record: { cost } }) => cost.copiedByStore + cost.copiedByFork > 0,
  holds: ({ record: { cost } }) => cost.copiedByFork === 0 && cost.copiedByStore <= 1,
}

/** Of a device that pins. */
export const pinCosts = (event: Event): ReadonlyArray<Spec> => [
  {
    kind: "invariant",
    id: "SEED001-PIN-KEEPS",
    statement: "While the page is pinned the process has it at its address.",
    source: `mm/gup.c; Documentation/core-api/pin_user_pages.rst; ${source}`,
    premise: ({ record }) => record.pinned.value !== null,
    holds: keeps,
  },
  {
    kind: "invariant",
    id: "SEED001-PIN-FAULTS",
    statement: "A pinning device gets the page once.",
    source,
    premise: ({ record: { cost } }) => cost.got > 0,
    holds: ({ record: { cost } }) => cost.got <= 1,
  },
  event === "fork"
    ? {
        kind: "invariant",
        id: "SEED001-PIN-COPIED",
        statement:
          "Fork shares no page that is pinned: the child gets a copy at once, whether or not anybody ever stores there.",
        source: `mm/memory.c: copy_present_ptes; ${source}`,
        premise: ({ record: { cost, state } }) => cost.copiedByFork > 0 || state.shared !== "",
        holds: ({ record }) => record.state.shared === "",
        explain: ({ record }) => record.state.shared,
      }
    : {
        kind: "invariant",
        id: event === "reclaim" ? "SEED001-PIN-UNRECLAIMED" : "SEED001-PIN-UNMOVED",
        statement: `To ${event} never takes the page from a pinning device while it is pinned.`,
        source,
        premise: ({ record: { cost, pinned, state } }) =>
          (pinned.value !== null && cost.kept + cost.stayed > 0) || state.lost !== "",
        holds: ({ record }) => record.state.lost === "",
        explain: ({ record }) => record.state.lost,
      },
]

const keeps = ({ mm, record }: JobWorld): boolean => {
  const page = record.pinned.value
  if (page === null) return true
  const entry = at(mm.pte, 0).value
  // In the middle of a change, which is going to be undone.
  if (entry === null && !isFree(pageTableLock(mm, 0))) return true
  return isRmapped(entry) && entry.page.pfn === page.pfn && entry.page.generation === page.generation
}
