/** Seeded bugs of on-demand paging. Names without `odp-` are those of the bug zoo. */
import * as Effect from "effect/Effect"
import {
  builtIn,
  changeBody,
  changeGuard,
  leaveOut,
  moveBehind,
  type Replacements,
  type SeededBug,
  self,
  step,
} from "../../../checker/index.ts"
import { placeOf } from "../../../model/driver/mlx5Implicit.ts"
import type { OdpMr } from "../../../model/driver/mlx5Odp.ts"
import { mmput } from "../../../model/mm/exit.ts"
import { folioOf } from "../../../model/mm/folio.ts"
import { at } from "../../../model/mm/range.ts"
import { zoo } from "../../bugZoo.ts"
import { withoutLock } from "../../withoutLock.ts"
import { deregister, implicit, implicitQueues, keyCache, overlapping, swappedIn } from "./scenarios.ts"
import type { OdpWorld } from "./world.ts"

const inOverlapping = { scenario: overlapping.id, bound: { pages: 1, nics: 1, invalidations: 1 } }
const inDeregister = { scenario: deregister.id, bound: { nics: 1, invalidations: 1 } }
const inImplicit = { scenario: implicit.id, bound: { nics: 1, invalidations: 2 } }

const mrNamed = ({ mrs }: OdpWorld, name: unknown): OdpMr => {
  const found = mrs.find((mr) => mr.name === name)
  if (found === undefined) throw new RangeError(`there is no region ${name}`)
  return found
}

/** Replacements for the fibers whose names begin so. */
const inFibers =
  (kind: string, replacements: (world: OdpWorld) => Replacements) =>
  (world: OdpWorld, fiber: string): Replacements =>
    fiber.startsWith(kind) ? replacements(world) : {}

/** The callback has nothing to do for invalidations of that kind. */
const ignores = (event: string) => (): Replacements => {
  let ignored = false
  return {
    mn_itree_inv_start_range: (original, { args }) => {
      ignored = args[3] === event
      return original
    },
    mlx5_ib_invalidate_range: (original) =>
      Effect.map(original, (found) => (ignored ? { mapped: [], any: false, mr: true } : found)),
  }
}

export const odpBugs: ReadonlyArray<SeededBug<OdpWorld>> = [
  {
    id: "mmput-under-callback-lock",
    title: "a fault gives the address space back with umem_mutex held, and is the last to do so",
    source: "commit 85eaeb5058f0: IB/core: Fix a nested dead lock as part of ODP flow; CVE-2022-48675",
    references: zoo(40),
    ...inOverlapping,
    breaks: builtIn.deadlock,
    at: ({ mm }) => ({ mmput_async: () => Effect.as(mmput(mm), false) }),
  },
  {
    id: "alloc-under-callback-lock",
    title:
      "deregistration takes the lock of the key cache under umem_mutex, and somebody allocates memory under that lock",
    source: "commit 2ed25aa7f771: IB/mlx5: Fix potential deadlock in MR deregistration; CVE-2025-38373",
    references: zoo(41),
    scenario: keyCache.id,
    bound: { nics: 1 },
    breaks: builtIn.deadlock,
    at: (world) => ({
      mlx5_umr_revoke_mr_with_lock: changeBody((operation) => {
        operation.body()
        mrNamed(world, operation.args[0]).umem.mutex.state.holder = self()
      }),
      cache_ent_find_and_store: changeBody((operation) => {
        operation.body()
        mrNamed(world, operation.args[0]).umem.mutex.state.holder = ""
      }),
    }),
  },
  {
    id: "dereg-vs-invalidate",
    title: "deregistration destroys the key without umem_mutex, and the umem still points to the region",
    source: "commit abb604a1a9c8: RDMA/mlx5: Fix a race for an ODP MR which leads to CQE with error; CVE-2025-21732",
    references: zoo(64),
    ...inDeregister,
    breaks: "ODP-LIVE-KEY",
    at: (world) => ({
      mlx5_umr_revoke_mr_with_lock: (_, { name, args }) =>
        step(name, args, () => {
          const { mkey, mtt } = mrNamed(world, args[0])
          mkey.exists = false
          for (const entry of mtt) entry.value = null
        }),
    }),
  },
  {
    id: "odp-revoked-but-mapped",
    title:
      "as published: between the revocation of the key and the end of the umem the callback leaves the DMA mapping, and the page is freed",
    source:
      "drivers/infiniband/hw/mlx5/odp.c: mlx5_ib_invalidate_range returns early without umem_odp->private, since commit abb604a1a9c8; found by reading, not observed",
    ...inDeregister,
    breaks: "DMA-UNMAP-BEFORE-FREE",
    at: (world) => ({
      ib_umem_odp_unmap_dma_pages: changeBody((operation) =>
        mrNamed(world, operation.args[0]).state.private ? operation.body() : false,
      ),
    }),
  },
  {
    id: "implicit-child-destroyed-twice",
    title: "who finds a child without pages erases what is in its parent's table, whether that is the child or not",
    source: "commit d3d930411ce3: RDMA/mlx5: Fix implicit ODP use after free; CVE-2025-21714",
    references: zoo(65),
    ...inImplicit,
    breaks: "ODP-FREE-ONCE",
    at: ({ imr }) => ({
      "__xa_cmpxchg: erase": changeBody(({ args }) => {
        if (imr === undefined) return null
        const { umem, state } = placeOf(imr, String(args[0]))
        const entry = at(imr.children, umem.iv.range.start)
        const first = entry.value !== null
        entry.value = null
        return { by: first ? self() : `${self()} once more`, life: state.life }
      }),
    }),
  },
  {
    id: "odp-parent-never-unused",
    title:
      "who is not the first to erase a child keeps its reference to the parent, whose deregistration waits for ever",
    source: "commit 3d8c6f26893d: RDMA/mlx5: Fix implicit ODP hang on parent deregistration",
    ...inImplicit,
    breaks: "ODP-KEY-REFERENCES",
    at: () => {
      let lost = false
      return {
        "__xa_cmpxchg: erase": (original) =>
          Effect.map(original, (taken) => {
            lost = taken === null
            return taken
          }),
        mlx5r_deref_odp_mkey: (original) => {
          if (!lost) return original
          lost = false
          return Effect.void
        },
      }
    },
  },
  {
    id: "odp-child-freed-under-fault",
    title: "the worker does not wait for faults that still use the child",
    source: "drivers/infiniband/hw/mlx5/odp.c: free_implicit_child_mr_work",
    ...inImplicit,
    breaks: "ODP-LIVE-KEY",
    at: inFibers("kworker", () => ({ "mlx5r_deref_wait_odp_mkey: wait_for_completion": changeGuard() })),
  },
  {
    id: "odp-parent-leads-to-destroyed-child",
    title: "the worker destroys the child and leaves the parent's table as it is",
    source: "drivers/infiniband/hw/mlx5/odp.c: free_implicit_child_mr_work",
    ...inImplicit,
    breaks: "ODP-LIVE-KEY",
    at: inFibers("kworker", () => ({ mlx5r_umr_update_xlt: leaveOut() })),
  },
  {
    id: "odp-dereg-does-not-wait",
    title: "deregistration does not wait for page faults that have found the key",
    source: "drivers/infiniband/hw/mlx5/mr.c: __mlx5_ib_dereg_mr",
    ...inDeregister,
    breaks: "ODP-LIVE-KEY",
    at: () => ({ "mlx5r_deref_wait_odp_mkey: wait_for_completion": changeGuard() }),
  },
  {
    id: "odp-remove-under-callback-lock",
    title: "the notifier is removed with umem_mutex held, which a callback waits for",
    source: "mm/mmu_notifier.c: mmu_interval_notifier_remove; drivers/infiniband/core/umem_odp.c: ib_umem_odp_release",
    ...inDeregister,
    breaks: builtIn.deadlock,
    at: (world) => ({
      ib_umem_odp_release: changeBody((operation) => {
        operation.body()
        mrNamed(world, operation.args[0]).umem.mutex.state.holder = self()
      }),
    }),
  },
  {
    id: "odp-retry-not-asked",
    title: "a fault maps what it has found without asking whether it was invalidated meanwhile",
    source: "drivers/infiniband/core/umem_odp.c: ib_umem_odp_map_dma_and_lock; Documentation/mm/hmm.rst",
    ...inOverlapping,
    breaks: "MIRROR-NO-INSTALL-IN-WINDOW",
    at: () => ({ mmu_interval_read_retry: leaveOut(false) }),
  },
  {
    id: "odp-maps-after-unlock",
    title: "umem_mutex is given back before the device has the page, which is freed in between",
    source: "drivers/infiniband/core/umem_odp.c: ib_umem_odp_map_dma_and_lock, which returns with the lock held",
    ...inOverlapping,
    breaks: "MIRROR-NO-UAF",
    at: inFibers("nic", ({ mrs: [mr] }) => ({
      mmput_async: (original) =>
        Effect.andThen(
          step("mutex_unlock", ["umem_mutex"], () => {
            if (mr !== undefined && mr.umem.mutex.state.holder === self()) mr.umem.mutex.state.holder = ""
          }),
          original,
        ),
    })),
  },
  {
    id: "odp-fork-ignored",
    title: "the callback takes write protection by fork for something that the device need not know",
    source: "mm/memory.c: copy_page_range; include/linux/mmu_notifier.h: MMU_NOTIFY_PROTECTION_PAGE",
    ...inOverlapping,
    breaks: "MIRROR-AGREE",
    at: ignores("PROTECTION_PAGE"),
  },
  {
    id: "odp-mprotect-ignored",
    title: "the callback takes a change of protection for something that the device need not know",
    source: "mm/mprotect.c: change_protection; include/linux/mmu_notifier.h: MMU_NOTIFY_PROTECTION_VMA",
    ...inOverlapping,
    breaks: "MIRROR-PERM",
    at: ignores("PROTECTION_VMA"),
  },
  {
    id: "odp-keeps-reference",
    title: "a fault keeps a reference to the page that it maps",
    source: "mm/hmm: add helpers to dma map, LKML 2019: who can be told to let go does not pin",
    ...inOverlapping,
    breaks: "MIRROR-NO-REF",
    at: (world) => ({
      mlx5r_umr_update_xlt: changeBody((operation) => {
        operation.body()
        const [name, what, va] = operation.args
        const page = at(mrNamed(world, name).mtt, Number(va)).value?.page
        if (what === "map" && page) folioOf(world.mm.system.folios, page).refcount++
      }),
    }),
  },
  {
    id: "odp-unmaps-without-dirtying",
    title: "the callback does not mark dirty what the device may have stored to",
    source: "drivers/infiniband/core/umem_odp.c: ib_umem_odp_unmap_dma_pages",
    scenario: swappedIn.id,
    breaks: "MIRROR-DIRTY",
    at: ({ mm }) => ({
      ib_umem_odp_unmap_dma_pages: changeBody((operation) => {
        const { slots } = mm.system.folios.arena
        const before = slots.map(({ dirty }) => dirty)
        const emptied = operation.body()
        for (const [position, folio] of slots.entries()) if (folio.live) folio.dirty = before[position] ?? false
        return emptied
      }),
    }),
  },
  {
    id: "odp-unmaps-dma-first",
    title: "the callback unmaps pages for DMA before it tells the device, whose table still names them",
    source:
      "drivers/infiniband/hw/mlx5/odp.c: mlx5_ib_invalidate_range, mlx5r_umr_update_xlt before ib_umem_odp_unmap_dma_pages",
    ...inOverlapping,
    breaks: "ODP-DMA-MAPPED",
    at: inFibers("cpu", () => moveBehind("mlx5r_umr_update_xlt", "ib_umem_odp_unmap_dma_pages")),
  },
  {
    id: "odp-key-kept-before-revoked",
    title:
      "a region's key is kept for reuse before the device is told to forget it: the next one to get it is translated by the old table",
    source: "drivers/infiniband/hw/mlx5/mr.c: mlx5_revoke_mr",
    ...inDeregister,
    breaks: "ODP-KEY-KEPT",
    at: inFibers("ibv_dereg_mr", () => moveBehind("mlx5_umr_revoke_mr_with_lock", "cache_ent_find_and_store")),
  },
  {
    id: "odp-map-command-lost",
    title: "a fault does not see that the command which maps the page has failed, and the device faults for ever",
    source: "drivers/infiniband/hw/mlx5/odp.c: pagefault_real_mr, mlx5r_umr_update_xlt",
    scenario: swappedIn.id,
    bound: { nics: 1, invalidations: 1 },
    breaks: "L-RETRY",
    at: inFibers("nic", () => ({ mlx5r_umr_update_xlt: leaveOut() })),
  },
  {
    id: "odp-releases-without-lock",
    title: "a umem is given up without umem_mutex, while a callback unmaps the same pages",
    source:
      "drivers/infiniband/core/umem_odp.c: ib_umem_odp_release, ib_umem_odp_unmap_dma_pages, which asserts the lock",
    ...inDeregister,
    breaks: "LOCKDEP-HELD",
    at: inFibers("ibv_dereg_mr", (world) => ({
      ib_umem_odp_release: withoutLock(({ args }) => mrNamed(world, args[0]).umem.mutex),
    })),
  },
  {
    id: "odp-fault-keeps-mm",
    title: "a fault that has its page does not give the address space back, which is never torn down",
    source: "drivers/infiniband/core/umem_odp.c: ib_umem_odp_map_dma_and_lock, out_put_mm",
    scenario: implicitQueues.id,
    bound: { nics: 1 },
    breaks: "MIRROR-NO-MM-REF",
    at: () => ({ mmput_async: leaveOut(false) }),
  },
]
