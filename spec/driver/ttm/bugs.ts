/** Seeded bugs of memory that is mapped without pages. */
import * as Effect from "effect/Effect"
import {
  changeBody,
  changeGuard,
  changeResult,
  leaveOut,
  moveBehind,
  type Replacements,
  type SeededBug,
  self,
  step,
} from "../../../checker/index.ts"
import { folioOf } from "../../../model/mm/folio.ts"
import { grab } from "../../../model/mm/gup.ts"
import { mmapReadLock, mmapReadUnlock } from "../../../model/mm/mm.ts"
import { at } from "../../../model/mm/range.ts"
import { mmOf } from "../../../model/mm/rmap.ts"
import { directIo, evict, unmapped } from "./scenarios.ts"
import type { TtmWorld } from "./world.ts"

/** Where bugs are hunted: at bounds that are no larger than it takes. */
const oneMove = { scenario: evict.id, bound: { objects: 1, processes: 1, jobs: 1 } }
const oneEviction = { scenario: evict.id, bound: { objects: 2, processes: 1, jobs: 2 } }

/** Faults do not reserve the object. */
const faultsUnreserved = ({ device: { objects } }: TtmWorld): Replacements => {
  const isMine = (name: unknown) => objects.some(({ resv }) => resv.name === name && resv.state.holder === self())
  return {
    mutex_trylock: changeBody(() => true),
    mutex_unlock: changeBody(({ args, body }) => (isMine(args[0]) ? body() : undefined)),
  }
}

export const ttmBugs: ReadonlyArray<SeededBug<TtmWorld>> = [
  {
    id: "pfnmap-munmap-flushes-late",
    title:
      "munmap flushes the TLBs at its end: the area is out of the file's tree by then, the driver finds nothing to unmap, and gives up memory to which a TLB still leads",
    source: "commit b67fbebd4cf9: mmu_gather: Force tlb-flush VM_PFNMAP vmas, CVE-2022-39188",
    scenario: unmapped.id,
    breaks: "PFN-TLB",
    at: () => moveBehind("tlb_end_vma", "tlb_finish_mmu"),
  },
  {
    id: "ttm-moved-while-mapped",
    title: "the object is moved and its mappings stay",
    source: "drivers/gpu/drm/ttm/ttm_bo.c: ttm_bo_unmap_virtual, by inference",
    ...oneMove,
    breaks: "PFN-MAPS-RESOURCE",
    at: () => ({ unmap_mapping_range: changeResult(() => []) }),
  },
  {
    id: "ttm-fault-unreserved",
    title: "a fault maps the object without reserving it, between its being unmapped and its leaving the memory",
    source: "drivers/gpu/drm/ttm/ttm_bo_vm.c: ttm_bo_vm_reserve, by inference",
    ...oneMove,
    breaks: "PFN-MAPS-RESOURCE",
    at: faultsUnreserved,
  },
  {
    id: "ttm-evicts-under-job",
    title: "an object is evicted while the device works on it, and the job stores to what is another's by then",
    source: "drivers/gpu/drm/ttm/ttm_bo_util.c: ttm_bo_wait_ctx, by inference",
    ...oneEviction,
    breaks: "PFN-FENCED",
    at: () => ({ ttm_bo_wait_ctx: changeGuard() }),
  },
  {
    id: "ttm-job-stores-to-another-object",
    title: "the same, until the owner of the other object loads",
    source: "drivers/gpu/drm/ttm/ttm_bo_util.c: ttm_bo_wait_ctx, by inference",
    scenario: evict.id,
    breaks: "PFN-LAST-STORE",
    at: () => ({ ttm_bo_wait_ctx: changeGuard() }),
  },
  {
    id: "ttm-memory-handed-out-twice",
    title: "the device's memory is given to an object while another lies there",
    source: "drivers/gpu/drm/ttm/ttm_resource.c: ttm_resource_alloc, by inference",
    ...oneEviction,
    breaks: "PFN-VRAM-ONE",
    at: ({ device }) => ({
      ttm_resource_alloc: changeBody(({ args }) => {
        device.manager.owner = String(args[0])
        return device.objects.find(({ name }) => name === args[0])?.index
      }),
    }),
  },
  {
    id: "ttm-old-memory-kept",
    title: "what an object has left is not given back to the system",
    source: "drivers/gpu/drm/ttm/ttm_bo_util.c: ttm_bo_move_sync_cleanup, by inference",
    ...oneMove,
    breaks: "PFN-NO-LEAK",
    at: ({ device: { objects, vram } }) => ({
      ttm_bo_move_sync_cleanup: changeBody(({ args }) => {
        const bo = objects.find(({ name }) => name === args[0])
        if (bo !== undefined) bo.state.resource = vram
      }),
    }),
  },
  {
    id: "ttm-object-mapped-as-page",
    title: "the fault maps the memory as a page (vm_insert_page), which counts the entry",
    source: "mm/memory.c: vm_insert_page against vmf_insert_pfn_prot, by inference",
    ...oneMove,
    breaks: "PFN-NOT-RMAPPED",
    at: ({ device: { objects, system } }) => ({
      vmf_insert_pfn_prot: (original) =>
        Effect.tap(original, () =>
          step("vm_insert_page: folio_add_file_rmap_pte", [], () => {
            for (const { state } of objects) folioOf(system.folios, state.resource).mapcount++
          }),
        ),
    }),
  },
  {
    id: "ttm-object-counted",
    title: "the entry counts as memory of the process, which nobody takes back when it goes",
    source: "mm/memory.c: insert_pfn, by inference",
    ...oneMove,
    breaks: "PFN-UNCOUNTED",
    at: ({ device: { system } }) => ({
      vmf_insert_pfn_prot: changeBody(({ args, body }) => {
        mmOf(system, String(args[0])).rss.file++
        return body()
      }),
    }),
  },
  {
    id: "pfnmap-page-pinned",
    title: "whoever wants the page takes a reference to what the entry maps, of which its driver does not know",
    source: "virt/kvm/kvm_main.c: hva_to_pfn_remapped, CVE-2021-22543",
    scenario: directIo.id,
    breaks: "PFN-NO-GUP",
    at: ({ device: { system } }) => ({
      check_vma_flags: (original, { args }) =>
        Effect.tap(original, () =>
          step("follow_pfn, kvm_get_pfn", args, () => {
            const pte = at(mmOf(system, String(args[0])).pte, Number(args[1])).value
            if (pte?.kind === "special") grab(folioOf(system.folios, pte.page), true)
          }),
        ),
    }),
  },
  {
    id: "ttm-fault-maps-nothing",
    title: "the fault says that all is well and maps nothing: it is taken again for ever",
    source: "drivers/gpu/drm/ttm/ttm_bo_vm.c: ttm_bo_vm_fault_reserved, VM_FAULT_NOPAGE; by inference",
    scenario: unmapped.id,
    bound: { processes: 1, jobs: 0 },
    breaks: "L-PFN-FAULT",
    at: () => ({ vmf_insert_pfn_prot: leaveOut() }),
  },
  {
    id: "ttm-submit-takes-mmap-lock",
    title: "a job is read from the process's memory with the object reserved: a fault has mmap_lock and reserves",
    source: "drivers/dma-buf/dma-resv.c: dma_resv_lockdep",
    ...oneMove,
    breaks: "PFN-LOCK-ORDER",
    at: ({ device: { system } }) => {
      const mm = mmOf(system, "mm0")
      return {
        ttm_resource_compatible: (original) =>
          Effect.andThen(Effect.andThen(mmapReadLock(mm), mmapReadUnlock(mm)), original),
      }
    },
  },
]
