import { protocol } from "../../../checker/index.ts"
import { hugeBugs } from "./bugs.ts"
import { load, store } from "./scenarios.ts"
import { hmmHugeSurvivors } from "./survivors.ts"

export const hmmHuge = protocol({
  id: "hmm/huge",
  title: "Huge pages in a mirror (mm/hmm.c: hmm_vma_handle_pmd): mapped, split and mapped for DMA in one piece",
  steps: ["hmm_*", "dma_*", "__split_huge_pmd_locked", "zap_huge_pmd"],
  scenarios: [load, store],
  bugs: hugeBugs,
  survivors: hmmHugeSurvivors,
})
