import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of the steps of the notifiers of 2008 survive. */
export const survivors2008: Survivors = {
  "leave-out pageout": "reclaim keeps a page that is dirty, as it may: nobody is promised that it writes one back",
  "swap zap_pte_range | srcu_read_lock":
    "the section of the end is entered a little earlier, and no callback is called in it before the page is gone",
  "swap synchronize_srcu | zap_pte_range":
    "release has run, so that no device maps anything; what the grace period keeps back is the freeing of notifiers, which comes later",
  "swap set_page_dirty | clear_page_dirty_for_io":
    "the page is dirty when its write has ended, and is written once more",
  "wake-early xpmem_recall_page":
    "the page is locked, and only who has it locked exports it: what the device maps of it can but become less meanwhile",
  "lose-wake-up xpmem_recall_page": "it waits for the answer in its next step, whether it sleeps meanwhile or not",
}
