import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of the on-demand paging of 2014 survive. */
export const odpSurvivors2014: Survivors = {
  "open-guard wait_for_completion_timeout": "the wait has an end by itself, and what woke up too early tries again",
  "swap ib_umem_notifier_start_account | ib_umem_notifier_release_trampoline":
    "faults that wait look first whether the umem is dying, and others have no user of the memory left to look a page up with",
  "wake-early ib_ucontext_notifier_end_account: mn_counters_active":
    "a fault that is woken finds a umem without counters, and tries again",
  "lose-wake-up ib_umem_notifier_start_account":
    "a fault that does not sleep finds the invalidation counted, again and again until it is over",
}
