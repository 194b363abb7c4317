/** Which steps of on-demand paging need which lock: `umem_mutex` of a region or, for its table, of the implicit one, and `rb_lock` of the cache of keys. */
import type { Taken } from "../../../checker/index.ts"
import type { ImplicitMr } from "../../../model/driver/mlx5Implicit.ts"
import type { Mlx5Dev, OdpMr } from "../../../model/driver/mlx5Odp.ts"
import { type Locking, recordLocking } from "../locksHeld.ts"

/** Makes the record. */
export const lockingOf = (mrs: ReadonlyArray<OdpMr>, imr: ImplicitMr | undefined, dev: Mlx5Dev): Locking => {
  const mutexes = new Map(mrs.map(({ name, umem }) => [name, umem.mutex]))
  if (imr !== undefined) mutexes.set(imr.name, imr.mutex)
  const holderOf = ({ args }: Taken) => mutexes.get(String(args[0]))?.state.holder
  const isHeld = (taken: Taken) => holderOf(taken) === taken.fiber
  // Who takes the lock and gives it back in one step has had it only if nobody has it now.
  const isFree = (taken: Taken) => holderOf(taken) === ""
  return recordLocking({
    mlx5_ib_invalidate_range: isHeld,
    ib_umem_odp_unmap_dma_pages: isHeld,
    mlx5r_umr_update_xlt: (taken) => (taken.args[1] === "lead on" ? isFree(taken) : isHeld(taken)),
    mlx5_umr_revoke_mr_with_lock: isFree,
    ib_umem_odp_release: isFree,
    cache_ent_find_and_store: () => dev.cacheLock.state.holder === "",
  })
}
