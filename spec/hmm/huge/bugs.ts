/** Seeded bugs of huge pages in a mirror. */
import * as Effect from "effect/Effect"
import { changeBody, leaveOut, type Replacement, type Replacements, type SeededBug } from "../../../checker/index.ts"
import { covered } from "../../../model/driver/hugeMirror.ts"
import { mappedPage } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { load, store } from "./scenarios.ts"
import { deviceName, type HugeWorld } from "./world.ts"

const inLoad = { scenario: load.id, bound: { invalidations: 1 } }

const inDevice =
  (replacements: (world: HugeWorld) => Replacements) =>
  (world: HugeWorld, fiber: string): Replacements =>
    fiber === deviceName ? replacements(world) : {}

/** The window of a split is nobody's business: its first and last steps are not taken. */
const splitsUnannounced = (): Replacements => {
  let silent = false
  const only: Replacement = (original) => Effect.suspend(() => (silent ? Effect.void : original))
  return {
    mn_itree_inv_start_range: (original, { args }) =>
      Effect.suspend(() => {
        silent = args[4] === "__split_huge_pmd"
        return silent ? Effect.succeed({ first: null, seq: 0 }) : original
      }),
    mn_itree_inv_end: only,
  }
}

/** A piece goes only if it begins in the range. */
const dropsByStart = ({ device }: HugeWorld): Replacements => ({
  device_unmap: changeBody(({ args }) =>
    device.pieces.flatMap((cell, va) => {
      const piece = cell.value
      if (piece === null || va < Number(args[1]) || va >= Number(args[2])) return []
      cell.value = null
      return [covered(va, piece)]
    }),
  ),
})

export const hugeBugs: ReadonlyArray<SeededBug<HugeWorld>> = [
  {
    id: "huge-split-unannounced",
    title: "a huge entry is split and nobody is told: a device goes on mapping the page in one piece",
    source: "mm/hmm.c: hmm_vma_walk_pmd: even if some other thread is splitting it we will get that event",
    ...inLoad,
    breaks: "HMM-HUGE-AGREE",
    at: splitsUnannounced,
  },
  {
    id: "huge-piece-outlives-split",
    title:
      "a split is not announced, and the callback drops what begins in the range: half of a huge page is freed under the device",
    source:
      "drivers/infiniband/core/umem_odp.c: ib_umem_odp_unmap_dma_pages, which goes from the first address on in steps of the umem's page size",
    ...inLoad,
    breaks: "MIRROR-NO-UAF",
    at: (world) => ({ ...splitsUnannounced(), ...dropsByStart(world) }),
  },
  {
    id: "huge-half-without-split",
    title: "one page of a huge entry is taken away, and the entry stays huge",
    source: "mm/memory.c: zap_pmd_range; mm/huge_memory.c: vma_adjust_trans_huge",
    ...inLoad,
    breaks: "HUGE-WHOLE",
    at: () => ({ __split_huge_pmd_locked: leaveOut() }),
  },
  {
    id: "huge-unchecked",
    title: "the entry is read without a lock, and the sequence not asked before the page is mapped in one piece",
    source: "mm/hmm.c: hmm_vma_walk_pmd; Documentation/mm/hmm.rst",
    ...inLoad,
    breaks: "MIRROR-AGREE",
    at: inDevice(() => ({ mmu_interval_read_retry: leaveOut(false) })),
  },
  {
    id: "huge-told-of-small-pages",
    title: "pages that follow each other are told as a huge page, however they are mapped",
    source: "commit 3b50a6e536d2: mm/hmm: provide the page mapping order in hmm_range_fault()",
    scenario: store.id,
    bound: { invalidations: 1 },
    breaks: "HMM-HUGE-ORDER",
    at: inDevice(({ mm, pmd }) => ({
      hmm_vma_walk_pmd: changeBody(({ body }) => {
        const [first, next] = [0, 1].map((va) => mappedPage(at(mm.pte, va).value))
        if (pmd.huge.value || first == null || next?.pfn !== first.pfn + 1) return body()
        return { order: 1, pages: [first, next], write: false }
      }),
    })),
  },
  {
    id: "huge-unmapped-by-half",
    title: "the callback unmaps from DMA half of a piece before it has taken the device's entry",
    source: "Documentation/core-api/dma-api.rst: dma_unmap_page",
    ...inLoad,
    breaks: "DMA-ONE-PIECE",
    at: ({ device }) => ({
      mmu_interval_set_seq: changeBody(({ body }) => {
        body()
        at(device.iommu.table, 1).value = null
      }),
    }),
  },
  {
    id: "huge-dma-stays",
    title: "the callback leaves the DMA mapping of a piece as it is",
    source: "drivers/infiniband/core/umem_odp.c: ib_umem_odp_unmap_dma_pages",
    ...inLoad,
    breaks: "DMA-UNMAP-BEFORE-FREE",
    at: () => ({ dma_unmap_phys: leaveOut() }),
  },
]
