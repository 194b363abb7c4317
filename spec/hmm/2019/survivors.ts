import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of the steps of HMM of 2019 survive. */
export const hmm2019Survivors: Survivors = {
  "swap up_write(mirrors_sem) | mmap_write_unlock":
    "both are given back, one right behind the other: nobody who waits for one of them holds the other",
  "swap hmm_invalidate_range_start | down_read_trylock(mirrors_sem)":
    "no mirror is called before both: where the list cannot be had, what has been counted is taken back",
  "split zap_pte_range":
    "the page is announced between the halves: what others take away or fault in there meanwhile, which the lock of the page table is to prevent, no mirror takes for valid",
  "swap notifiers_decrement | hmm_put":
    "what a last reference frees is freed behind the section in which the callback runs, and nobody has a range any more whose validity were asked",
}
