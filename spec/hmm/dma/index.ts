import { protocol } from "../../../checker/index.ts"
import { deviceCard, driverMonitors, invalidatingThread, iommuTable, processState, swapState } from "../../described.ts"
import { dmaBugs } from "./bugs.ts"
import { dmaScenarios } from "./scenarios.ts"
import { hmmDmaSurvivors } from "./survivors.ts"

export const hmmDma = protocol({
  id: "hmm/dma",
  title: "DMA mapping of what a mirror is told of (mm/hmm.c: hmm_dma_map_pfn, hmm_dma_unmap_pfn)",
  about: {
    purpose:
      "What HMM reports is mapped for DMA by hmm_dma_map_pfn, through an IOMMU or as addresses of other devices on the bus, and unmapped in the invalidation's callback. The list of pages remembers by flags what is mapped. No device may reach a page by an address that is no more, and no mapping may be lost or undone twice.",
    actors: {
      cpuN: invalidatingThread,
      nic: "A network adapter that loads, stores or prefetches by DMA addresses: its driver faults and maps pages for DMA.",
      nicN: "A second queue of that adapter, which does the same at once.",
    },
    state: {
      ...processState,
      ...swapState,
      pci_pNpdma_state:
        "How the adapter reaches the memory of another device: by the bus, by the host bridge, or not at all (pci_p2pdma_state).",
      iommu: iommuTable,
      nic: "The driver's lock (umem_mutex), its lists of pages and DMA addresses (struct hmm_dma_map), the adapter's table, and its subscription.",
      bar: "The memory of another device, reached over the bus, in which the last page may lie (struct dev_pagemap).",
      nvme: deviceCard,
    },
    monitors: {
      window: driverMonitors.window,
      unlocked: driverMonitors.unlocked,
    },
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
