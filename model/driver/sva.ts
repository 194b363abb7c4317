/**
 * A device that walks the CPU's page table itself (shared virtual addressing: drivers/iommu/iommu-sva.c,
 * drivers/iommu/io-pgfault.c, drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-sva.c). It has no page table of its own, only a
 * TLB, the IOTLB, which is invalidated whenever the CPUs' TLBs are.
 */
import { enterLoop, procedure, step, struct } from "../../checker/program/index.ts"
import { walk } from "../mm/access.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { handleMmFault } from "../mm/fault.ts"
import { type Content, folioOf } from "../mm/folio.ts"
import { findVma, type Mm, mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import { at, pagesOf } from "../mm/range.ts"
import { type SecondaryTlb, type TlbEntry, tlb } from "../mm/tlb.ts"
import { allows } from "../mm/vma.ts"

/** A device that is bound to a process. */
export interface SvaDevice {
  readonly name: string
  readonly mm: Mm
  readonly tlb: SecondaryTlb
}

/** `iommu_sva_bind_device`: makes a device that is bound to the process, its IOTLB empty. */
export const svaDevice = (mm: Mm, name: string): SvaDevice => {
  const entries = tlb(name, pagesOf({ start: 0, end: mm.pages }))
  const bound: SecondaryTlb = { entries, state: struct(name, { bound: true }) }
  mm.secondaryTlbs.set(name, bound)
  return { name, mm, tlb: bound }
}

/**
 * A load or store of the device, with page requests where it cannot.
 *
 * @param content what it stores; without it, it loads
 * @returns false when the process has nothing mapped there for that, or is gone
 */
export const svaAccess = procedure(function* (device: SvaDevice, va: number, content?: Content) {
  const { mm } = device
  const write = content !== undefined
  const head = yield* enterLoop("sva_access")
  for (;;) {
    yield* head()
    const outcome = yield* step(write ? "sva_store" : "sva_load", [mm.name, va, ...(write ? [content] : [])], () => {
      if (!device.tlb.state.bound) return "aborted"
      const entry = translate(device, va, write)
      if (entry === null) return "page request"
      if (write && entry.page !== null) folioOf(mm.system.folios, entry.page).content = content
      return "done"
    })
    if (outcome === "done") return true
    if (outcome === "aborted" || !(yield* iommuSvaHandleMm(mm, va, write))) return false
  }
})

/**
 * What the hardware does: a translation that the IOTLB has is used as it is, one that forbids the access too: a device
 * does not look again before it faults. Else the page table is walked, and what is found there cached. Within a step;
 * `null` is a fault.
 */
const translate = ({ mm, tlb: { entries } }: SvaDevice, va: number, write: boolean): TlbEntry | null => {
  const cell = at(entries, va)
  const cached = cell.value
  if (cached !== null && (!write || !cached.write || cached.dirty)) return write && !cached.write ? null : cached
  const walked = walk(mm, va, write) ?? walk(mm, va, false)
  cell.value = walked
  return write && walked?.write === false ? null : walked
}

/** `iommu_sva_handle_mm`: a page request of the device; false for IOMMU_PAGE_RESP_INVALID. */
const iommuSvaHandleMm = procedure(function* (mm: Mm, va: number, write: boolean) {
  if (!(yield* mmgetNotZero(mm))) return false
  yield* mmapReadLock(mm)
  const allowed = yield* step("iommu_sva_handle_mm", [mm.name, va], () => {
    const vma = findVma(mm, va)
    return vma !== null && allows(vma, write)
  })
  const result = allowed ? yield* handleMmFault(mm, va, { write }) : ("SIGSEGV" as const)
  yield* mmapReadUnlock(mm)
  yield* mmput(mm)
  return result === "done"
})
