/** What TLBs may still have when a call has returned, those of devices included. */
import { isLive } from "../../../model/mm/folio.ts"
import { hasTable } from "../../../model/mm/mm.ts"
import { runs } from "../../../model/mm/switch.ts"
import type { MmWorld } from "../world.ts"
import { iotlbs, type Spec, sameFrame, translations } from "./places.ts"

/** Where a page that MADV_DONTNEED has given up still is found: by the page table, or by a TLB. */
const survivors = (world: MmWorld): ReadonlyArray<string> => {
  const { mm, gone } = world.advised
  return gone.value.flatMap(({ va, page }) => {
    const pte = mm.pte[va]?.value ?? null
    const mapped = hasTable(mm, va) && pte?.kind === "present" && sameFrame(pte.page, page)
    const cached = translations(world).filter(
      (one) => one.mm === mm && one.va === va && sameFrame(one.entry.page, page),
    )
    return [
      ...(mapped ? [`Page ${va} of ${mm.name} still is page ${page.pfn}.`] : []),
      ...cached.map(({ owner }) => `${owner} still translates page ${va} of ${mm.name} to page ${page.pfn}.`),
    ]
  })
}

/** The CPUs that run in an address space and have not flushed as far as a flush that has returned. */
const behind = ({ parent, shootdowns: { completed } }: MmWorld): ReadonlyArray<string> =>
  [...(parent.context?.flushed ?? [])].flatMap(([cpu, { value }]) =>
    runs(parent, cpu) && value < completed.value ? [cpu] : [],
  )

const danglingIotlbs = (world: MmWorld) =>
  translations(world, iotlbs).filter(({ entry }) => entry.page !== null && !isLive(world.folios, entry.page))

export const translationProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "DONTNEED-GONE",
    statement:
      "When MADV_DONTNEED has returned, neither the page table nor a TLB finds an anonymous page there that was there before.",
    source: "man 2 madvise; mm/mmu_gather.c: tlb_finish_mmu; commits 99baac21e458, ced108037c2a",
    premise: ({ advised }) => advised.gone.value.length > 0,
    holds: (world) => survivors(world).length === 0,
    explain: (world) => survivors(world).join(" "),
  },
  {
    kind: "invariant",
    id: "SHOOTDOWN-COMPLETE",
    statement:
      "When a flush of the TLBs has returned, no CPU that runs the process uses what it translated before that flush.",
    source: "arch/x86/mm/tlb.c: switch_mm_irqs_off, should_flush_tlb; commits 83b0177a6c48, fea4e317f9e7",
    premise: ({ shootdowns }) => shootdowns.completed.value > 0,
    holds: (world) => behind(world).length === 0,
    explain: (world) =>
      behind(world)
        .map(
          (cpu) =>
            `${cpu} runs in ${world.parent.name} and has flushed up to ${world.parent.context?.flushed.get(cpu)?.value}; flush ${world.shootdowns.completed.value} has returned.`,
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "IOTLB-NO-UAF",
    statement: "No device that walks the CPU's page table translates an address to a page that was freed.",
    source: "include/linux/mmu_notifier.h: arch_invalidate_secondary_tlbs; commits 6bbd42e2df8f, fd1102f0aade",
    premise: (world) => translations(world, iotlbs).length > 0,
    holds: (world) => danglingIotlbs(world).length === 0,
    explain: (world) =>
      danglingIotlbs(world)
        .map(
          ({ mm, owner, va, entry }) =>
            `${owner} translates page ${va} of ${mm.name} to page ${entry.page?.pfn}, which was freed.`,
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "IOTLB-UNBOUND",
    statement: "No device walks the page table of an address space when its unmapping at the end begins.",
    source: "drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-sva.c: arm_smmu_mm_release",
    premise: ({ slips }) => slips.unbindsFirst !== "untested",
    holds: ({ slips }) => slips.unbindsFirst !== "broken",
  },
]

/** Of the machines on which a device walks the page table. */
export const svaProperties: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "SVA-FAULT-RESOLVES",
    statement:
      "A device that walks the CPU's page table gets on: what a page request has resolved does not fault again.",
    source: "drivers/iommu/iommu-sva.c: iommu_sva_handle_mm; commit 6bbd42e2df8f",
    to: ({ svaDevices }, fibers) => svaDevices.every(({ name }) => fibers.ended(name)),
  },
]
