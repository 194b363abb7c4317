/**
 * mlx5's memory regions on demand (drivers/infiniband/hw/mlx5/odp.c, mr.c): a region is a key of the device's, with a
 * table of translations that commands to the device change. A command that names a key that is no more ends in an error
 * that stops the queue of all of them.
 */
import type * as Effect from "effect/Effect"
import {
  type Cell,
  cell,
  enterLoop,
  guardedStep,
  procedure,
  type Struct,
  step,
  struct,
} from "../../checker/program/index.ts"
import type { HmmPfn } from "../hmm/rangeFault.ts"
import { type Content, folioOf } from "../mm/folio.ts"
import type { Mm } from "../mm/mm.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import { reclaimPage } from "../mm/reclaim.ts"
import type { NotifierRange } from "../notifier/events.ts"
import { mmuIntervalSetSeq } from "../notifier/interval.ts"
import { type Mutex, mutex, mutexLock, mutexUnlock, underMutex } from "../sync/mutex.ts"
import {
  hmmDmaMapPfn,
  ibUmemOdpMapDmaAndLock,
  ibUmemOdpRelease,
  ibUmemOdpUnmapDmaPages,
  npages,
  type UmemOdp,
  umemOdp,
} from "./umemOdp.ts"

/** `struct mlx5_ib_dev` */
export interface Mlx5Dev {
  readonly mm: Mm
  /** `cache.rb_lock`: of the keys that are kept for reuse. */
  readonly cacheLock: Mutex
  /** What stopped the queue of commands, empty while it runs. */
  readonly umr: Struct<{ error: string }>
}

/** Makes a device. */
export const mlx5Dev = (mm: Mm): Mlx5Dev => ({
  mm,
  cacheLock: mutex("cache.rb_lock"),
  umr: struct("umr", { error: "" }),
})

/** A key (`struct mlx5_ib_mkey`). */
export type Mkey = {
  /** Whether the device knows it. */
  exists: boolean
  /** Whether page faults find it (`dev->odp_mkeys`). */
  found: boolean
  usecount: number
}

/** `struct mlx5_ib_mr` of a umem. */
export interface OdpMr {
  readonly name: string
  readonly umem: UmemOdp
  readonly mkey: Struct<Mkey>
  readonly state: Struct<{
    /** Whether `umem_odp->private` points to it. */
    private: boolean
    /** Counts the lives of what is registered in this place; a region that is freed is not in one. */
    life: number
    live: boolean
  }>
  /** The device's translations, by the process's addresses. */
  readonly mtt: ReadonlyArray<Cell<HmmPfn | null>>
  /** What becomes of a child without pages, under `umem_mutex`; the application's own region stays. */
  readonly unused: (() => Effect.Effect<void>) | undefined
}

/**
 * Makes a region.
 *
 * @param live whether it is registered from the beginning; its notifier is not inserted
 */
export const odpMr = (
  dev: Mlx5Dev,
  name: string,
  range: Range,
  live: boolean,
  unused: OdpMr["unused"] = undefined,
): OdpMr => {
  const { mm } = dev
  const mr: OdpMr = {
    name,
    umem: umemOdp(mm, name, range, (window, seq) => invalidateRange(dev, mr, window, seq)),
    mkey: struct(`${name}.mkey`, { exists: live, found: live, usecount: live ? 1 : 0 }),
    state: struct(name, { private: live, life: 0, live }),
    mtt: mm.pte.map((_, va) => cell<HmmPfn | null>(`${name}.mtt${va}`, null)),
    unused,
  }
  return mr
}

/** `mlx5r_umr_update_xlt`: a command to change translations of a key, and the wait for its completion. Within a step. */
export const umrUpdateXlt = (dev: Mlx5Dev, name: string, mkey: Struct<Mkey>, change: () => void): void => {
  if (mkey.exists) change()
  else dev.umr.error = `it was to change what ${name} maps`
}

/**
 * `mlx5_ib_invalidate_range`. Where the region's key has been revoked the kernel returns without a look at the DMA mappings,
 * which `ib_umem_odp_release` then finds of pages that may have been freed; here they go in any case.
 */
const invalidateRange = procedure(function* (dev: Mlx5Dev, mr: OdpMr, range: NotifierRange, seq: number) {
  if (!range.blockable) return false
  const { umem } = mr
  yield* mutexLock(umem.mutex)
  yield* mmuIntervalSetSeq(umem.iv, seq)
  const start = Math.max(range.start, umem.iv.range.start)
  const end = Math.min(range.end, umem.iv.range.end)
  const found = yield* step("mlx5_ib_invalidate_range", [mr.name, start, end], () => ({
    mapped: pagesOf({ start, end }).filter((va) => at(umem.pfnList, va).value !== null),
    any: npages(umem) > 0,
    mr: mr.state.private,
  }))
  if (found.any) {
    // Without a region the device does not know the key any more.
    if (found.mr) {
      for (const va of found.mapped) {
        yield* step("mlx5r_umr_update_xlt", [mr.name, "zap", va], () => {
          umrUpdateXlt(dev, mr.name, mr.mkey, () => {
            at(mr.mtt, va).value = null
          })
        })
      }
    }
    const emptied = yield* ibUmemOdpUnmapDmaPages(umem, { start, end })
    if (emptied && found.mr && mr.unused !== undefined) yield* mr.unused()
  }
  yield* mutexUnlock(umem.mutex)
  return true
})

/** `pagefault_real_mr`: false where the page cannot be had. */
export const pagefaultRealMr = procedure(function* (dev: Mlx5Dev, mr: OdpMr, va: number) {
  const pfn = yield* ibUmemOdpMapDmaAndLock(mr.umem, va)
  if (typeof pfn === "string") return false
  yield* step("mlx5r_umr_update_xlt", [mr.name, "map", va], () => {
    hmmDmaMapPfn(mr.umem, va, pfn)
    umrUpdateXlt(dev, mr.name, mr.mkey, () => {
      at(mr.mtt, va).value = pfn
    })
  })
  yield* mutexUnlock(mr.umem.mutex)
  return true
})

/** `find_odp_mkey`: a reference, if page faults still find the key. */
export const findOdpMkey = (name: string, mkey: Struct<Mkey>): Effect.Effect<boolean> =>
  step("find_odp_mkey", [name], () => {
    if (mkey.found) mkey.usecount++
    return mkey.found
  })

/** `mlx5r_deref_odp_mkey` */
export const derefOdpMkey = (name: string, mkey: Struct<Mkey>): Effect.Effect<void> =>
  step("mlx5r_deref_odp_mkey", [name], () => {
    mkey.usecount--
  })

/**
 * An access of the device to a page, with the page faults that it takes.
 *
 * @param content what it stores; without it, it loads
 * @returns false when it ends in an error
 */
export const rdmaAccess = procedure(function* (dev: Mlx5Dev, mr: OdpMr, va: number, content?: Content) {
  const head = yield* enterLoop("rdma_access")
  for (;;) {
    yield* head()
    const done = yield* step(content === undefined ? "rdma_read" : "rdma_write", [mr.name, va], () =>
      mr.mkey.exists ? useEntry(dev, mr, va, content) : "error",
    )
    if (done !== "fault") return done === "done"
    if (!(yield* findOdpMkey(mr.name, mr.mkey))) return false
    const mapped = yield* pagefaultRealMr(dev, mr, va)
    yield* derefOdpMkey(mr.name, mr.mkey)
    if (!mapped) return false
  }
})

/** What the hardware does with a translation. Within a step. */
export const useEntry = (dev: Mlx5Dev, mr: OdpMr, va: number, content: Content | undefined): "done" | "fault" => {
  const pfn = at(mr.mtt, va).value
  if (pfn === null) return "fault"
  if (content !== undefined && pfn.page !== null) folioOf(dev.mm.system.folios, pfn.page).content = content
  return "done"
}

/**
 * `mlx5_ib_dereg_mr`: no page fault finds the region any more, and those under way come to their end; then the device
 * forgets its key, which is kept for reuse; and the umem is given up.
 */
export const mlx5IbDeregMr = procedure(function* (dev: Mlx5Dev, mr: OdpMr) {
  // A child's key is in its parent's table only.
  if (mr.unused === undefined) yield* stopPageFaults(mr.name, mr.mkey)
  yield* revokeMrWithLock(mr)
  yield* cacheEntFindAndStore(dev, mr)
  yield* ibUmemOdpRelease(mr.umem)
  yield* step("kfree", [mr.name], () => {
    mr.state.live = false
  })
})

/** The erasure from `dev->odp_mkeys`, and `mlx5r_deref_wait_odp_mkey`. */
export const stopPageFaults = procedure(function* (name: string, mkey: Struct<Mkey>) {
  yield* step("xa_erase: odp_mkeys", [name], () => {
    mkey.found = false
    mkey.usecount--
  })
  yield* waitUnused(name, mkey)
})

/** The wait in `mlx5r_deref_wait_odp_mkey`. */
export const waitUnused = (name: string, mkey: Struct<Mkey>): Effect.Effect<void> =>
  guardedStep(
    "mlx5r_deref_wait_odp_mkey: wait_for_completion",
    [name],
    () => mkey.usecount === 0,
    () => undefined,
  )

/**
 * `mlx5_umr_revoke_mr_with_lock`: the callback must not use a key that is no more, so this and that exclude each other. No
 * other lock is taken under the callback's.
 */
const revokeMrWithLock = (mr: OdpMr): Effect.Effect<void> =>
  underMutex(mr.umem.mutex, "mlx5_umr_revoke_mr_with_lock", [mr.name], () => {
    mr.mkey.exists = false
    mr.state.private = false
    for (const entry of mr.mtt) entry.value = null
  })

/** `cache_ent_find_and_store` */
const cacheEntFindAndStore = (dev: Mlx5Dev, mr: OdpMr): Effect.Effect<void> =>
  underMutex(dev.cacheLock, "cache_ent_find_and_store", [mr.name], () => undefined)

/**
 * `mlx5r_cache_create_ent_locked`, of somebody else's key: memory is allocated under the lock of the cache, and where there is too
 * little of it that means to reclaim a page, which may be the process's.
 */
export const cacheCreateEnt = procedure(function* (dev: Mlx5Dev, va: number) {
  yield* mutexLock(dev.cacheLock)
  // kzalloc, in do_try_to_free_pages: a page that was used of late is kept the first time.
  if ((yield* reclaimPage(dev.mm, va)) === "kept") yield* reclaimPage(dev.mm, va)
  yield* mutexUnlock(dev.cacheLock)
})
