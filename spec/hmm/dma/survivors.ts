import type { Survivors } from "../../../checker/index.ts"

const locked = "the driver's lock is held, under which everybody looks who maps or unmaps"
const waits =
  "the sequence is set: who faults meanwhile waits for the end of the invalidation, and the callback has not returned"

/** Why mutants of the DMA mapping of HMM survive. */
export const hmmDmaSurvivors: Survivors = {
  "swap dma_iova_link | hmm_dma_map_pfn: HMM_PFN_DMA_MAPPED": locked,
  "swap dma_iova_unlink | hmm_dma_map_pfn: HMM_PFN_DMA_MAPPED": locked,
  "swap ib_umem_odp_unmap_dma_pages | hmm_dma_unmap_pfn": locked,
  "swap ib_umem_odp_unmap_dma_pages | mutex_unlock": waits,
  "leave-out ib_umem_odp_unmap_dma_pages":
    "that the page is dirty is asked where it can be clean in swap (driver/odp), and an entry that is left is filled anew by the next fault",
  "split hmm_dma_map_pfn": locked,
  "split dma_iova_link": locked,
  "split hmm_dma_map_pfn: HMM_PFN_DMA_MAPPED": locked,
  "split hmm_dma_unmap_pfn": locked,
  "split ib_umem_odp_unmap_dma_pages": locked,
  "split dma_map_phys": locked,
}
