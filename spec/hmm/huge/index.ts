import { protocol } from "../../../checker/index.ts"
import { hugeBugs } from "./bugs.ts"
import { load, store } from "./scenarios.ts"

export const hmmHuge = protocol({
  id: "hmm/huge",
  title: "Huge pages in a mirror (mm/hmm.c: hmm_vma_handle_pmd): mapped, split and mapped for DMA in one piece",
  about: {
    purpose:
      "A device maps a huge page in one piece, for itself and for DMA, and the process splits it or takes it away. Part of a piece must not stay behind.",
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
