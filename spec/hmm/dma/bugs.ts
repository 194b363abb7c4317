/** Seeded bugs of DMA mapping by HMM, and of the callback that undoes it. */
import * as Effect from "effect/Effect"
import { changeBody, leaveOut, moveBehind, type Replacements, type SeededBug, step } from "../../../checker/index.ts"
import { at } from "../../../model/mm/range.ts"
import { calls, failing, p2p, plain, prefetch, queues, swappedIn } from "./scenarios.ts"
import { type DmaWorld, deviceName } from "./world.ts"

const inCalls = { scenario: calls.id, bound: { invalidations: 1 } }

/** Replacements for the device's fiber. */
const inDevice =
  (replacements: (world: DmaWorld) => Replacements) =>
  (world: DmaWorld, fiber: string): Replacements =>
    fiber.startsWith(deviceName) ? replacements(world) : {}

/** The flags of an entry are read, and written back behind the rest. */
const refills = ({ device }: DmaWorld): Replacements => ({
  hmm_vma_handle_pte: (original, { name, args }) =>
    Effect.gen(function* () {
      const va = Number(args[0])
      const before = yield* step("READ_ONCE(*hmm_pfn)", [va], () => at(device.map.pfnList, va).value)
      const found = yield* original
      yield* step(`${name}: *hmm_pfn`, [va], () => {
        const entry = at(device.map.pfnList, va)
        entry.value = { ...entry.value, dmaMapped: before.dmaMapped, p2p: before.p2p }
      })
      return found
    }),
})

export const dmaBugs: ReadonlyArray<SeededBug<DmaWorld>> = [
  {
    id: "dma-unmapped-after-window",
    title: "the callback leaves the DMA mapping to somebody who undoes it when the window is over and the page freed",
    source: "drivers/infiniband/core/umem_odp.c: ib_umem_odp_unmap_dma_pages, called by the callback",
    ...inCalls,
    breaks: "DMA-UNMAP-BEFORE-FREE",
    at: ({ device, iommu }) => {
      let later: Effect.Effect<unknown> = Effect.void
      return {
        hmm_dma_unmap_pfn: (_, { args }) => {
          const va = Number(args[1])
          later = step("queue_work: dma_iova_unlink", [va], () => {
            at(iommu.table, va).value = null
          })
          return step("hmm_dma_unmap_pfn: queue_work", [va], () => {
            const entry = at(device.map.pfnList, va)
            const mapped = entry.value.dmaMapped
            entry.value = { ...entry.value, dmaMapped: false }
            return mapped
          })
        },
        mmap_read_unlock: (original) =>
          Effect.flatMap(original, (result) => {
            const work = later
            later = Effect.void
            return Effect.as(work, result)
          }),
      }
    },
  },
  {
    id: "dma-unmapped-before-device",
    title: "the callback undoes the DMA mapping before the device's table, which the device goes on using",
    source:
      "drivers/infiniband/hw/mlx5/odp.c: mlx5_ib_invalidate_range: mlx5r_umr_update_xlt, then ib_umem_odp_unmap_dma_pages",
    ...inCalls,
    breaks: "DMA-TRANSLATES",
    at: () => moveBehind("device_unmap", "hmm_dma_unmap_pfn"),
  },
  {
    id: "dma-refill-not-atomic",
    title:
      "as published: HMM reads the flags of an entry and writes them back, without the driver's lock, and the callback has cleared them in between",
    source:
      "mm/hmm.c: hmm_vma_handle_pte, *hmm_pfn & HMM_PFN_INOUT_FLAGS, on the list of drivers/infiniband/core/umem_odp.c that hmm_dma_unmap_pfn changes. By inference: read in the source, not observed",
    scenario: prefetch.id,
    bound: { invalidations: 1 },
    breaks: "DMA-MAPPED-VALID",
    at: inDevice(refills),
  },
  {
    id: "dma-refills-race",
    title:
      "as published: two faults fill one list without the driver's lock, and what one has noted of its DMA mapping the other overwrites",
    source:
      "mm/hmm.c: hmm_vma_handle_pte, *hmm_pfn & HMM_PFN_INOUT_FLAGS; drivers/infiniband/core/umem_odp.c: ib_umem_odp_map_dma_and_lock, range.hmm_pfns. By inference: read in the source, not observed",
    scenario: queues.id,
    bound: { invalidations: 0 },
    breaks: "DMA-ONCE",
    at: inDevice(refills),
  },
  {
    id: "dma-mapped-again",
    title: "an entry that is to be stored to, and is mapped for DMA already, is mapped once more",
    source: "mm/hmm.c: hmm_dma_map_pfn, the comment on the resynchronisation of flags",
    scenario: plain.id,
    bound: { invalidations: 0 },
    breaks: "DMA-ONCE",
    at: inDevice(() => ({ hmm_dma_map_pfn: changeBody(() => ({ mmio: false })) })),
  },
  {
    id: "dma-sync-failure-stays-linked",
    title: "the flush fails, and the page stays in the IOMMU's table",
    source: "mm/hmm.c: hmm_dma_map_pfn: dma_iova_unlink behind dma_iova_sync",
    scenario: failing.id,
    bound: { invalidations: 0 },
    breaks: "DMA-ONCE",
    at: inDevice(() => ({ dma_iova_unlink: leaveOut() })),
  },
  {
    id: "dma-p2p-as-memory",
    title: "as published at first: a page of another device's is mapped through the host bridge as if it were memory",
    source: "mm/hmm: properly take MMIO path, 2025",
    scenario: p2p.id,
    bound: { invalidations: 0 },
    breaks: "DMA-P2P-MMIO",
    at: inDevice(() => ({
      hmm_dma_map_pfn: changeBody(({ body }) => {
        const plan = body()
        return typeof plan === "object" && plan !== null && "mmio" in plan ? { mmio: false } : plan
      }),
    })),
  },
  {
    id: "dma-failure-keeps-p2p",
    title: "the mapping fails, and the entry still says that it goes through the host bridge",
    source: "mm/hmm.c: hmm_dma_map_pfn, its error path",
    scenario: p2p.id,
    bound: { invalidations: 0 },
    breaks: "DMA-P2P-FLAGS",
    at: inDevice(({ device }) => ({
      "hmm_dma_map_pfn: HMM_PFN_DMA_MAPPED": changeBody(({ body, args }) => {
        const entry = at(device.map.pfnList, Number(args[1]))
        const { p2p: way } = entry.value
        const address = body()
        entry.value = { ...entry.value, p2p: way }
        return address
      }),
    })),
  },
  {
    id: "dma-unmaps-behind-lock",
    title: "the callback gives its lock up before it has unmapped the last page",
    source: "drivers/infiniband/core/umem_odp.c: ib_umem_odp_unmap_dma_pages, lockdep_assert_held",
    ...inCalls,
    breaks: "LOCKDEP-HELD",
    at: (_, fiber) => (fiber.startsWith("cpu") ? moveBehind("ib_umem_odp_unmap_dma_pages", "mutex_unlock") : {}),
  },
  {
    id: "dma-unmaps-clean",
    title: "the callback does not say that the device may have stored to the page",
    source: "drivers/infiniband/core/umem_odp.c: ib_umem_odp_unmap_dma_pages, set_page_dirty",
    scenario: swappedIn.id,
    breaks: "MIRROR-DIRTY",
    at: () => ({ ib_umem_odp_unmap_dma_pages: leaveOut() }),
  },
]
