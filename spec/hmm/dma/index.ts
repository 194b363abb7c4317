import { protocol } from "../../../checker/index.ts"
import { dmaBugs } from "./bugs.ts"
import { dmaScenarios } from "./scenarios.ts"
import { hmmDmaSurvivors } from "./survivors.ts"

export const hmmDma = protocol({
  id: "hmm/dma",
  title: "DMA mapping of what a mirror is told of (mm/hmm.c: hmm_dma_map_pfn, hmm_dma_unmap_pfn)",
  steps: ["hmm_*", "dma_*", "ib_umem_odp_unmap_dma_pages", "pci_p2pdma_*"],
  scenarios: dmaScenarios,
  bugs: dmaBugs,
  survivors: hmmDmaSurvivors,
})
