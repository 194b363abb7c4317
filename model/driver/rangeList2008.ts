/**
 * A driver of 2008 that remembers the ranges under invalidation, as XPMEM did, which maps the memory of a process into
 * other partitions of the machine. To take a mapping back it asks the other partition and sleeps until that answers; so
 * it watches single pages by the rmap notifier, not by invalidate_page, which may not sleep.
 */
import type * as Effect from "effect/Effect"
import {
  choose,
  enterLoop,
  fork,
  guardedStep,
  procedure,
  type Struct,
  self,
  step,
  struct,
} from "../../checker/program/index.ts"
import { type Frame, folioOf } from "../mm/folio.ts"
import { at, type Range } from "../mm/range.ts"
import { sleep, wake } from "../notifier/2008/list.ts"
import { dropUser, getUserPages, isGone, lockPage, type Machine, mappedFor, putPage } from "../notifier/2008/machine.ts"
import { freeNotifier, mmuNotifier, mmuNotifierUnregister } from "../notifier/2008/mmuNotifier.ts"
import {
  mmuRmapExportPage,
  mmuRmapNotifierRegister,
  mmuRmapNotifierUnregister,
  type RmapCaller,
} from "../notifier/2008/rmapNotifier.ts"
import { keep, release, type SpinLock, spinLock, underLock } from "../sync/spinlock.ts"
import { dropEntry, type ExternalMapper, externalMapper, mappedIn, setEntry, wholeOf } from "./external2008.ts"

/** The device: the other partitions, taken together. */
export interface RangeListDevice extends ExternalMapper {
  readonly lock: SpinLock
  readonly state: Struct<{
    /** The ranges under invalidation, oldest first. */
    ranges: ReadonlyArray<Range>
    /** How many invalidations there have been. */
    seq: number
    /** Pages that a work item has yet to take back, each with a reference: those dropped where sleeping is forbidden. */
    deferred: ReadonlyArray<Frame>
  }>
}

/** What its rmap notifier is called. */
const rmapNameOf = (name: string) => `${name}-rmap`

const inside = (range: Range, va: number) => range.start <= va && va < range.end

/** Makes a device, its rmap notifier registered, its mmu notifier not. */
export const rangeListDevice = (machine: Machine, name: string): RangeListDevice => {
  const ranges: ReadonlyArray<Range> = []
  const deferred: ReadonlyArray<Frame> = []
  const device: RangeListDevice = {
    ...externalMapper(machine, name),
    lock: spinLock(`${name}.lock`),
    state: struct(name, { ranges, seq: 0, deferred }),
  }
  const { state, lock } = device
  mmuNotifier(machine, name, {
    release: underLock(lock, "xpmem_release", [name], () => {
      state.seq++
      for (const va of mappedIn(device, wholeOf(device))) dropEntry(device, va)
    }),
    invalidateRangeBegin: (range, atomic) => beginRange(device, range, atomic),
    invalidateRangeEnd: ({ start, end }) =>
      underLock(lock, "xpmem_invalidate_range_end", [name, start, end], () => {
        const position = state.ranges.findIndex((range) => range.start === start && range.end === end)
        state.ranges = state.ranges.filter((_, other) => other !== position)
      }),
  })
  mmuRmapNotifierRegister(machine, rmapNameOf(name), (frame, by) => recallPage(device, frame, by))
  return device
}

/** Begins to ask the other partition for a range, and sleeps if there is anything to ask for. Within a step. */
export const recallRange = (device: RangeListDevice, range: Range): "nothing" | "asked" => {
  device.state.seq++
  device.state.ranges = [...device.state.ranges, range]
  if (mappedIn(device, range).length === 0) return "nothing"
  sleep(device.machine)
  return "asked"
}

/** What cannot be asked for now is kept alive and asked for by a work item. Within a step. */
const deferRange = (device: RangeListDevice, range: Range): "nothing" | "deferred" => {
  const { state, machine, pageTable } = device
  state.seq++
  state.ranges = [...state.ranges, range]
  const mapped = mappedIn(device, range)
  for (const va of mapped) {
    const entry = at(pageTable, va).value
    if (entry === null) continue
    folioOf(machine.folios, entry.page).refcount++
    state.deferred = [...state.deferred, entry.page]
    dropEntry(device, va)
  }
  return mapped.length === 0 ? "nothing" : "deferred"
}

/** `invalidate_range_begin` */
const beginRange = procedure(function* (device: RangeListDevice, range: Range, atomic: boolean) {
  const { name, lock } = device
  const args = [name, range.start, range.end, atomic ? "atomic" : "may sleep"]
  const found = yield* underLock(lock, "xpmem_invalidate_range_begin", args, () =>
    atomic ? deferRange(device, range) : recallRange(device, range),
  )
  if (found === "deferred") yield* fork(`${name}-work`, takeBackDeferred(device))
  if (found !== "asked") return
  yield* underLock(lock, "xpmem_clear_range", [name, range.start, range.end], () => {
    for (const va of mappedIn(device, range)) dropEntry(device, va)
    wake(device.machine)
  })
})

/** The work item. */
const takeBackDeferred = ({ name, machine, state, lock }: RangeListDevice): Effect.Effect<void> =>
  underLock(lock, "xpmem_clear_deferred", [name], () => {
    for (const frame of state.deferred) putPage(machine, frame)
    state.deferred = []
  })

/** `invalidate_page` of the rmap notifier: the page is locked, so that nobody exports it anew meanwhile. */
const recallPage = procedure(function* (device: RangeListDevice, frame: Frame, by: RmapCaller) {
  const { name, lock, machine, state } = device
  const places = () =>
    mappedIn(device, wholeOf(device)).filter((va) => at(device.pageTable, va).value?.page.pfn === frame.pfn)
  const asked = yield* underLock(lock, "xpmem_recall_page", [name, frame.pfn], () => {
    state.seq++
    if (places().length === 0) return false
    sleep(machine)
    return true
  })
  if (!asked) return true
  const answer = by === "page_mkclean" ? "gives back" : yield* choose("partition", ["gives back", "does not answer"])
  return yield* underLock(lock, "xpmem_clear_page", [name, frame.pfn, by], () => {
    wake(machine)
    if (answer !== "gives back") return false
    for (const va of places()) dropEntry(device, va)
    return true
  })
})

/**
 * A fault of the other partition. The page is exported under its lock; what was looked up before that is looked up once
 * more, as a write-protection in between asked nobody. False when the process has nothing there.
 */
export const rangeListFault = procedure(function* (device: RangeListDevice, va: number, write: boolean) {
  const { name, machine, lock, state } = device
  const head = yield* enterLoop("xpmem_fault")
  for (;;) {
    yield* head()
    const seq = yield* guardedStep(
      "xpmem_fault: wait_event",
      [name, va],
      () => isGone(machine.mm) || !state.ranges.some((range) => inside(range, va)),
      () => state.seq,
    )
    const frame = yield* getUserPages(machine, va, write, true)
    if (typeof frame === "string") return false
    yield* lockPage(machine, frame)
    yield* mmuRmapExportPage(machine, frame)
    const still = yield* underLock(machine.mm.ptl, "follow_page", [va], () => {
      const mapped = mappedFor(machine, va, write)
      return mapped?.pfn === frame.pfn && mapped.generation === frame.generation
    })
    const retry =
      !still ||
      (yield* underLock(lock, "xpmem_fault: retry", [name, va], () => {
        keep(lock)
        return state.seq !== seq || state.ranges.some((range) => inside(range, va))
      }))
    if (!retry) {
      yield* step("device_map", [name, va], () => {
        setEntry(device, va, frame, write)
        release(lock)
      })
    }
    yield* step("unlock_page", [frame.pfn], () => {
      if (lock.state.holder === self()) release(lock)
      folioOf(machine.folios, frame).lock = ""
      putPage(machine, frame)
      dropUser(machine)
    })
    if (!retry) return true
  }
})

/** The end of the device's use of the process: it lets go of everything, and asks to be told of nothing any more. */
export const rangeListDetach = procedure(function* (device: RangeListDevice) {
  const { name, machine, lock } = device
  yield* underLock(lock, "xpmem_detach", [name], () => {
    for (const va of mappedIn(device, wholeOf(device))) dropEntry(device, va)
  })
  yield* mmuRmapNotifierUnregister(machine, rmapNameOf(name))
  yield* freeNotifier(machine, rmapNameOf(name))
  yield* mmuNotifierUnregister(machine, name)
  yield* freeNotifier(machine, name)
})
