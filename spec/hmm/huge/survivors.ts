import type { Survivors } from "../../../checker/index.ts"

const alone = "one CPU changes the page table, and a device that looks between finds the range being invalidated"

/** Why mutants of huge mappings survive. */
export const hmmHugeSurvivors: Survivors = {
  "leave-out __split_huge_pmd_locked":
    "the page stays huge, and the process and the device take it from each other for longer than executions are followed",
  "swap device_map | dma_map_phys": "the driver's lock is held, under which everybody else looks",
  "swap dma_unmap_phys | mutex_unlock":
    "the sequence is set: who faults meanwhile waits for the end of the invalidation, and the callback has not returned",
  "split __split_huge_pmd_locked": alone,
  "split zap_huge_pmd": alone,
}
