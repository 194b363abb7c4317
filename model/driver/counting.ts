/**
 * A driver on a classic notifier that counts the invalidations under way and numbers those that have ended, as KVM does
 * (virt/kvm/kvm_main.c: kvm_mmu_notifier_invalidate_range_start), without its ranges: who finds the count above zero, or
 * the number changed since before it looked the page up, looks again.
 */
import type * as Effect from "effect/Effect"
import { type Cell, cell, enterLoop, procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import type { Frame } from "../mm/folio.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import type { NotifierRange } from "../notifier/events.ts"
import { type MmuNotifier, mmuNotifier } from "../notifier/mmuNotifier.ts"
import { getUserPage, mmgetNotZero, mmput, type NotifiedMm } from "../notifier/notifiedMm.ts"
import { keep, release, type SpinLock, spinLock, underLock } from "../sync/spinlock.ts"

/** The driver's state for one address space. */
export interface CountingDevice {
  readonly name: string
  readonly mm: NotifiedMm
  readonly notifier: MmuNotifier
  /** `kvm->mmu_lock` */
  readonly lock: SpinLock
  readonly state: Struct<{
    /** `mmu_invalidate_in_progress` and `mmu_invalidate_seq` */
    inProgress: number
    seq: number
    /** Whether release has begun. */
    released: boolean
  }>
  readonly pageTable: ReadonlyArray<Cell<Frame | null>>
  /** Its accessed bits. */
  readonly young: ReadonlyArray<Cell<boolean>>
}

/**
 * Makes a device that maps nothing, with a notifier that is not registered.
 *
 * @param driver whose operations it has, where several devices are of one
 * @param once whether the second release leaves the work to the first. Exit waits for that one; others who take pages
 *   away meanwhile do not, and no longer find the notifier on the list
 */
export const countingDevice = (mm: NotifiedMm, name: string, driver = name, once = false): CountingDevice => {
  const lock = spinLock(`${name}.mmu_lock`)
  const state = struct(name, { inProgress: 0, seq: 0, released: false })
  const pageTable = mm.pte.map((_, va) => cell<Frame | null>(`${name}.pte${va}`, null))
  const young = mm.pte.map((_, va) => cell(`${name}.young${va}`, false))

  const drop = (range: Range) => {
    for (const va of pagesOf(range)) at(pageTable, va).value = null
  }
  const age = (caller: string, va: number) =>
    underLock(lock, caller, [name, va], () => {
      const was = at(young, va).value
      at(young, va).value = false
      return was
    })
  const notifier = mmuNotifier(mm.subs, name, driver, {
    release: procedure(function* () {
      const first = yield* underLock(lock, "kvm_mmu_notifier_release", [name], () => {
        const begun = state.released
        state.released = true
        return !begun
      })
      if (once && !first) return
      yield* underLock(lock, "kvm_flush_shadow_all", [name], () => drop({ start: 0, end: mm.pages }))
    }),
    invalidateRangeStart: ({ start, end }: NotifierRange) =>
      underLock(lock, "kvm_mmu_notifier_invalidate_range_start", [name, start, end], () => {
        state.inProgress++
        drop({ start, end })
        return true
      }),
    invalidateRangeEnd: ({ start, end }: NotifierRange) =>
      underLock(lock, "kvm_mmu_notifier_invalidate_range_end", [name, start, end], () => {
        state.seq++
        state.inProgress--
      }),
    clearFlushYoung: (va) => age("kvm_mmu_notifier_clear_flush_young", va),
    clearYoung: (va) => age("kvm_mmu_notifier_clear_young", va),
    testYoung: (va) => underLock(lock, "kvm_mmu_notifier_test_young", [name, va], () => at(young, va).value),
    freeNotifier: () =>
      step("free_notifier", [name], () => {
        notifier.state.life = "freed"
      }),
  })
  return { name, mm, notifier, lock, state, pageTable, young }
}

/**
 * A device fault: maps the page that the process has there.
 *
 * @returns false when the process has nothing there, or is gone
 */
export const countingFault = procedure(function* (device: CountingDevice, va: number) {
  const { lock, mm, name, pageTable, state } = device
  const head = yield* enterLoop("kvm_mmu_fault")
  for (;;) {
    yield* head()
    if (!(yield* mmgetNotZero(mm))) return false
    const seq = yield* step("mmu_invalidate_seq", [name], () => state.seq)
    const page = yield* getUserPage(mm, va)
    let answer: "mapped" | "retry" | "fault" = "fault"
    if (page !== null) {
      answer = yield* underLock(lock, "mmu_invalidate_retry", [name, va, seq], () => {
        if (state.released) return "fault"
        if (state.inProgress > 0 || state.seq !== seq) return "retry"
        keep(lock)
        return "mapped"
      })
      if (answer === "mapped") {
        yield* step("device_map", [name, va], () => {
          at(pageTable, va).value = page
          at(device.young, va).value = true
        })
        yield* step("write_unlock(mmu_lock)", [name], () => release(lock))
      }
    }
    yield* mmput(mm)
    if (answer !== "retry") return answer === "mapped"
  }
})

/** Drops a page that the device maps, as who puts its notifier must have done. */
export const countingDrop = ({ lock, name, pageTable }: CountingDevice, va: number): Effect.Effect<void> =>
  underLock(lock, "device_unmap", [name, va], () => {
    at(pageTable, va).value = null
  })
