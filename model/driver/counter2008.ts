/**
 * A driver of 2008 that counts invalidations under way and installs nothing while there are any, as GRU
 * (drivers/misc/sgi-gru) and KVM did: "to simply stop all references when any invalidate_range is in progress". It never
 * sleeps, and takes no reference to a page. Beside the count it has a sequence, without which an invalidation that
 * begins and ends between look-up and installation goes unseen.
 */
import { enterLoop, guardedStep, procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import { dropUser, getUserPages, isGone, type Machine } from "../notifier/2008/machine.ts"
import { freeNotifier, mmuNotifier, mmuNotifierUnregister } from "../notifier/2008/mmuNotifier.ts"
import { keep, release, type SpinLock, spinLock, underLock } from "../sync/spinlock.ts"
import { dropEntry, type ExternalMapper, externalMapper, setEntry, wholeOf } from "./external2008.ts"

/** The device. */
export interface CounterDevice extends ExternalMapper {
  /** Taken in callbacks, under the page table's lock too. */
  readonly lock: SpinLock
  /** `ms_range_active`, and how many invalidations there have been. */
  readonly state: Struct<{ rangeActive: number; seq: number }>
}

/** Makes a device, and its notifier, not registered. */
export const counterDevice = (machine: Machine, name: string): CounterDevice => {
  const device: CounterDevice = {
    ...externalMapper(machine, name),
    lock: spinLock(`${name}.lock`),
    state: struct(name, { rangeActive: 0, seq: 0 }),
  }
  const drop = (range: Range) => {
    device.state.seq++
    for (const va of pagesOf(range)) dropEntry(device, va)
  }
  mmuNotifier(machine, name, {
    release: underLock(device.lock, "gru_release", [name], () => drop(wholeOf(device))),
    agePage: (va) =>
      underLock(device.lock, "gru_age_page", [name, va], () => {
        const entry = at(device.pageTable, va)
        const young = entry.value?.young === true
        if (entry.value !== null) entry.value = { ...entry.value, young: false }
        return young
      }),
    invalidatePage: (va) =>
      underLock(device.lock, "gru_invalidate_page", [name, va], () => drop({ start: va, end: va + 1 })),
    invalidateRangeBegin: (range) =>
      underLock(device.lock, "gru_invalidate_range_begin", [name, range.start, range.end], () => {
        device.state.rangeActive++
        drop(range)
      }),
    invalidateRangeEnd: (range) =>
      underLock(device.lock, "gru_invalidate_range_end", [name, range.start, range.end], () => {
        device.state.rangeActive--
      }),
  })
  return device
}

/** A fault of the device. False when the process has nothing there. */
export const counterFault = procedure(function* (device: CounterDevice, va: number, write: boolean) {
  const { name, machine, lock, state } = device
  const head = yield* enterLoop("gru_fault")
  for (;;) {
    yield* head()
    const seq = yield* guardedStep(
      "gru_fault: wait_event",
      [name],
      () => state.rangeActive === 0 || isGone(machine.mm),
      () => state.seq,
    )
    const frame = yield* getUserPages(machine, va, write, false)
    if (typeof frame === "string") return false
    const retry = yield* underLock(lock, "gru_fault: retry", [name, va], () => {
      keep(lock)
      return state.rangeActive !== 0 || state.seq !== seq
    })
    if (!retry) {
      yield* step("device_map", [name, va], () => {
        setEntry(device, va, frame, write)
        release(lock)
        dropUser(machine)
      })
      return true
    }
    yield* step("gru_fault: spin_unlock", [name], () => {
      release(lock)
      dropUser(machine)
    })
  }
})

/** The end of the device's use of the process: it lets go of everything, and asks to be told of nothing any more. */
export const counterDetach = procedure(function* (device: CounterDevice) {
  const { name, machine, lock } = device
  yield* underLock(lock, "gru_detach", [name], () => {
    for (const va of pagesOf(wholeOf(device))) dropEntry(device, va)
  })
  yield* mmuNotifierUnregister(machine, name)
  yield* freeNotifier(machine, name)
})
