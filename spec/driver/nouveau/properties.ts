/** The invariants of nouveau's shared virtual memory. */
import type { Fibers, Property } from "../../../checker/index.ts"
import type { Svmm } from "../../../model/driver/nouveauSvm.ts"
import { dirtyAtMap } from "../dirtyAtMap.ts"
import { locksHeld } from "../locksHeld.ts"
import { type Mapping, mappingProperties } from "../mappings.ts"
import { storesInTime } from "../stores.ts"
import type { NouveauWorld } from "./world.ts"

const source = "drivers/gpu/drm/nouveau/nouveau_svm.c"

const mappings = ({ gpus }: NouveauWorld): ReadonlyArray<Mapping> =>
  gpus.flatMap(({ name, pageTable }) =>
    pageTable.flatMap(({ value }, hva) =>
      value === null ? [] : [{ ...value, hva, where: `the page table of ${name}` }],
    ),
  )

export const nouveauProperties: ReadonlyArray<Property<NouveauWorld>> = [
  ...mappingProperties(mappings, source),
  dirtyAtMap(mappings, source),
  {
    kind: "invariant",
    id: "NOTIFIER-NO-CB-AFTER-REMOVE",
    statement: "When a fault has returned, no list holds the subscription that was on its stack.",
    source:
      "mm/mmu_notifier.c: mmu_interval_notifier_remove; drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_range_fault",
    premise: ({ subs }) => subs.state.tree.length > 0,
    holds: (world) => world.gpus.every((gpu) => isInFault(world, gpu) || !isSubscribed(world, gpu)),
  },
  locksHeld(
    "The GPU's page table is programmed and cleared under the mutex, by which the one does not fall into the other.",
    `${source}: nouveau_svm_range_invalidate, nouveau_svmm_invalidate_range_start`,
    ({ gpus }) => gpus.some(({ mutex }) => mutex.state.holder !== ""),
  ),
  storesInTime((world) => mappings(world).some(({ write }) => write), `${source}: nouveau_svmm_invalidate`),
]

const isInFault = ({ record }: NouveauWorld, { name }: Svmm): boolean => record.inFault.get(name)?.value === true

const isSubscribed = ({ subs }: NouveauWorld, { notifiers }: Svmm): boolean =>
  notifiers.some(({ name }) => subs.state.tree.includes(name) || subs.state.deferred.includes(name))

const allEnd = ({ gpus }: NouveauWorld, { ended }: Fibers): boolean => gpus.every(({ name }) => ended(name))

/** What must come about where starts are refused: by the OOM reaper's, which must not sleep. */
export const refusalPromises: ReadonlyArray<Property<NouveauWorld>> = [
  {
    kind: "leadsTo",
    id: "L-ITREE-LEAK",
    statement: "When a start was refused, others get on: a GPU's fault comes to its end.",
    source: "mm/mmu_notifier.c: mn_itree_invalidate, mmu_interval_notifier_remove",
    to: allEnd,
  },
]

/** What must come about. */
export const nouveauPromises: ReadonlyArray<Property<NouveauWorld>> = [
  {
    kind: "leadsTo",
    id: "L-RETRY",
    statement: "With finitely many invalidations, every fault of a GPU comes to its end, its subscription removed.",
    source: "Documentation/mm/hmm.rst; mm/mmu_notifier.c: mmu_interval_read_begin, mmu_interval_notifier_remove",
    to: allEnd,
  },
]
