/** Which steps of KVM need which lock; where the kernel asserts it, it says so by lockdep_assert_held. */
import type { Taken } from "../../../checker/index.ts"
import type { Kvm } from "../../../model/driver/kvm.ts"
import type { GfnToPfnCache } from "../../../model/driver/kvmPfnCache.ts"
import { pagesOf } from "../../../model/mm/range.ts"
import { type Locking, recordLocking } from "../locksHeld.ts"

/** Makes the record. Who takes a lock and gives it back in one step has had it only if nobody has it now. */
export const lockingOf = ({ mmuLock, rmapLocks }: Kvm, gpc: GfnToPfnCache | undefined): Locking => {
  const holdsMmuLock = ({ fiber }: Taken) => mmuLock.state.holder === fiber
  const mmuLockIsFree = () => mmuLock.state.holder === ""
  const rules: Parameters<typeof recordLocking>[0] = {
    kvm_mmu_unmap_gfn_range: (taken) =>
      holdsMmuLock(taken) &&
      pagesOf({ start: Number(taken.args[0]), end: Number(taken.args[1]) }).every(
        (gfn) => rmapLocks[gfn]?.state.holder === "",
      ),
    kvm_tdp_mmu_map: holdsMmuLock,
    kvm_mmu_notifier_clear_flush_young: mmuLockIsFree,
    kvm_mmu_zap_all_fast: mmuLockIsFree,
    tdp_mmu_zap_root: mmuLockIsFree,
    kvmppc_add_revmap_chain: ({ fiber, args }) => rmapLocks[Number(args[1])]?.state.holder === fiber,
  }
  if (gpc === undefined) return recordLocking(rules)
  const { lock, refreshLock } = gpc
  const holdsLock = ({ fiber }: Taken) => lock.state.holder === fiber
  const refreshes = ({ fiber }: Taken) => refreshLock.state.holder === fiber
  return recordLocking({
    ...rules,
    "kvm_gpc_activate: list_add": refreshes,
    "kvm_gpc_activate: active": (taken) => refreshes(taken) && lock.state.holder === "",
    "kvm_gpc_deactivate: active": (taken) => refreshes(taken) && lock.state.holder === "",
    "kvm_gpc_deactivate: list_del": refreshes,
    "mmu_notifier_retry_cache: mn_active_invalidate_count": holdsLock,
    "mmu_notifier_retry_cache: mmu_invalidate_seq": holdsLock,
  })
}
