/** Seeded bugs of KVM. Names without `kvm-` are those of the bug zoo. */
import * as Effect from "effect/Effect"
import {
  changeBody,
  changeGuard,
  changeResult,
  leaveOut,
  moveBehind,
  type Plain,
  type SeededBug,
  step,
} from "../../../checker/index.ts"
import { mmuInvalidateRetryGfn } from "../../../model/driver/kvm.ts"
import { at } from "../../../model/mm/range.ts"
import { release } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { withoutLock } from "../../withoutLock.ts"
import { pfnCacheBugs } from "./pfnCacheBugs.ts"
import type { KvmRecord } from "./record.ts"
import { aging, calls, exit, lockless, memslots, memslotsMove, overlapping, retries, zapAll } from "./scenarios.ts"
import type { KvmWorld } from "./world.ts"

const smallest = { pages: 1, vcpus: 1, invalidations: 1 }

/** The sequence that the fault of a virtual CPU has read. */
const sampledBy = ({ sampled }: KvmRecord, vcpu: Plain | undefined): number => sampled.get(String(vcpu))?.seq ?? -1

/** What is left of a number in so many bits, the highest being its sign. */
const narrow = (bits: number, value: number): number => {
  const low = value % 2 ** bits
  return low >= 2 ** (bits - 1) ? low - 2 ** bits : low
}

export const kvmBugs: ReadonlyArray<SeededBug<KvmWorld>> = [
  ...pfnCacheBugs,
  {
    id: "kvm-end-seq-before-count",
    title: "the end lowers the count first and bumps the sequence second, and a fault looks in between",
    source: "commit a355aa54f1d2: KVM: Add barriers to allow mmu_notifier_retry to be used locklessly",
    references: zoo(19),
    scenario: lockless.id,
    bound: smallest,
    breaks: "MIRROR-NO-UAF",
    at: ({ kvm }) => ({
      "kvm_mmu_invalidate_end: mmu_invalidate_seq": changeBody((operation) => {
        operation.body()
        kvm.state.seq--
        kvm.state.inProgress--
      }),
      "kvm_mmu_invalidate_end: mmu_invalidate_in_progress": changeBody(() => {
        kvm.state.seq++
        release(kvm.mmuLock)
      }),
    }),
  },
  {
    id: "kvm-retry-reads-seq-first",
    title: "a fault without the lock looks at the sequence first and at the count second, and the end falls in between",
    source: "commit a355aa54f1d2: KVM: Add barriers to allow mmu_notifier_retry to be used locklessly",
    references: zoo(19),
    scenario: lockless.id,
    bound: smallest,
    breaks: "MIRROR-NO-UAF",
    at: ({ kvm }) => ({
      "mmu_invalidate_retry: mmu_invalidate_in_progress": changeBody(({ args }) => kvm.state.seq !== args[1]),
      "mmu_invalidate_retry: mmu_invalidate_seq": changeBody(() => kvm.state.inProgress > 0),
    }),
  },
  {
    id: "kvm-count-without-seq",
    title: "a fault asks whether an invalidation is under way, not whether there was one since it looked the page up",
    source: "include/linux/kvm_host.h: mmu_invalidate_retry",
    scenario: overlapping.id,
    bound: smallest,
    breaks: "MIRROR-NO-UAF",
    at: ({ kvm }) => ({
      is_page_fault_stale: changeBody((operation) => {
        operation.body()
        return mmuInvalidateRetryGfn(kvm, kvm.state.seq, Number(operation.args[1]))
      }),
    }),
  },
  {
    id: "kvm-range-of-the-last",
    title: "an invalidation that overlaps another replaces the range that is remembered instead of widening it",
    source: "virt/kvm/kvm_main.c: kvm_mmu_invalidate_range_add, which keeps one range for all",
    scenario: overlapping.id,
    bound: { pages: 2, vcpus: 1, invalidations: 2 },
    breaks: "KVM-RANGE-COVERS",
    at: ({ kvm }) => ({
      kvm_mmu_unmap_gfn_range: changeBody((operation) => {
        operation.body()
        const [start, end] = operation.args
        Object.assign(kvm.state, { rangeStart: start, rangeEnd: end })
      }),
    }),
  },
  {
    id: "invalid-root-skipped-by-notifier",
    title: "an invalidation leaves out the tree that is being torn down",
    source: "commit d62007edf01f: KVM: x86/mmu: Zap _all_ roots when unmapping gfn range in TDP MMU; CVE-2021-47639",
    references: zoo(82),
    scenario: zapAll.id,
    breaks: "MIRROR-NO-UAF",
    at: ({ kvm }) => ({
      kvm_mmu_unmap_gfn_range: changeBody((operation) => {
        const dying = kvm.roots.filter(({ state }) => !state.valid)
        const before = dying.map(({ sptes }) => sptes.map(({ value }) => value))
        operation.body()
        for (const [position, { sptes }] of dying.entries()) {
          for (const [gfn, spte] of (before[position] ?? []).entries()) at(sptes, gfn).value = spte
        }
      }),
    }),
  },
  {
    id: "kvm-contends-for-mmu-lock",
    title:
      "a fault takes mmu_lock to learn that an invalidation is under way, again and again, and its end may never get it",
    source:
      "commit d02c357e5bfa: KVM: x86/mmu: Retry fault before acquiring mmu_lock if mapping is changing; for ever only where the lock is not fair",
    scenario: retries.id,
    bound: smallest,
    breaks: "L-RETRY",
    at: () => ({ mmu_invalidate_retry_gfn_unsafe: leaveOut(false) }),
  },
  {
    id: "retry-seq-truncated",
    title: "a helper takes the sequence as a narrow signed number, which equals the wide one no more after some time",
    source: "6.1-stable: KVM: x86/mmu: Fix an sign-extension bug with mmu_seq that hangs vCPUs; two bits here",
    references: zoo(83),
    scenario: retries.id,
    breaks: "L-RETRY",
    at: () => ({
      "kvm_mmu_faultin_pfn: mmu_seq": changeResult((result) => {
        const { seq, root } = result as { readonly seq: number; readonly root: number }
        return { seq: narrow(2, seq), root }
      }),
    }),
  },
  {
    id: "kvm-seq-wraps-within-fault",
    title: "both sides of the comparison are narrow, and as many invalidations as there are numbers fit into one fault",
    source: "the dual of retry-seq-truncated: one bit here",
    references: zoo(83),
    scenario: overlapping.id,
    bound: { pages: 1, vcpus: 1, invalidations: 2 },
    breaks: "MIRROR-NO-UAF",
    at: ({ kvm }) => ({
      "kvm_mmu_invalidate_end: mmu_invalidate_seq": changeBody((operation) => {
        operation.body()
        kvm.state.seq %= 2
      }),
    }),
  },
  {
    id: "memslot-changes-between-start-and-end",
    title: "memory is added between a start that found no memslot and its end, which finds one",
    source: "commit 52ac8b358b0c: KVM: Block memslot updates across range_start() and range_end()",
    references: zoo(104),
    scenario: memslots.id,
    breaks: "KVM-COUNT-NONNEG",
    at: () => ({ kvm_swap_active_memslots: changeGuard() }),
  },
  {
    id: "memslots-wait-for-mmu-lock-only",
    title: "memory is added as soon as no invalidation that concerns the guest is counted",
    source: "commit 52ac8b358b0c: KVM: Block memslot updates across range_start() and range_end()",
    references: zoo(104),
    scenario: memslots.id,
    breaks: "KVM-MEMSLOT-STABLE",
    at: ({ kvm }) => ({ kvm_swap_active_memslots: changeGuard(() => kvm.state.inProgress === 0) }),
  },
  {
    id: "memslots-under-rwsem",
    title:
      "a reader-writer lock is held from a start to its end against changes of the memslots, and gives way to writers",
    source:
      "commit 52ac8b358b0c: KVM: Block memslot updates across range_start() and range_end(), which says why that is no remedy",
    references: zoo(104),
    scenario: memslotsMove.id,
    breaks: "deadlock",
    at: ({ kvm }) => {
      const { memslots } = kvm
      return {
        kvm_mmu_notifier_invalidate_range_start: changeGuard(() => !memslots.value.updating),
        kvm_swap_active_memslots: (original) =>
          Effect.andThen(
            // Set from now on: who waits to write goes before who comes to read.
            step("down_write", ["mmu_notifier_slots_lock"], () => {
              memslots.value = { ...memslots.value, updating: true }
            }),
            original,
          ),
      }
    },
  },
  {
    id: "kvm-seq-without-count",
    title: "a fault asks whether an invalidation has ended since it looked the page up, not whether one is under way",
    source: "include/linux/kvm_host.h: mmu_invalidate_retry",
    scenario: overlapping.id,
    bound: smallest,
    breaks: "MIRROR-NO-INSTALL-IN-WINDOW",
    at: ({ kvm, record }) => ({
      mmu_invalidate_retry_gfn_unsafe: leaveOut(false),
      is_page_fault_stale: changeBody((operation) => {
        operation.body()
        return kvm.state.seq !== sampledBy(record, operation.args[0])
      }),
    }),
  },
  {
    id: "kvm-unsafe-check-as-authority",
    title: "a fault trusts the look at the counts that it takes without the lock",
    source:
      "include/linux/kvm_host.h: mmu_invalidate_retry_gfn_unsafe, which says that the check is to be repeated under the lock",
    scenario: overlapping.id,
    bound: smallest,
    breaks: "KVM-RETRY",
    at: () => ({ is_page_fault_stale: changeResult(() => false) }),
  },
  {
    id: "kvm-seq-after-lookup",
    title: "a fault reads the sequence when it has looked the page up, and an invalidation ended before that",
    source: "arch/x86/kvm/mmu/mmu.c: kvm_mmu_faultin_pfn, smp_rmb()",
    scenario: overlapping.id,
    bound: smallest,
    breaks: "MIRROR-NO-UAF",
    at: ({ kvm, record }, fiber) => {
      if (!kvm.tlbs.has(fiber)) return {}
      return {
        mmap_read_unlock: (original) =>
          Effect.andThen(
            original,
            step("kvm_mmu_faultin_pfn: mmu_seq", [fiber, "late"], () => undefined),
          ),
        is_page_fault_stale: changeBody((operation) => {
          operation.body()
          return mmuInvalidateRetryGfn(kvm, sampledBy(record, fiber), Number(operation.args[1]))
        }),
      }
    },
  },
  {
    id: "kvm-maps-read-page-writable",
    title: "a page that was got for reading is mapped for writing, whatever the process may do",
    source: "virt/kvm/kvm_main.c: hva_to_pfn, map_writable",
    scenario: overlapping.id,
    bound: { pages: 1, vcpus: 2, invalidations: 1, calls: 1 },
    breaks: "MIRROR-PERM",
    at: ({ kvm }) => ({
      kvm_tdp_mmu_map: changeBody((operation) => {
        operation.body()
        for (const { sptes } of kvm.roots) {
          const entry = at(sptes, Number(operation.args[1]))
          if (entry.value !== null) entry.value = { ...entry.value, write: true }
        }
      }),
    }),
  },
  {
    id: "kvm-retry-leaks-page",
    title: "a fault that has to try again forgets the page that it has looked up",
    source: "virt/kvm/kvm_main.c: kvm_release_faultin_page",
    scenario: overlapping.id,
    bound: smallest,
    breaks: "MIRROR-NO-REF",
    at: ({ kvm }) => {
      let stale = false
      return {
        is_page_fault_stale: (original) =>
          Effect.map(original, (result) => {
            stale = result === true
            return result
          }),
        kvm_mmu_finish_page_fault: (original, { name, args }) =>
          stale ? step(name, args, () => release(kvm.mmuLock)) : original,
      }
    },
  },
  {
    id: "kvm-no-remote-flush",
    title: "an invalidation takes the entries away and leaves the virtual CPUs' TLBs as they are",
    source: "virt/kvm/kvm_main.c: kvm_flush_remote_tlbs; include/linux/mmu_notifier.h: invalidate_range_start",
    scenario: overlapping.id,
    bound: smallest,
    breaks: "MIRROR-AGREE",
    at: ({ kvm }) => ({ kvm_flush_remote_tlbs: changeBody(() => release(kvm.mmuLock)) }),
  },
  {
    id: "kvm-young-elides-flush",
    title: "accessed bits are taken away and the TLBs not flushed, so that a guest's next access sets none",
    source:
      "virt/kvm/kvm_main.c: kvm_mmu_notifier_clear_flush_young; CONFIG_KVM_ELIDE_TLB_FLUSH_IF_YOUNG puts up with it",
    scenario: aging.id,
    bound: { vcpus: 1, invalidations: 0 },
    breaks: "KVM-YOUNG",
    at: ({ kvm }) => ({
      kvm_mmu_notifier_clear_flush_young: changeBody((operation) => {
        const tlbs = [...kvm.tlbs.values()].map((tlb) => tlb.map(({ value }) => value))
        const young = operation.body()
        for (const [position, tlb] of [...kvm.tlbs.values()].entries()) {
          for (const [gfn, entry] of tlb.entries()) entry.value = tlbs[position]?.[gfn] ?? null
        }
        return young
      }),
    }),
  },
  {
    id: "kvm-release-does-nothing",
    title: "a guest's page table is still there when the process's pages are unmapped at its end",
    source: "virt/kvm/kvm_main.c: kvm_mmu_notifier_release; mm/mmap.c: exit_mmap",
    scenario: exit.id,
    breaks: "NOTIFIER-RELEASE-BEFORE-FREE",
    at: () => ({ kvm_mmu_zap_all: leaveOut(), "kvm_mmu_zap_all: kvm_flush_remote_tlbs": leaveOut() }),
  },
  {
    id: "kvm-run-outside-process",
    title: "a virtual CPU runs in a process that is no user of the memory, which ends meanwhile",
    source: "virt/kvm/kvm_main.c: kvm_vcpu_ioctl, which fails with -EIO unless kvm->mm is the caller's",
    scenario: calls.id,
    bound: smallest,
    breaks: "NOTIFIER-RELEASE-BEFORE-FREE",
    at: ({ mm, kvm }, fiber) =>
      kvm.tlbs.has(fiber)
        ? { exit_mm: leaveOut(), mmput: leaveOut(false) }
        : {
            mmput: changeBody(({ args, body }) => {
              if (args[0] === mm.name) mm.state.users = 1
              return body()
            }),
          },
  },
  {
    id: "kvm-tears-down-without-lock",
    title: "an old page table is torn down without mmu_lock, by which a fault that still uses it would be over",
    source: "arch/x86/kvm/mmu/tdp_mmu.c: kvm_tdp_mmu_zap_invalidated_roots, lockdep_assert_held_write",
    scenario: zapAll.id,
    bound: smallest,
    breaks: "LOCKDEP-HELD",
    at: ({ kvm }) => ({ tdp_mmu_zap_root: withoutLock(() => kvm.mmuLock) }),
  },
  {
    id: "kvm-tears-down-before-invalid",
    title: "a page table is torn down while it is in use still, and faults fill it again",
    source: "arch/x86/kvm/mmu/mmu.c: kvm_mmu_zap_all_fast, which marks the root invalid first",
    scenario: zapAll.id,
    bound: smallest,
    breaks: "KVM-ZAP-ALL",
    at: () => moveBehind("kvm_mmu_zap_all_fast", "tdp_mmu_zap_root"),
  },
  {
    id: "kvm-generation-before-slots",
    title: "the new generation is given out before the new memslots are in use",
    source: "virt/kvm/kvm_main.c: kvm_swap_active_memslots; commit 361209e054a2",
    scenario: memslots.id,
    bound: { invalidations: 1 },
    breaks: "KVM-MEMSLOT-GENERATION",
    at: ({ kvm: { memslots } }) => ({
      kvm_swap_active_memslots: changeBody(({ body }) => {
        body()
        memslots.value = { ...memslots.value, updating: false, generation: memslots.value.generation + 1 }
      }),
      kvm_arch_memslots_updated: changeBody(() => {
        memslots.value = { ...memslots.value, updating: true }
      }),
    }),
  },
  {
    id: "kvm-closed-not-atomic",
    title:
      "the files that are open are counted by a read and a write, and neither of two that are closed at once is the last",
    source: "virt/kvm/kvm_main.c: kvm_put_kvm, refcount_dec_and_test",
    scenario: exit.id,
    breaks: "KVM-LAST-CLOSE",
    at: ({ kvm: { state } }) => ({
      kvm_put_kvm: (_, { name, args }) =>
        Effect.flatMap(
          step(`${name}: refcount_read`, args, () => state.users),
          (users) =>
            step(name, args, () => {
              state.users = users - 1
              return users === 1
            }),
        ),
    }),
  },
  {
    id: "kvm-fault-installs-nothing",
    title: "a fault that has found its page to be current returns without an entry, and comes again for ever",
    source: "arch/powerpc/kvm/book3s_64_mmu_hv.c: kvmppc_book3s_hv_page_fault",
    scenario: lockless.id,
    bound: smallest,
    breaks: "MIRROR-CURRENT-MAPPED",
    at: () => ({ kvmppc_add_revmap_chain: leaveOut() }),
  },
]
