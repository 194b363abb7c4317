import { protocol } from "../../../checker/index.ts"
import { dmaBugs } from "./bugs.ts"
import { dmaScenarios } from "./scenarios.ts"
import { hmmDmaSurvivors } from "./survivors.ts"

export const hmmDma = protocol({
  id: "hmm/dma",
  title: "DMA mapping of what a mirror is told of (mm/hmm.c: hmm_dma_map_pfn, hmm_dma_unmap_pfn)",
  about: {
    purpose:
      "What HMM reports is mapped for DMA by hmm_dma_map_pfn, through an IOMMU or as addresses of other devices on the bus, and unmapped in the invalidation's callback. The list of pages remembers by flags what is mapped. No device may reach a page by an address that is no more, and no mapping may be lost or undone twice.",
    notModelled: [
      "swiotlb: a device that would bounce gets no map.",
      "The IOMMU's page table as a tree: it maps addresses to pages, and may have no memory for a table or for a flush.",
      "No huge pages take part.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["hmm_*", "dma_*", "ib_umem_odp_unmap_dma_pages", "pci_p2pdma_*"],
  scenarios: dmaScenarios,
  bugs: dmaBugs,
  survivors: hmmDmaSurvivors,
})
