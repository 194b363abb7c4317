/**
 * A device whose faults are taken together: for a window of its addresses, with a request for each page. In the way of
 * nouveau before 5.9 (drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_svm_fault), which has the requests in `hmm_pfns`, and
 * of amdgpu (drivers/gpu/drm/amd/amdgpu/amdgpu_hmm.c: amdgpu_hmm_range_get_pages), which goes through a long range in
 * pieces. Like all such drivers it has no references to what HMM tells it of.
 */
import type * as Effect from "effect/Effect"
import { type Cell, cell, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { emptyEntry, type HmmEntry, type HmmRequest, type HmmWish, hmmRangeFaultArray } from "../hmm/rangeFault.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { folioOf } from "../mm/folio.ts"
import { mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import { mmuIntervalReadBegin, mmuIntervalReadRetry } from "../notifier/interval.ts"
import { mutexLock, mutexUnlock } from "../sync/mutex.ts"
import type { MirrorDevice } from "./mirror.ts"

/** A mirroring device, with its array. */
export interface WindowMirror extends MirrorDevice {
  readonly hmmPfns: ReadonlyArray<Cell<HmmEntry>>
  /** How many pages HMM is asked for at once (MAX_WALK_BYTE). */
  readonly chunk: number
}

/** Makes a device of a mirror. */
export const windowMirror = (mirror: MirrorDevice, chunk: number): WindowMirror => ({
  ...mirror,
  hmmPfns: mirror.mm.pte.map((_, va) => cell(`${mirror.name}.hmm_pfn${va}`, emptyEntry)),
  chunk,
})

/** What a window is wanted for. */
export interface WindowWish extends Pick<HmmWish, "defaultFlags" | "pfnFlagsMask" | "owner"> {
  readonly name: string
  /** What is asked of each page, by position. */
  readonly requests: ReadonlyArray<HmmRequest>
}

/**
 * Maps what can be had of the window, as it is wanted.
 *
 * @returns false when a page that was asked for cannot be had, or the process is gone
 */
export const windowFault = procedure(function* (device: WindowMirror, wish: WindowWish) {
  const { name, mm, iv, lock, hmmPfns } = device
  if (!(yield* mmgetNotZero(mm))) return false
  const head = yield* enterLoop("window_fault")
  let mapped = false
  for (;;) {
    yield* head()
    // HMM's answers are in the place of the requests: those are made anew for each try.
    yield* step("hmm_pfns: requests", [name, wish.name], () => fill(device, wish.requests))
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, iv)
    yield* mmapReadLock(mm)
    // One sequence for all pieces.
    const result = yield* inPieces(device, wish, seq)
    yield* mmapReadUnlock(mm)
    if (result === "-EBUSY") continue
    if (result !== 0) break

    yield* mutexLock(lock)
    const stale = yield* mmuIntervalReadRetry(iv, seq)
    if (!stale) yield* mapWindow(device)
    yield* mutexUnlock(lock)
    if (stale) continue
    mapped = true
    break
  }
  yield* step("kvfree(hmm_pfns)", [name], () => {
    for (const entry of hmmPfns) entry.value = emptyEntry
  })
  yield* mmput(mm)
  return mapped
})

/** Within a step. */
const fill = ({ iv, hmmPfns }: WindowMirror, requests: ReadonlyArray<HmmRequest>): void => {
  for (const [position, va] of pagesOf(iv.range).entries()) {
    const request = requests[position]
    at(hmmPfns, va).value = { ...emptyEntry, valid: request?.fault === true, write: request?.write === true }
  }
}

/** `amdgpu_hmm_range_get_pages`, its loop. */
const inPieces = procedure(function* (device: WindowMirror, wish: WindowWish, seq: number) {
  const { name, mm, iv, hmmPfns, chunk } = device
  for (let start = iv.range.start; start < iv.range.end; start += chunk) {
    const piece = { start, end: Math.min(start + chunk, iv.range.end) }
    const got = yield* hmmRangeFaultArray(mm, iv, seq, piece, { ...wish, hmmPfns })
    const result = yield* step("hmm_range_fault", [name, piece.start, piece.end], () => got)
    if (result !== 0) return result
  }
  return 0
})

/** What the device maps is what HMM has told, under the driver's lock, with the sequence asked. */
const mapWindow = procedure(function* (device: WindowMirror) {
  for (const va of pagesOf(device.iv.range)) yield* markAccessed(device, va)
  yield* step("device_map", [device.name, device.iv.range.start], () => repeat(device, device.iv.range))
})

/** `xe_mark_range_accessed`: what the device may store to is dirty. It has no reference: only here may it touch the page. */
const markAccessed = ({ name, mm, hmmPfns }: WindowMirror, va: number): Effect.Effect<void> =>
  step("set_page_dirty_lock", [name, va], () => {
    const { valid, write, page } = at(hmmPfns, va).value
    if (valid && write && page !== null) folioOf(mm.system.folios, page).dirty = true
  })

/** Within a step. */
const repeat = ({ pageTable, hmmPfns }: WindowMirror, range: Range): void => {
  for (const va of pagesOf(range)) {
    const { valid, write, page } = at(hmmPfns, va).value
    at(pageTable, va).value = valid ? { page, write } : null
  }
}
