/**
 * A device that walks the CPU's page table itself (drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-sva.c), as seen by the
 * notifier: it has a TLB and no page table, registers for the flushes of TLBs and for the end of the address space, and
 * puts its notifier. `sva.ts` is the same device on a full address space, without the notifier.
 */
import { assert, type Cell, cell, procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import type { Frame } from "../mm/folio.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import { type MmuNotifier, mmuNotifier, mmuNotifierPut, mmuNotifierRegister } from "../notifier/mmuNotifier.ts"
import { mmgetNotZero, mmput, type NotifiedMm } from "../notifier/notifiedMm.ts"

/** A device that can be bound to a process. */
export interface SecondaryTlbDevice {
  readonly name: string
  readonly mm: NotifiedMm
  readonly notifier: MmuNotifier
  /** Whether it walks the page table. */
  readonly state: Struct<{ bound: boolean }>
  readonly tlb: ReadonlyArray<Cell<Frame | null>>
}

/** Makes a device that is not bound. */
export const secondaryTlbDevice = (mm: NotifiedMm, name: string): SecondaryTlbDevice => {
  const state = struct(name, { bound: false })
  const tlb = mm.pte.map((_, va) => cell<Frame | null>(`${name}.tlb${va}`, null))
  const notifier = mmuNotifier(mm.subs, name, name, {
    release: () => unbind("arm_smmu_mm_release"),
    archInvalidateSecondaryTlbs: ({ start, end }: Range) =>
      step("arm_smmu_mm_arch_invalidate_secondary_tlbs", [name, start, end], () => {
        for (const va of pagesOf({ start, end })) at(tlb, va).value = null
      }),
    freeNotifier: () =>
      step("free_notifier", [name], () => {
        notifier.state.life = "freed"
      }),
  })
  const unbind = (caller: string) =>
    step(caller, [name], () => {
      state.bound = false
      for (const entry of tlb) entry.value = null
    })
  return { name, mm, notifier, state, tlb }
}

/** Binds, loads, and unbinds (iommu_sva_bind_device, arm_smmu_sva_domain_free). */
export const secondaryTlbVisit = procedure(function* (device: SecondaryTlbDevice, va: number) {
  const { mm, name, notifier, state, tlb } = device
  if (!(yield* mmgetNotZero(mm))) return
  const result = yield* mmuNotifierRegister(mm, notifier)
  if (result === "registered") {
    yield* step("arm_smmu_sva_set_dev_pasid", [name], () => {
      state.bound = true
    })
  }
  yield* mmput(mm)
  if (result !== "registered") return
  yield* step("sva_load", [name, va], () => {
    const cached = at(tlb, va)
    assert(state.bound || mm.state.users === 0, `${name} walks the page table of a process that it is not bound to`)
    if (state.bound) cached.value ??= at(mm.pte, va).value
    return cached.value !== null
  })
  yield* step("arm_smmu_blocking_set_dev_pasid", [name], () => {
    state.bound = false
    for (const entry of tlb) entry.value = null
  })
  yield* mmuNotifierPut(mm, notifier)
})
