import { protocol } from "../../../checker/index.ts"
import { coreMonitors, coreState, gpuMemoryState } from "../../described.ts"
import { liveBugs } from "./bugs.ts"
import { close, exclusive, longterm, pinned, unbind, unbindPinned, waiters } from "./migrations.ts"
import { takeFromEachOther } from "./pingPong.ts"
import { drain, faults } from "./scenarios.ts"
import { liveSurvivors } from "./survivors.ts"

export const deviceLive = protocol({
  id: "device/live",
  title: "What device memory promises to come about: faults, migrations and evictions come to their ends",
  about: {
    purpose:
      "An invariant says that nothing bad happens; these scenarios ask that something good does. Faults on private pages, migrations, exclusive access, long-term pins, eviction and the removal of a device come to their ends in every fair run, whoever gets in their way by a reference or a lock.",
    actors: {
      cpuN: "A thread of the process that loads from the page, stores to it or pins it, faulting until it gets through.",
      hmmN: "A driver that wants the page by hmm_range_fault, which has to bring it back from a GPU's memory.",
      gpu: "The first GPU's driver: takes the page to its memory, or makes it the GPU's alone for atomic accesses.",
      gpuN: "The second GPU's driver, which migrates two pages to its memory, one of them from the first GPU's.",
      cardN: "A GPU that accesses the page atomically, for which it must have the page to itself.",
      gup: "A thread that gets a reference to the page (get_user_pages) and gives it back.",
      pin: "A thread that pins the page and never gives it back; or wants to, for good, where that is not allowed.",
      rmmod: "Unbinds the first GPU's driver, which must have all pages of its memory back before.",
      close: "Closes the device's file: the driver evicts what the process has in its memory, and frees its state.",
      "kworker/cpuN": "The work item that puts the pages of a CPU's batch on the LRU lists (lru_add_drain_per_cpu).",
    },
    state: {
      ...coreState,
      ...gpuMemoryState,
      cardN:
        "What a GPU's driver has for the process: page table and locks, subscription, and whether its file's state was freed.",
      cpuN: "The pages in a CPU's batch for the LRU lists, whether it was asked to empty that, and who runs there.",
    },
    monitors: {
      ...coreMonitors,
      live: "What became of a page that a GPU wants alone, and whether a migration went on with pages left in a batch.",
    },
    notModelled: [
      "Fairness is weak: whoever could go on from some point for ever does so. Of several that wait for a lock any may be next.",
      "No huge pages take part, and there is no time but steps.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["memunmap_pages*", "dmirror_fops_release*", "devmem_chunk*", "page->zone_device_data", "lru_add_drain*"],
  scenarios: [faults, drain, waiters, pinned, longterm, unbind, unbindPinned, close, exclusive, takeFromEachOther],
  bugs: liveBugs,
  survivors: liveSurvivors,
})
