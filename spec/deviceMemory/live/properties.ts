/** What device memory promises to come about in the end, as executable specs. */
import type { Property } from "../../../checker/index.ts"
import type { LiveWorld } from "./world.ts"

type Spec = Property<LiveWorld>

export const privateFaults: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "L-FAULT-PRIV",
    statement: "Every fault on a page in a device's memory is resolved, or ends with SIGBUS.",
    source: "mm/memory.c: do_swap_page; commits 1afaeb8293c9, b570f37a2ce4",
    to: ({ finite }, { ended }) => finite.every(ended),
  },
]

export const drained: ReadonlyArray<Spec> = [
  ...privateFaults,
  {
    kind: "invariant",
    id: "LRU-DRAINED",
    statement: "When lru_add_drain_all has returned, no page that was in a CPU's batch is on no LRU list.",
    source: "mm/swap.c: lru_add_drain_all; mm/migrate_device.c: migrate_device_unmap",
    premise: ({ system, record }) =>
      record.undrained || system.lruBatches.some(({ state }) => state.pages.length === 0),
    holds: ({ record }) => !record.undrained,
  },
]

/** A promise that all fibers whose end is promised come to it. */
const allEnd = (id: string, statement: string, source: string): ReadonlyArray<Spec> => [
  { kind: "leadsTo", id, statement, source, to: ({ finite }, { ended }) => finite.every(ended) },
]

export const migrationWaits = allEnd(
  "L-FAULT-MIGR",
  "Who waits for a page that is being migrated gets on when the migration has ended, whether or not it was moved.",
  "mm/migrate.c: migration_entry_wait; mm/migrate_device.c: migrate_vma_finalize",
)

export const pinnedMigrations = allEnd(
  "L-MIGRATE-PINNED",
  "The migration of a page that is pinned for ever ends: the page is not migrated.",
  "mm/migrate_device.c: migrate_vma_collect_pmd, migrate_device_unmap",
)

export const longtermPins = allEnd(
  "L-LONGTERM",
  "As a page is migrated finitely often, whoever pins it for good comes to an end: it has the page where it may be pinned, or fails.",
  "mm/gup.c: __gup_longterm_locked, check_and_migrate_movable_pages",
)

export const evictions: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "L-EVICT",
    statement:
      "As those who refer to a device's pages let go of them, a driver gets its memory back: it can be unbound, its memory being taken away, or closed, what it had being freed.",
    source: "mm/migrate_device.c: migrate_device_range; mm/memremap.c: memunmap_pages",
    to: ({ finite, gpus, provider }, { ended }) =>
      finite.every(ended) &&
      gpus.every(({ memory: { state } }) => !state.dying || state.gone) &&
      provider?.state.freed !== false,
  },
]

export const unbindings: ReadonlyArray<Spec> = [
  ...evictions,
  {
    kind: "invariant",
    id: "DEV-GONE-UNUSED",
    statement: "A device's memory is taken away when no page of it is given out any more.",
    source: "mm/memremap.c: memunmap_pages, wait_for_completion(&pgmap->done)",
    premise: ({ gpus }) => gpus.some(({ memory }) => memory.state.gone),
    holds: ({ gpus }) => gpus.every(({ memory: { state } }) => !state.gone || state.refs === 0),
    explain: ({ gpus }) =>
      gpus
        .filter(({ memory: { state } }) => state.gone && state.refs > 0)
        .map(({ memory: { name, state } }) => `${name} is gone, with ${state.refs} of its pages given out.`)
        .join(" "),
  },
]

export const exclusiveAccess: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "L-EXCL-DEVICE",
    statement: "When a page has been made exclusive, the device is programmed for it before anybody takes it back.",
    source:
      "mm/rmap.c: make_device_exclusive returns the page locked; Documentation/mm/hmm.rst: Exclusive access memory",
    from: ({ record }) => record.exclusive === "made",
    to: ({ record }) => record.exclusive === "programmed",
  },
  ...allEnd(
    "L-EXCL-CPU",
    "A thread whose page a device has for itself gets it back.",
    "mm/memory.c: remove_device_exclusive_entry",
  ),
]

export const pingPong = allEnd(
  "L-PINGPONG",
  "Who wants a page for atomic accesses, or to store there, while others want it too, has it or gives up: they do not take it from each other for ever.",
  "mm/rmap.c: make_device_exclusive; drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_svm_fault_cancel, HMM_RANGE_DEFAULT_TIMEOUT",
)

export const providers: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "DEV-PROVIDER",
    statement: "When what a driver has for a process is freed, no page table names a page that it provides.",
    source: "lib/test_hmm.c: dmirror_fops_release; commit 744dd97752ef",
    premise: ({ provider }) => provider?.state.freed === true,
    holds: ({ provider, mms }) =>
      provider?.state.freed !== true || mms.every(({ pte }) => pte.every(({ value }) => value?.kind !== "private")),
  },
]
