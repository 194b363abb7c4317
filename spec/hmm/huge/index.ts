import { protocol } from "../../../checker/index.ts"
import { driverMonitors, iommuTable, processState, swapState } from "../../described.ts"
import { hugeBugs } from "./bugs.ts"
import { load, store } from "./scenarios.ts"

export const hmmHuge = protocol({
  id: "hmm/huge",
  title: "Huge pages in a mirror (mm/hmm.c: hmm_vma_handle_pmd): mapped, split and mapped for DMA in one piece",
  about: {
    purpose:
      "A device maps a huge page in one piece, for itself and for DMA, and the process splits it or takes it away. Part of a piece must not stay behind.",
    actors: {
      cpuN: "A thread of the process that takes away half of the huge page or all of it, gives it a NUMA hint, or forks.",
      gpuN: "A device that maps the huge page in one piece, for itself and for DMA, and loads or stores there.",
    },
    state: {
      ...processState,
      ...swapState,
      iommu: iommuTable,
      gpuN: "The device's lock, the pieces that it maps, by the address at which each begins, and its subscription.",
    },
    monitors: {
      window: driverMonitors.window,
      huge: "Whether HMM has ever told of a huge page where there was none.",
    },
    notModelled: [
      "That the huge page is one folio: it is as many as the page table has entries, one after the other.",
      "Reclaim, migration and mremap of huge pages, and khugepaged.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["hmm_*", "dma_*", "__split_huge_pmd_locked", "zap_huge_pmd"],
  scenarios: [load, store],
  bugs: hugeBugs,
})
