import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of the steps of eviction, closing and unbinding survive. */
export const liveSurvivors: Survivors = {
  "swap mutex_lock | devmem_chunk->remove":
    "a migration that is under way then gets no page and leaves its own where they are: the eviction is behind the lock either way",
}
