/** Seeded bugs of KVM's own accesses to guest memory, through caches of translations. */
import * as Effect from "effect/Effect"
import { changeResult, leaveOut, type SeededBug, step } from "../../../checker/index.ts"
import { release } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { behindUnlock } from "../../withoutLock.ts"
import { pfnCache } from "./scenarios.ts"
import type { KvmWorld } from "./world.ts"

export const pfnCacheBugs: ReadonlyArray<SeededBug<KvmWorld>> = [
  {
    id: "gpc-refresh-while-inactive",
    title: "a cache of a translation is refreshed after it was taken off the list that the notifier walks",
    source: "commit ecbcf030b456: KVM: Reject attempts to consume or refresh inactive gfn_to_pfn_cache; CVE-2022-49882",
    references: zoo(46),
    scenario: pfnCache.id,
    breaks: "MIRROR-NO-UAF",
    at: () => ({ __kvm_gpc_refresh: changeResult((found) => (found === "-EINVAL" ? "invalid" : found)) }),
  },
  {
    id: "gpc-refresh-window",
    title: "a refresh takes the page that it has looked up although an invalidation came in between",
    source: "commit 58cd407ca4c6: KVM: Fix multiple races in gfn=>pfn cache refresh",
    references: zoo(47),
    scenario: pfnCache.id,
    breaks: "MIRROR-NO-UAF",
    at: () => ({
      "mmu_notifier_retry_cache: mn_active_invalidate_count": leaveOut(false),
      "mmu_notifier_retry_cache: mmu_invalidate_seq": leaveOut(false),
    }),
  },
  {
    id: "gpc-off-list-first",
    title: "a cache of a translation is taken off the list before it is made invalid",
    source: "virt/kvm/pfncache.c: kvm_gpc_deactivate",
    scenario: pfnCache.id,
    breaks: "KVM-GPC-VALID-LISTED",
    at: ({ kvm, gpc }) => ({
      "kvm_gpc_deactivate: active": (original) =>
        Effect.andThen(
          step("list_del", [gpc?.name ?? ""], () => {
            kvm.gpcList.value = []
          }),
          original,
        ),
      "kvm_gpc_deactivate: list_del": leaveOut(),
    }),
  },
  {
    id: "gpc-left-on-list",
    title: "a cache of a translation that is given up stays on the list that the notifier walks",
    source: "virt/kvm/pfncache.c: kvm_gpc_deactivate, list_del",
    scenario: pfnCache.id,
    breaks: "KVM-GPC-ACTIVE-LISTED",
    at: () => ({ "kvm_gpc_deactivate: list_del": leaveOut() }),
  },
  {
    id: "gpc-writes-behind-check",
    title: "an event is written to a page after the lock was given up under which the cache was found to be valid",
    source: "virt/kvm/pfncache.c, kvm_gpc_check, under gpc->lock",
    scenario: pfnCache.id,
    breaks: "MIRROR-STORE-DRAINED",
    at: ({ gpc }) => ({
      kvm_xen_set_evtchn: (original, operation) =>
        Effect.andThen(
          step("read_unlock", () => {
            if (gpc !== undefined) release(gpc.lock)
          }),
          behindUnlock(() => gpc?.lock)(original, operation),
        ),
    }),
  },
]
