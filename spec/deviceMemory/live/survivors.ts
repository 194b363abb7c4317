import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of the steps of eviction, closing and unbinding survive. */
export const liveSurvivors: Survivors = {
  "open-guard lru_add_drain_per_cpu":
    "that the work waits for the CPU is what makes who waits for it wait: work that is done at once keeps nobody",
  "swap mutex_lock | devmem_chunk->remove":
    "a migration that is under way then gets no page and leaves its own where they are: the eviction is behind the lock either way",
}
