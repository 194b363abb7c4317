/** Seeded bugs of the on-demand paging of 2014. "As published" is what the kernel's source of 2014 to 2018 has. */
import * as Effect from "effect/Effect"
import { builtIn, changeBody, leaveOut, moveBehind, type SeededBug, step } from "../../../checker/index.ts"
import type { Umem2014 } from "../../../model/driver/umemOdp2014.ts"
import { folioOf } from "../../../model/mm/folio.ts"
import { mappedPage } from "../../../model/mm/pte.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { accounts, overlapping, register, swappedIn } from "./scenarios.ts"
import type { OdpWorld2014 } from "./world.ts"

const file = "drivers/infiniband/core/umem_odp.c, 2014"
const inOverlapping = { scenario: overlapping.id, bound: { pages: 1, nics: 1, invalidations: 1 } }
const inRegister = { scenario: register.id, bound: { nics: 1, invalidations: 1 } }

const umemNamed = ({ umems }: OdpWorld2014, name: unknown): Umem2014 => {
  const found = umems.find((umem) => umem.name === name)
  if (found === undefined) throw new RangeError(`there is no umem ${name}`)
  return found
}

export const odpBugs2014: ReadonlyArray<SeededBug<OdpWorld2014>> = [
  {
    id: "odp2014-listed-behind-last-end",
    title:
      "as published: a umem comes to the list when the last invalidation has looked there, and its faults wait for the next one",
    source: `${file}: ib_umem_odp_get reads notifier_count, then calls list_add; ib_ucontext_notifier_end_account lowers it and looks at the list without umem_rwsem; found by reading, not observed. The wait gives up after 30 s, and so does every one that follows`,
    ...inRegister,
    breaks: builtIn.deadlock,
    at: (world) => ({
      ib_umem_odp_get: (_, { name, args }) => {
        const umem = umemNamed(world, args[0])
        const { state } = world.context
        const late = step(name, args, () => {
          state.tree = [...state.tree, umem.name]
          umem.state.active = state.notifierCount === 0
          return !umem.state.active
        })
        const listAdd = step("list_add: no_private_counters", args, () => {
          state.noPrivateCounters = [...state.noPrivateCounters, umem.name]
        })
        return Effect.flatMap(late, (isLate) => (isLate ? listAdd : Effect.void))
      },
    }),
  },
  {
    id: "odp2014-counters-without-seq",
    title:
      "as published: a fault looks a page up before its umem has counters, which come with the end of the invalidation that frees the page, and say that there has been none",
    source: `${file}: ib_ucontext_notifier_end_account sets mn_counters_active and leaves notifiers_seq, which pagefault_single_data_segment has read before; found by the checker, not observed`,
    ...inRegister,
    breaks: "MIRROR-NO-UAF",
    at: ({ context, umems }) => ({
      "ib_ucontext_notifier_end_account: mn_counters_active": changeBody((operation) => {
        const late = umems.filter(({ name }) => context.state.noPrivateCounters.includes(name))
        operation.body()
        for (const { state } of late) state.seq--
      }),
    }),
  },
  {
    id: "odp2014-counters-at-once",
    title: "a umem goes by counters of its own from the beginning, whatever is under way",
    source: `${file}: ib_umem_odp_get`,
    ...inRegister,
    breaks: "ODP-COUNTER-BOOT",
    at: (world) => ({
      ib_umem_odp_get: changeBody((operation) => {
        operation.body()
        umemNamed(world, operation.args[0]).state.active = true
        world.context.state.noPrivateCounters = []
      }),
    }),
  },
  {
    id: "odp2014-counters-mid-window",
    title: "umems get their counters when the last invalidation has ended, although the next one has begun",
    source: `${file}: ib_ucontext_notifier_end_account, which reads notifier_count again with umem_rwsem held`,
    scenario: register.id,
    bound: { nics: 1, invalidations: 2 },
    breaks: "ODP-COUNT-NONNEG",
    at: () => ({ "ib_ucontext_notifier_end_account: notifier_count": leaveOut(true) }),
  },
  {
    id: "odp2014-count-without-seq",
    title: "the end of an invalidation lowers the count and leaves the sequence",
    source: `${file}: ib_umem_notifier_end_account`,
    ...inOverlapping,
    breaks: "MIRROR-NO-UAF",
    at: (world) => ({
      ib_umem_notifier_end_account: changeBody((operation) => {
        const { state } = umemNamed(world, operation.args[0])
        const { seq } = state
        operation.body()
        state.seq = seq
      }),
    }),
  },
  {
    id: "odp2014-seq-without-count",
    title: "a fault asks whether an invalidation has ended since it looked, not whether one is under way",
    source: `${file}: ib_umem_mmu_notifier_retry`,
    ...inOverlapping,
    breaks: "MIRROR-NO-INSTALL-IN-WINDOW",
    at: (world) => ({
      ib_umem_odp_map_dma_single_page: changeBody((operation) => withoutCount(world, operation)),
      mlx5_ib_update_mtt: changeBody((operation) => withoutCount(world, operation)),
    }),
  },
  {
    id: "odp2014-mtt-unchecked",
    title:
      "the device gets the page without another question under the mutex, between the loss of its translation and that of the DMA mapping",
    source: "drivers/infiniband/hw/mlx5/odp.c, 2014: pagefault_single_data_segment",
    ...inOverlapping,
    breaks: "MIRROR-AGREE",
    at: (world) => ({
      mlx5_ib_update_mtt: changeBody(({ args }) => {
        const { mtt, pageList } = umemNamed(world, args[0])
        at(mtt, Number(args[1])).value = at(pageList, Number(args[1])).value
        return true
      }),
    }),
  },
  {
    id: "odp2014-waits-for-the-dead",
    title: "the end of the address space does not tell those who wait for the end of an invalidation",
    source: `${file}: ib_umem_notifier_release_trampoline`,
    ...inOverlapping,
    breaks: builtIn.deadlock,
    at: () => ({ ib_umem_notifier_release_trampoline: leaveOut() }),
  },
  {
    id: "odp2014-mprotect-ignored",
    title: "mprotect leaves the device's translation",
    source: "mm/mprotect.c: change_protection; drivers/infiniband/hw/mlx5/odp.c, 2014: mlx5_ib_invalidate_range",
    ...inOverlapping,
    breaks: "MIRROR-PERM",
    at: () => {
      let protects = false
      return {
        mprotect_fixup: (original) => {
          protects = true
          return original
        },
        "mlx5_ib_update_mtt: zap": (original) => (protects ? Effect.void : original),
      }
    },
  },
  {
    id: "odp2014-unmaps-without-dirtying",
    title:
      "neither does the fault, which gets the page as if it were to be read, mark it dirty, nor the invalidation that unmaps it",
    source: `${file}: ib_umem_odp_unmap_dma_pages; mm/gup.c: FOLL_TOUCH`,
    scenario: swappedIn.id,
    bound: { nics: 1 },
    breaks: "MIRROR-DIRTY",
    at: (world) => ({
      ib_umem_odp_unmap_dma_pages: changeBody(({ args }) => {
        const { pageList, range } = umemNamed(world, args[0])
        for (const va of pagesOf(range)) at(pageList, va).value = null
      }),
      follow_page_pte: changeBody(({ args, body }) => {
        const page = mappedPage(at(world.mm.pte, Number(args[1])).value)
        const folio = page === null ? null : folioOf(world.mm.system.folios, page)
        const wasDirty = folio?.dirty === true
        const result = body()
        if (folio !== null) folio.dirty = wasDirty
        return result
      }),
    }),
  },
  {
    id: "odp2014-keeps-reference",
    title: "a fault keeps its reference to the page that it maps",
    source: `${file}: ib_umem_odp_map_dma_single_page: "avoid pinning the page"`,
    ...inOverlapping,
    breaks: "MIRROR-NO-REF",
    at: (world) => ({
      ib_umem_odp_map_dma_single_page: changeBody((operation) => {
        const mapped = operation.body()
        const page = at(umemNamed(world, operation.args[0]).pageList, Number(operation.args[1])).value
        if (mapped === "mapped" && page !== null) folioOf(world.mm.system.folios, page).refcount++
        return mapped
      }),
    }),
  },
  {
    id: "odp2014-registers-without-lock",
    title: "a umem is put into the tree without umem_rwsem, while invalidations look there",
    source:
      "include/rdma/ib_verbs.h, 2014: struct ib_ucontext, umem_rwsem; drivers/infiniband/core/umem_odp.c: ib_umem_odp_get",
    scenario: accounts.id,
    bound: { nics: 1, invalidations: 1 },
    breaks: "LOCKDEP-HELD",
    at: (_, fiber) =>
      fiber.startsWith("nic") ? { "down_write: umem_rwsem": leaveOut(), "up_write: umem_rwsem": leaveOut() } : {},
  },
  {
    id: "odp2014-count-not-atomic",
    title: "invalidations are counted by a read and a write, and two that begin at once count as one",
    source: `${file}: ib_ucontext_notifier_start_account, atomic_inc`,
    scenario: accounts.id,
    bound: { nics: 1, invalidations: 2 },
    breaks: "ODP-COUNT-NONNEG",
    at: ({ context: { state } }) => ({
      ib_ucontext_notifier_start_account: (_, { name, args }) =>
        Effect.flatMap(
          step(`${name}: atomic_read`, args, () => state.notifierCount),
          (count) =>
            step(name, args, () => {
              state.notifierCount = count + 1
            }),
        ),
    }),
  },
  {
    id: "odp2014-unmaps-dma-first",
    title: "the callback unmaps pages for DMA before it tells the device, whose table still names them",
    source: "drivers/infiniband/hw/mlx5/odp.c, 2014: mlx5_ib_invalidate_range",
    ...inOverlapping,
    breaks: "ODP-DMA-MAPPED",
    at: (_, fiber) =>
      fiber.startsWith("cpu") ? moveBehind("mlx5_ib_update_mtt: zap", "ib_umem_odp_unmap_dma_pages") : {},
  },
]

/** The step, for which no invalidation is under way. */
const withoutCount = (
  world: OdpWorld2014,
  { args, body }: { readonly args: ReadonlyArray<unknown>; readonly body: () => unknown },
): unknown => {
  const { state } = umemNamed(world, args[0])
  const { count } = state
  state.count = 0
  const result = body()
  state.count = count
  return result
}
