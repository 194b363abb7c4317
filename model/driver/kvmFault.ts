/** Guests' accesses, and their page faults (arch/x86/kvm/mmu/mmu.c; arch/powerpc/kvm/book3s_64_mmu_hv.c). */
import type * as Effect from "effect/Effect"
import { enterLoop, guardedStep, procedure, step } from "../../checker/program/index.ts"
import { type Content, folioOf } from "../mm/folio.ts"
import { type UserPage, ungrab } from "../mm/gup.ts"
import { at } from "../mm/range.ts"
import { keep, release, type SpinLock, underLock } from "../sync/spinlock.ts"
import { hvaToPfn } from "./hvaToPfn.ts"
import { type Kvm, mmuInvalidateRetryGfn, type Root, type Spte, type Translation } from "./kvm.ts"

/** RET_PF_FIXED, RET_PF_RETRY, RET_PF_EMULATE (no memslot: a device's memory), and what ends KVM_RUN: -EFAULT. */
export type PageFault = "fixed" | "retry" | "emulate" | "-EFAULT"

/** A page fault handler: of a virtual CPU, at a guest page. */
export type Handler = (kvm: Kvm, vcpu: string, gfn: number, write: boolean) => Effect.Effect<PageFault>

/** The tree that virtual CPUs use. Within a step. */
const currentRoot = ({ roots }: Kvm): Root => {
  const root = roots.find(({ state }) => state.valid)
  if (root === undefined) throw new RangeError("the machine has no valid root")
  return root
}

/** `gfn_to_hva_memslot`; `null` where there is no slot. */
const gfnToHva = (kvm: Kvm, gfn: number): Effect.Effect<number | null> =>
  step("kvm_vcpu_gfn_to_memslot", [gfn], () => {
    const slot = kvm.memslots.value.slots.find(
      ({ gfn: first, start, end }) => first <= gfn && gfn < first + end - start,
    )
    return slot === undefined ? null : slot.start + gfn - slot.gfn
  })

/** The entry for a page that was got: what the guest may store to is dirty, for the process's page table will not tell. Within a step. */
const makeSpte = (kvm: Kvm, { frame }: UserPage, write: boolean): Spte => {
  if (write && frame !== null) folioOf(kvm.mm.system.folios, frame).dirty = true
  return { page: frame, write, young: true }
}

/** `kvm_release_faultin_page`, and the lock. */
const finish = (kvm: Kvm, name: string, vcpu: string, lock: SpinLock, { frame, pinned }: UserPage) =>
  step(name, [vcpu], () => {
    if (frame !== null) ungrab(kvm.mm.system, frame, pinned)
    release(lock)
  })

/** `kvm_tdp_mmu_page_fault` */
export const kvmTdpPageFault: Handler = procedure(function* (kvm, vcpu, gfn, write) {
  const hva = yield* gfnToHva(kvm, gfn)
  if (hva === null) return "emulate"
  // fault->mmu_seq = vcpu->kvm->mmu_invalidate_seq; smp_rmb()
  const { seq, root } = yield* step("kvm_mmu_faultin_pfn: mmu_seq", [vcpu, gfn], () => ({
    seq: kvm.state.seq,
    root: kvm.roots.indexOf(currentRoot(kvm)),
  }))
  // Who waits for the end of an invalidation does not come into its way: it needs mmu_lock.
  if (yield* step("mmu_invalidate_retry_gfn_unsafe", [vcpu, gfn], () => mmuInvalidateRetryGfn(kvm, seq, gfn))) {
    return "retry"
  }
  const page = yield* hvaToPfn(kvm.mm, hva, write)
  if (page === null) return "-EFAULT"

  const stale = yield* underLock(kvm.mmuLock, "is_page_fault_stale", [vcpu, gfn], () => {
    keep(kvm.mmuLock)
    return kvm.roots[root]?.state.valid !== true || mmuInvalidateRetryGfn(kvm, seq, gfn)
  })
  if (!stale) {
    yield* step("kvm_tdp_mmu_map", [vcpu, gfn], () => {
      at(currentRoot(kvm).sptes, gfn).value = makeSpte(kvm, page, write)
    })
  }
  yield* finish(kvm, "kvm_mmu_finish_page_fault", vcpu, kvm.mmuLock, page)
  return stale ? "retry" : "fixed"
})

/**
 * `kvmppc_book3s_hv_page_fault`: it asks for a retry under the lock of the guest page's reverse mapping, which the
 * invalidation takes too, and without `mmu_lock`, under which the count and the sequence are written. So it reads the
 * count first, then the sequence, and relies on the end to write them the other way round.
 */
export const kvmppcBook3sHvPageFault: Handler = procedure(function* (kvm, vcpu, gfn, write) {
  const { state } = kvm
  const rmapLock = kvm.rmapLocks[gfn]
  const hva = yield* gfnToHva(kvm, gfn)
  if (hva === null || rmapLock === undefined) return "emulate"
  const { seq } = yield* step("kvm_mmu_faultin_pfn: mmu_seq", [vcpu, gfn], () => ({ seq: state.seq, root: 0 }))
  const page = yield* hvaToPfn(kvm.mm, hva, write)
  if (page === null) return "-EFAULT"

  yield* underLock(rmapLock, "lock_rmap", [gfn], () => keep(rmapLock))
  let retry = yield* step("mmu_invalidate_retry: mmu_invalidate_in_progress", [vcpu, seq], () => state.inProgress > 0)
  // smp_rmb()
  if (!retry) retry = yield* step("mmu_invalidate_retry: mmu_invalidate_seq", [vcpu, seq], () => state.seq !== seq)
  if (!retry) {
    yield* step("kvmppc_add_revmap_chain", [vcpu, gfn], () => {
      at(currentRoot(kvm).sptes, gfn).value = makeSpte(kvm, page, write)
    })
  }
  yield* finish(kvm, "unlock_rmap", vcpu, rmapLock, page)
  return retry ? "retry" : "fixed"
})

/**
 * A load or store of the guest (`KVM_RUN`): through the virtual CPU's TLB and the second-stage page table, with page
 * faults where it takes them.
 *
 * @param content what it stores; without it, it loads
 * @returns what ends it
 */
export const guestAccess = procedure(function* (
  kvm: Kvm,
  vcpu: string,
  gfn: number,
  handler: Handler,
  content?: Content,
) {
  const write = content !== undefined
  const head = yield* enterLoop("vcpu_run")
  for (;;) {
    yield* head()
    const done = yield* step(write ? "guest_store" : "guest_load", [vcpu, gfn], () => {
      const entry = translate(kvm, vcpu, gfn, write)
      if (entry === null) return false
      if (write && entry.page !== null) folioOf(kvm.mm.system.folios, entry.page).content = content
      return true
    })
    if (done) return "done" as const
    const fault = yield* handler(kvm, vcpu, gfn, write)
    if (fault === "emulate" || fault === "-EFAULT") return fault
  }
})

/** What the hardware does. Within a step. */
const translate = (kvm: Kvm, vcpu: string, gfn: number, write: boolean): Translation | null => {
  const tlb = kvm.tlbs.get(vcpu)
  if (tlb === undefined) throw new RangeError(`the machine has no ${vcpu}`)
  const cached = at(tlb, gfn)
  if (cached.value === null || (write && !cached.value.write)) {
    const entry = at(currentRoot(kvm).sptes, gfn)
    const spte = entry.value
    if (spte === null || (write && !spte.write)) return null
    if (!spte.young) entry.value = { ...spte, young: true }
    cached.value = { page: spte.page, write: spte.write }
  }
  return cached.value
}

/** Waits until the guest has a slot for a page, as a guest does that is told of new memory. */
export const memoryAdded = ({ memslots }: Kvm, vcpu: string, gfn: number): Effect.Effect<void> =>
  guardedStep(
    "acpi_memory_hotplug",
    [vcpu, gfn],
    () => memslots.value.slots.some((slot) => slot.gfn === gfn),
    () => undefined,
  )
