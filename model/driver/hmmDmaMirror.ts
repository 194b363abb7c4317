/** A driver on the HMM of Linux 5.3 (hmmMirror.ts) whose device goes by DMA addresses, as `hmm_range_dma_map` was meant for. */
import type * as Effect from "effect/Effect"
import { cell, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { hmmRangeDmaMap, hmmRangeDmaUnmap, type RangeDma, rangeDma } from "../hmm/dmaMap2019.ts"
import type { Iommu } from "../hmm/iommu.ts"
import {
  type HmmOfMm,
  hmmMirror,
  hmmRange,
  hmmRangeRegister,
  hmmRangeUnregister,
  hmmRangeValid,
  hmmRangeWaitUntilValid,
} from "../hmm/mirror2019.ts"
import type { Frame } from "../mm/folio.ts"
import { at, overlaps, pagesOf, type Range } from "../mm/range.ts"
import { mutex, mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { downRead, upRead } from "../sync/rwsem.ts"
import { type HmmMirrorDevice, mirrorOps } from "./hmmMirror.ts"

/** The driver's state: what the device's page table has are the pages behind its addresses. */
export interface HmmDmaMirror extends HmmMirrorDevice {
  readonly dma: RangeDma
}

/** Makes a device that maps nothing and has not registered. */
export const hmmDmaMirror = (
  of: HmmOfMm,
  name: string,
  mirrored: Range,
  iommu: Iommu,
  mayFail: boolean,
): HmmDmaMirror => {
  const update = mutex(`${name}.update`, "driver_lock")
  const pageTable = of.mm.pte.map((_, va) => cell<Frame | null>(`${name}.pte${va}`, null))
  const drop = procedure(function* (range: Range) {
    const dropped = yield* deviceUnmap(name, pageTable, range)
    yield* hmmRangeDmaUnmap(dma, dropped, true)
  })
  const mirror = hmmMirror(of, name, mirrorOps(of, name, update, drop))
  const dma = rangeDma(hmmRange(mirror, `${name}.range`, mirrored), iommu, mayFail)
  return { name, mirror, range: dma.range, update, pageTable, dma }
}

/** Drops the device's translations of a range, and says of which pages it had any. */
const deviceUnmap = (
  name: string,
  pageTable: HmmDmaMirror["pageTable"],
  range: Range,
): Effect.Effect<ReadonlyArray<number>> =>
  step("device_unmap", [name, range.start, range.end], () => {
    const mapped = pageTable.flatMap(({ value }, va) =>
      value !== null && overlaps(range, { start: va, end: va + 1 }) ? [va] : [],
    )
    for (const va of mapped) at(pageTable, va).value = null
    return mapped
  })

/**
 * A device fault. What was mapped for nothing is unmapped, and no word said of its pages, which may be somebody else's.
 *
 * @returns false when the process has nothing there, or the IOMMU no memory, or the process is exiting
 */
export const hmmDmaMirrorFault = procedure(function* (device: HmmDmaMirror, block: boolean) {
  const { mirror, name, pageTable, range, update, dma } = device
  const { mm } = mirror.of
  if (!(yield* hmmRangeRegister(range))) return false
  let mapped = false
  const head = yield* enterLoop("driver_populate_range")
  for (;;) {
    yield* head()
    const seq = yield* hmmRangeWaitUntilValid(range)
    yield* downRead(mm.mmapLock, "mmap_read_lock", [mm.name])
    const result = yield* hmmRangeDmaMap(dma, block)
    if (result === "-EAGAIN") continue
    if (typeof result === "string") {
      yield* upRead(mm.mmapLock, "mmap_read_unlock", [mm.name])
      if (result === "-EFAULT") break
      continue
    }
    yield* mutexLock(update)
    mapped = yield* hmmRangeValid(range, seq)
    if (mapped) {
      for (const va of pagesOf(range)) {
        yield* step("device_map", [name, va], () => {
          at(pageTable, va).value = at(dma.pfns, va).value
        })
      }
    } else yield* hmmRangeDmaUnmap(dma, pagesOf(range), false)
    yield* mutexUnlock(update)
    yield* upRead(mm.mmapLock, "mmap_read_unlock", [mm.name])
    if (mapped) break
  }
  yield* hmmRangeUnregister(range)
  return mapped
})
