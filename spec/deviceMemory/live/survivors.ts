import type { Survivors } from "../../../checker/index.ts"

const drains =
  "a page that is not on its LRU list yet when the migration looks is left where it is: to drain the batches makes that rare, and is no promise"

/** Why mutants of the steps of eviction, closing and unbinding survive. */
export const liveSurvivors: Survivors = {
  "leave-out lru_add_drain_all: flush_work": drains,
  "swap lru_add_drain_all: flush_work | migrate_device_unmap: folio_isolate_lru": drains,
  "open-guard lru_add_drain_all: flush_work": drains,
  "open-guard lru_add_drain_per_cpu":
    "that the work waits for the CPU is what makes who waits for it wait: work that is done at once keeps nobody",
  "swap mutex_lock | devmem_chunk->remove":
    "a migration that is under way then gets no page and leaves its own where they are: the eviction is behind the lock either way",
}
