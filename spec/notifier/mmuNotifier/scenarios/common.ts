/** What the scenarios of today's mmu notifier have in common. */
import { countingFault } from "../../../../model/driver/counting.ts"
import { refusingFault } from "../../../../model/driver/refusing.ts"
import { madviseDontneed, type NotifiedMm, reclaim, truncate } from "../../../../model/notifier/notifiedMm.ts"
import { parameter, scenariosOf } from "../../../define.ts"
import { mmuNotifierProperties } from "../properties.ts"
import { mmuNotifierWorld, type Parts } from "../world.ts"

/** A scenario of today's mmu notifier. */
export const define = scenariosOf("notifier/mmu", mmuNotifierWorld, mmuNotifierProperties)

/** Each processor announces a range under another lock: that of the file, the area, the anonymous area. */
const invalidations = [truncate, madviseDontneed, reclaim] as const

export const invalidators = (mm: NotifiedMm, count: number) =>
  Object.fromEntries(
    invalidations.slice(0, count).map((call, cpu) => [`cpu${cpu}`, call(mm, { start: 0, end: mm.pages })] as const),
  )

export const cpus = (initial: number, min = 1) =>
  parameter("processors that take the pages away, once each", initial, 3, min)
export const pages = parameter("pages of the process", 1, 3)

/** Every device faults on a page of its own, as far as there are. */
export const faults = ({ mm, counting, refusing }: Parts) =>
  Object.fromEntries([
    ...counting.map((device, i) => [device.name, countingFault(device, i % mm.pages)] as const),
    ...refusing.map((device, i) => [device.name, refusingFault(device, i % mm.pages)] as const),
  ])
