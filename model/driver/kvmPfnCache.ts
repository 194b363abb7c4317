/**
 * KVM's own accesses to guest memory, such as a timer's event written to a guest page: they go through a cache of one
 * translation, which is on a list that the notifier walks (virt/kvm/pfncache.c).
 */
import { enterLoop, procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import { type Content, type Frame, folioOf } from "../mm/folio.ts"
import { putUserPage } from "../mm/gup.ts"
import type { Range } from "../mm/range.ts"
import { type Mutex, mutex, mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { keep, release, type SpinLock, spinLock, underLock } from "../sync/spinlock.ts"
import { hvaToPfn } from "./hvaToPfn.ts"
import type { Kvm } from "./kvm.ts"

/** `struct gfn_to_pfn_cache`, of one page of the process. */
export interface GfnToPfnCache {
  readonly name: string
  readonly hva: number
  readonly lock: SpinLock
  /** One refresh at a time. */
  readonly refreshLock: Mutex
  readonly state: Struct<{
    active: boolean
    valid: boolean
    /** `pfn` and `khva`: where the kernel accesses it, with no reference. */
    page: Frame | null
  }>
}

/** `kvm_gpc_init`: not active, and on no list. */
export const kvmGpcInit = (kvm: Kvm, name: string, hva: number): GfnToPfnCache => {
  const page: Frame | null = null
  const gpc: GfnToPfnCache = {
    name,
    hva,
    lock: spinLock(`${name}.lock`),
    refreshLock: mutex(`${name}.refresh_lock`),
    state: struct<{ active: boolean; valid: boolean; page: Frame | null }>(name, { active: false, valid: false, page }),
  }
  kvm.caches.set(name, gpc)
  return gpc
}

/** `gfn_to_pfn_cache_invalidate_start`: every cache on the list that is valid and in the range is no longer. */
export const gfnToPfnCacheInvalidateStart = procedure(function* (kvm: Kvm, { start, end }: Range) {
  // gpc_lock is held for the walk, so that a cache neither comes nor goes: there is at most one of them here.
  for (const { name, hva, lock, state } of kvm.caches.values()) {
    if (hva < start || end <= hva) continue
    yield* underLock(lock, "gfn_to_pfn_cache_invalidate_start", [name], () => {
      if (kvm.gpcList.value.includes(name) && state.valid) state.valid = false
    })
  }
})

/** `kvm_gpc_activate`: on the list first, so that the notifier finds it as soon as it may become valid. */
export const kvmGpcActivate = procedure(function* (kvm: Kvm, gpc: GfnToPfnCache) {
  yield* mutexLock(gpc.refreshLock)
  yield* step("kvm_gpc_activate: list_add", [gpc.name], () => {
    kvm.gpcList.value = [...kvm.gpcList.value, gpc.name]
  })
  yield* underLock(gpc.lock, "kvm_gpc_activate: active", [gpc.name], () => {
    gpc.state.active = true
  })
  yield* mutexUnlock(gpc.refreshLock)
})

/** `kvm_gpc_deactivate`: in the other order, so that no refresh makes valid what is on no list. */
export const kvmGpcDeactivate = procedure(function* (kvm: Kvm, gpc: GfnToPfnCache) {
  yield* mutexLock(gpc.refreshLock)
  yield* underLock(gpc.lock, "kvm_gpc_deactivate: active", [gpc.name], () => {
    gpc.state.active = false
    gpc.state.valid = false
  })
  yield* step("kvm_gpc_deactivate: list_del", [gpc.name], () => {
    kvm.gpcList.value = kvm.gpcList.value.filter((name) => name !== gpc.name)
  })
  yield* mutexUnlock(gpc.refreshLock)
})

/** `__kvm_gpc_refresh`; false when the cache is not active or the process has no page there. */
const kvmGpcRefresh = procedure(function* (kvm: Kvm, gpc: GfnToPfnCache) {
  yield* mutexLock(gpc.refreshLock)
  const refreshed = yield* hvaToPfnRetry(kvm, gpc)
  yield* mutexUnlock(gpc.refreshLock)
  return refreshed
})

/** `hva_to_pfn_retry`: the page is looked up with no spinlock held, and again if an invalidation came in between. */
const hvaToPfnRetry = procedure(function* (kvm: Kvm, gpc: GfnToPfnCache) {
  const { lock, state, name } = gpc
  const found = yield* underLock(lock, "__kvm_gpc_refresh", [name], () => {
    if (!state.active) return "-EINVAL"
    if (state.valid) return "valid"
    return "invalid"
  })
  if (found !== "invalid") return found === "valid"
  const head = yield* enterLoop("hva_to_pfn_retry")
  for (;;) {
    yield* head()
    const seq = yield* step("hva_to_pfn_retry: mmu_seq", [name], () => kvm.state.seq)
    const page = yield* hvaToPfn(kvm.mm, gpc.hva, true)
    if (page === null) return false
    yield* underLock(lock, "hva_to_pfn_retry: write_lock", [name], () => keep(lock))
    const active = yield* step(
      "mmu_notifier_retry_cache: mn_active_invalidate_count",
      [name],
      () => kvm.state.active > 0,
    )
    // smp_rmb()
    const retry =
      active || (yield* step("mmu_notifier_retry_cache: mmu_invalidate_seq", [name], () => kvm.state.seq !== seq))
    yield* step("hva_to_pfn_retry: write_unlock", [name, retry ? "retry" : "valid"], () => {
      if (!retry) Object.assign(state, { valid: true, page: page.frame })
      release(lock)
    })
    // The cache has no reference of its own.
    yield* putUserPage(kvm.mm.system, page)
    if (!retry) return true
  }
})

/** An event that KVM writes to guest memory (kvm_xen_set_evtchn): under the cache's lock, once it is valid. */
export const kvmWriteEvent = procedure(function* (kvm: Kvm, gpc: GfnToPfnCache, content: Content) {
  const head = yield* enterLoop("kvm_xen_set_evtchn")
  for (;;) {
    yield* head()
    const valid = yield* underLock(gpc.lock, "kvm_gpc_check", [gpc.name], () => {
      if (gpc.state.valid) keep(gpc.lock)
      return gpc.state.valid
    })
    if (valid) {
      yield* step("kvm_xen_set_evtchn", [gpc.name, content], () => {
        const { page } = gpc.state
        if (page !== null) folioOf(kvm.mm.system.folios, page).content = content
        release(gpc.lock)
      })
      return true
    }
    if (!(yield* kvmGpcRefresh(kvm, gpc))) return false
  }
})
