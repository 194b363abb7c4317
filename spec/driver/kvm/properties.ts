/** The invariants of KVM: what its guest, and KVM itself, map against the process's page table, and its counts. */
import { actionInvariant, type Property } from "../../../checker/index.ts"
import { type Mapping, mappingProperties } from "../mappings.ts"
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
    premise: ({ kvm }) => kvm.state.active > 0,
    holds: ({ kvm }) => kvm.state.active >= 0 && kvm.state.inProgress >= 0,
    explain: ({ kvm }) => `mmu_invalidate_in_progress is ${kvm.state.inProgress}.`,
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
