/** The invariants of memory that is mapped without pages: the driver's rules, and what the core does not do for it. */
import { actionInvariant, lockOrder, type Property } from "../../../checker/index.ts"
import { folioOf, isLive } from "../../../model/mm/folio.ts"
import { placesOf } from "../../../model/mm/rmap.ts"
import type { TtmWorld } from "./world.ts"

/** What the entries of processes map. */
const mappings = ({ processes }: TtmWorld) =>
  processes.flatMap(({ mm, bo }) =>
    mm.pte.flatMap(({ value: pte }) => (pte?.kind === "special" ? [{ mm, bo, page: pte.page }] : [])),
  )

/** What their TLBs have. */
const translations = ({ processes }: TtmWorld) =>
  processes.flatMap(({ mm, bo }) =>
    [...mm.tlbs.values()].flatMap((tlb) =>
      tlb.flatMap(({ value }) => (value?.page == null ? [] : [{ mm, bo, page: value.page }])),
    ),
  )

type Mapping = ReturnType<typeof mappings>[number]

const isStale = ({ bo: { state }, page }: Mapping): boolean =>
  page.pfn !== state.resource.pfn || page.generation !== state.resource.generation

const inVram = ({ device: { objects, vram } }: TtmWorld) =>
  objects.filter(({ state }) => state.resource.pfn === vram.pfn).map(({ name }) => name)

export const ttmProperties: ReadonlyArray<Property<TtmWorld>> = [
  {
    kind: "invariant",
    id: "PFN-MAPS-RESOURCE",
    statement: "An entry maps the memory in which its object lies.",
    source: "drivers/gpu/drm/ttm/ttm_bo.c: ttm_bo_handle_move_mem; ttm_bo_vm.c: ttm_bo_vm_fault_reserved",
    premise: (world) => mappings(world).length > 0,
    holds: (world) => !mappings(world).some(isStale),
    explain: (world) =>
      mappings(world)
        .filter(isStale)
        .map(({ mm, bo, page }) => `${mm.name} maps page ${page.pfn}, which ${bo.name} has left.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "PFN-TLB",
    statement: "No TLB has a translation to memory that the object has left.",
    source:
      "mm/mmu_gather.c: tlb_end_vma; commit b67fbebd4cf9: mmu_gather: Force tlb-flush VM_PFNMAP vmas, CVE-2022-39188",
    premise: (world) => translations(world).length > 0,
    holds: (world) => !translations(world).some(isStale),
    explain: (world) =>
      translations(world)
        .filter(isStale)
        .map(({ mm, bo, page }) => `A TLB of ${mm.name} has page ${page.pfn}, which ${bo.name} has left.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "PFN-LAST-STORE",
    statement:
      "A load returns what was stored to the object last, by a process or by the device, wherever it lay then.",
    source: "drivers/gpu/drm/ttm/ttm_bo_util.c: ttm_bo_move_memcpy",
    premise: ({ record }) => record.contents.some((content) => content !== "0"),
    holds: ({ record }) => !record.lost,
  },
  {
    kind: "invariant",
    id: "PFN-VRAM-ONE",
    statement: "The device's memory belongs to the object that its manager says, and no other lies there.",
    source: "drivers/gpu/drm/ttm/ttm_resource.c: ttm_resource_alloc, ttm_resource_free",
    premise: (world) => inVram(world).length > 0,
    holds: (world) => inVram(world).every((name) => name === world.device.manager.owner),
  },
  actionInvariant({
    id: "PFN-FENCED",
    statement: "An object stays where it is until the jobs have ended that work on it.",
    source: "drivers/gpu/drm/ttm/ttm_bo_util.c: ttm_bo_wait_ctx in ttm_bo_move_memcpy",
    observe: ({ device: { objects } }: TtmWorld) =>
      objects.map(({ state }) => [state.resource.pfn, state.fences] as const),
    premise: (before) => before.some(([, fences]) => fences > 0),
    holds: (before, after) => before.every(([pfn, fences], i) => fences === 0 || after[i]?.[0] === pfn),
  }),
  {
    kind: "invariant",
    id: "PFN-NOT-RMAPPED",
    statement: "Nothing leads from the memory to where it is mapped, and no page counts an entry.",
    source:
      "mm/memory.c: vmf_insert_pfn_prot; Re: Interacting with coherent memory on external devices, LKML, 27 April 2015",
    premise: (world) => mappings(world).length > 0,
    holds: (world) =>
      mappings(world).every(({ mm: { system }, page }) => {
        if (!isLive(system.folios, page)) return true // PFN-MAPS-RESOURCE says so
        return folioOf(system.folios, page).mapcount === 0 && placesOf(system, page).length === 0
      }),
  },
  {
    kind: "invariant",
    id: "PFN-UNCOUNTED",
    statement: "What is mapped counts neither among the memory of the process nor as charged to its control group.",
    source: "Re: Interacting with coherent memory on external devices, LKML, 27 April 2015; mm/memory.c: insert_pfn",
    premise: (world) => mappings(world).length > 0,
    holds: ({ processes, device: { system } }) =>
      processes.every(({ mm: { name, rss } }) => rss.file === 0 && rss.anon === 0 && system.folios.charged[name] === 0),
  },
  lockOrder(
    ["mmap_lock", "dma_resv", "i_mmap_rwsem", "pte_lock"],
    "drivers/dma-buf/dma-resv.c: dma_resv_lockdep",
    "PFN-LOCK-ORDER",
  ),
  {
    kind: "atEnd",
    id: "PFN-NO-LEAK",
    statement: "When all have ended no memory is in use but that in which objects lie, and the device's.",
    source: "drivers/gpu/drm/ttm/ttm_bo_util.c: ttm_bo_move_sync_cleanup; ttm_tt.c: ttm_tt_unpopulate",
    holds: (world) => {
      const { objects, system } = world.device
      const elsewhere = objects.length - inVram(world).length
      return system.folios.arena.slots.filter(({ live }) => live).length === 1 + elsewhere
    },
  },
]

/** Who is to write to the memory from elsewhere gets nothing. */
export const noGup: Property<TtmWorld> = {
  kind: "invariant",
  id: "PFN-NO-GUP",
  statement: "Nobody gets a page of the area, or pins one: direct I/O to it fails.",
  source: "mm/gup.c: check_vma_flags, VM_IO | VM_PFNMAP",
  // Who asks says so before the area is looked at (mm_set_has_pinned_flag).
  premise: ({ processes }) => processes.some(({ mm: { state } }) => state.hasPinned),
  holds: ({ device: { system } }) => system.folios.arena.slots.every(({ pincount }) => pincount === 0),
}

/** A fault that finds the object reserved is taken again, and not for ever. */
export const faultsEnd: Property<TtmWorld> = {
  kind: "leadsTo",
  id: "L-PFN-FAULT",
  statement: "Who stores to an object gets through in the end, or is told that it may not.",
  source: "drivers/gpu/drm/ttm/ttm_bo_vm.c: ttm_bo_vm_reserve, VM_FAULT_RETRY",
  to: ({ processes }, fibers) => processes.every(({ mm }) => fibers.ended(`thread.${mm.name}`)),
}
