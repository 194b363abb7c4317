/** The invariants of KVM: what its guest, and KVM itself, map against the process's page table, and its counts. */
import { actionInvariant, type Property } from "../../../checker/index.ts"
import { mapsCurrent } from "../installs.ts"
import { locksHeld } from "../locksHeld.ts"
import { type Mapping, mappingProperties } from "../mappings.ts"
import { storesInTime } from "../stores.ts"
import { type KvmWorld, slotsOf } from "./world.ts"

/** Where a guest page lies in the process, whether its slot is there yet or not. */
const hvaOf = (world: KvmWorld, gfn: number): number =>
  slotsOf(world.mm.pages).find((slot) => slot.gfn === gfn)?.start ?? 0

const mappings = (world: KvmWorld): ReadonlyArray<Mapping> => {
  const { kvm, gpc } = world
  const tables = [
    ...kvm.roots.map(({ sptes }, root) => [`the second-stage page table ${root}`, sptes] as const),
    ...[...kvm.tlbs].map(([vcpu, tlb]) => [`the TLB of ${vcpu}`, tlb] as const),
  ]
  const sptes = tables.flatMap(([where, entries]) =>
    entries.flatMap(({ value }, gfn) => (value === null ? [] : [{ ...value, where, hva: hvaOf(world, gfn) }])),
  )
  if (gpc === undefined || !gpc.state.valid) return sptes
  return [...sptes, { where: gpc.name, hva: gpc.hva, page: gpc.state.page, write: true }]
}

export const kvmProperties: ReadonlyArray<Property<KvmWorld>> = [
  ...mappingProperties(mappings, "virt/kvm/kvm_main.c; arch/x86/kvm/mmu/tdp_mmu.c: kvm_tdp_mmu_unmap_gfn_range"),
  {
    kind: "invariant",
    id: "KVM-RETRY",
    statement:
      "Under mmu_lock an entry is installed only while no invalidation in progress covers its guest page, and if none has ended since the fault read the sequence.",
    source: "include/linux/kvm_host.h: mmu_invalidate_retry_gfn",
    premise: ({ kvm }) => kvm.roots.some(({ sptes }) => sptes.some(({ value }) => value !== null)),
    holds: ({ record }) => record.slip.value === "",
    explain: ({ record }) => `${record.slip.value} although an invalidation is or was under way.`,
  },
  {
    kind: "invariant",
    id: "KVM-RANGE-COVERS",
    statement: "The range that a virtual machine remembers covers all the invalidations that it counts.",
    source: "virt/kvm/kvm_main.c: kvm_mmu_invalidate_range_add",
    premise: ({ record }) => [...record.counted.values()].some(({ ranges }) => ranges.length > 0),
    holds: ({ kvm, record }) =>
      [...record.counted.values()].every(({ ranges }) =>
        ranges.every(({ start, end }) => kvm.state.rangeStart <= start && end <= kvm.state.rangeEnd),
      ),
  },
  {
    kind: "invariant",
    id: "KVM-COUNT-NONNEG",
    statement: "Every end of an invalidation has had its start: neither count of those under way is negative.",
    source: "virt/kvm/kvm_main.c: kvm_mmu_invalidate_end, which KVM_BUG_ONs; ..._range_end, which WARNs",
    premise: ({ kvm }) => kvm.state.active !== 0 || kvm.state.inProgress !== 0,
    holds: ({ kvm }) => kvm.state.active >= 0 && kvm.state.inProgress >= 0,
    explain: ({ kvm: { state } }) =>
      `mmu_invalidate_in_progress is ${state.inProgress}, and mn_active_invalidate_count ${state.active}.`,
  },
  actionInvariant({
    id: "KVM-MEMSLOT-STABLE",
    statement: "The memslots are not replaced between the start and the end of an invalidation.",
    source: "virt/kvm/kvm_main.c: kvm_swap_active_memslots; commit 52ac8b358b0c",
    observe: ({ kvm }: KvmWorld) => ({ slots: kvm.memslots.value.slots.length, active: kvm.state.active }),
    premise: (before, after) => before.slots !== after.slots,
    holds: (before, after) => before.slots === after.slots || before.active === 0,
  }),
  {
    kind: "invariant",
    id: "KVM-GPC-VALID-LISTED",
    statement: "A cache of a translation is valid only while it is on the list that the notifier walks.",
    source: "virt/kvm/pfncache.c: kvm_gpc_activate; commit ecbcf030b456",
    premise: ({ gpc }) => gpc?.state.valid === true,
    holds: ({ gpc, kvm }) => gpc === undefined || !gpc.state.valid || kvm.gpcList.value.includes(gpc.name),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-RELEASE-BEFORE-FREE",
    statement: "Once the pages of a process are unmapped at its end, no guest maps any.",
    source: "mm/mmap.c: exit_mmap; virt/kvm/kvm_main.c: kvm_mmu_notifier_release",
    premise: ({ record }) => record.rules.unmapping,
    holds: ({ kvm, record }) =>
      !record.rules.unmapping ||
      [...kvm.roots.map(({ sptes }) => sptes), ...kvm.tlbs.values()].every((entries) =>
        entries.every(({ value }) => value === null),
      ),
  },
  {
    kind: "invariant",
    id: "KVM-YOUNG",
    statement:
      "A page that a guest has used since it was asked about is said to be young, by whichever translation it was used, unless its entry has been taken away.",
    source: "mm/mmu_notifier.c: __mmu_notifier_clear_flush_young; virt/kvm/kvm_main.c: kvm_age_hva_range",
    premise: ({ record }) => record.rules.young !== "untested",
    holds: ({ record }) => record.rules.young !== "broken",
  },
  locksHeld(
    "Entries of the second-stage page table change under mmu_lock or the lock of a guest page's reverse mapping, and caches of translations under their own.",
    "virt/kvm/kvm_main.c: kvm_mmu_invalidate_range_add; virt/kvm/pfncache.c: hva_to_pfn_retry; both assert it",
    ({ kvm }) => kvm.mmuLock.state.holder !== "",
  ),
]

/** Where KVM accesses a guest page itself, through a cache of its translation. */
export const gpcProperties: ReadonlyArray<Property<KvmWorld>> = [
  {
    kind: "invariant",
    id: "KVM-GPC-ACTIVE-LISTED",
    statement:
      "While nobody has its refresh_lock, a cache of a translation is active if and only if it is on the list.",
    source: "virt/kvm/pfncache.c: __kvm_gpc_activate, kvm_gpc_deactivate",
    premise: ({ gpc }) => gpc?.refreshLock.state.holder === "",
    holds: ({ gpc, kvm }) => gpc === undefined || gpc.state.active === kvm.gpcList.value.includes(gpc.name),
  },
  storesInTime(({ gpc }) => gpc?.state.valid === true, "virt/kvm/pfncache.c: gfn_to_pfn_cache_invalidate_start"),
]

/** Where memory is added to the guest. */
export const memslotProperties: ReadonlyArray<Property<KvmWorld>> = [
  {
    kind: "atEnd",
    id: "KVM-MEMSLOT-GENERATION",
    statement:
      "When everything has ended, no change of the memslots is said to be in progress, and each has had a generation of its own.",
    source: "virt/kvm/kvm_main.c: kvm_swap_active_memslots, KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS",
    holds: ({ kvm: { memslots }, firstSlots }) =>
      !memslots.value.updating && memslots.value.generation === memslots.value.slots.length - firstSlots,
  },
]

/** Where faults ask for a retry without mmu_lock. */
export const locklessProperties: ReadonlyArray<Property<KvmWorld>> = [
  mapsCurrent("arch/powerpc/kvm/book3s_64_mmu_hv.c: kvmppc_book3s_hv_page_fault"),
]

/** Where a guest's page table is replaced. */
export const zapAllProperties: ReadonlyArray<Property<KvmWorld>> = [
  {
    kind: "atEnd",
    id: "KVM-ZAP-ALL",
    statement: "When a guest's page table has been replaced, nobody uses the old one, and nothing is left in it.",
    source: "arch/x86/kvm/mmu/mmu.c: kvm_mmu_zap_all_fast; tdp_mmu.c: kvm_tdp_mmu_zap_invalidated_roots",
    holds: ({ kvm: { roots } }) => {
      const [old, fresh] = roots
      return old?.state.valid === false && fresh?.state.valid === true && old.sptes.every(({ value }) => value === null)
    },
  },
]

/** Where the files of the machine are closed. */
export const closingProperties: ReadonlyArray<Property<KvmWorld>> = [
  {
    kind: "atEnd",
    id: "KVM-LAST-CLOSE",
    statement: "When all its files have been closed, one of those who did it has been told that the machine is to go.",
    source: "virt/kvm/kvm_main.c: kvm_put_kvm",
    holds: ({ kvm }) => kvm.state.users === 0,
    explain: ({ kvm }) => `users_count is ${kvm.state.users}.`,
  },
]

/** What must come about. */
export const kvmPromises: ReadonlyArray<Property<KvmWorld>> = [
  {
    kind: "leadsTo",
    id: "L-RETRY",
    statement: "With finitely many invalidations, every fault of a guest comes to the end of its retries.",
    source: "Documentation/mm/hmm.rst; arch/x86/kvm/mmu/mmu.c: RET_PF_RETRY",
    to: ({ kvm }, { ended }) => [...kvm.tlbs.keys()].every(ended),
  },
]
