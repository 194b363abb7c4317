import type { Survivors } from "../../../checker/index.ts"

const neighbours =
  "who calls two mirrors has the locks of both for a moment, in the order of the list, and nobody else has two"
const readers =
  "a lock's readers are a list in one cell here, which the kernel counts in one instruction; in no scenario does anybody want to write while two read"

/** Why mutants of the steps of HMM of 2019 survive. */
export const hmm2019Survivors: Survivors = {
  "swap mutex_unlock | mutex_lock": neighbours,
  "swap mutex_unlock | mutex_trylock": neighbours,
  "swap srcu_read_unlock | anon_vma_unlock_read":
    "the section ends a step later, for which only a grace period waits, and that a little longer",
  "swap notifiers_decrement | hmm_put":
    "what a last reference frees is freed behind the section in which the callback runs, and nobody has a range any more whose validity were asked",
  "split mmap_read_unlock": readers,
  "split anon_vma_unlock_read": readers,
}
