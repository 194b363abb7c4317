import type { Survivors } from "../../../checker/index.ts"

const locked = "the driver's lock is held, under which everybody looks who maps or unmaps"

/** Why mutants of the DMA mapping of HMM survive. */
export const hmmDmaSurvivors: Survivors = {
  "swap ib_umem_odp_unmap_dma_pages | hmm_dma_unmap_pfn": locked,
  "split hmm_dma_unmap_pfn": locked,
  "split ib_umem_odp_unmap_dma_pages": locked,
}
