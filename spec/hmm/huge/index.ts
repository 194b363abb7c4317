import { protocol } from "../../../checker/index.ts"
import { hugeBugs } from "./bugs.ts"
import { load, store } from "./scenarios.ts"

export const hmmHuge = protocol({
  id: "hmm/huge",
  title: "Huge pages in a mirror (mm/hmm.c: hmm_vma_handle_pmd): mapped, split and mapped for DMA in one piece",
  scenarios: [load, store],
  bugs: hugeBugs,
})
