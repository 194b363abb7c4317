import type * as Effect from "effect/Effect"
import type { Cell, Setup } from "../../../checker/index.ts"
import { type CountingDevice, countingDevice } from "../../../model/driver/counting.ts"
import { type RefusingDevice, refusingDevice } from "../../../model/driver/refusing.ts"
import { type SecondaryTlbDevice, secondaryTlbDevice } from "../../../model/driver/secondaryTlb.ts"
import { type TwoPassDevice, twoPassDevice } from "../../../model/driver/twoPass.ts"
import type { Frame } from "../../../model/mm/folio.ts"
import type { Range } from "../../../model/mm/range.ts"
import { treeInsert } from "../../../model/notifier/interval.ts"
import { listAddHead } from "../../../model/notifier/mmuNotifier.ts"
import { type NotifiedMm, notifiedMm } from "../../../model/notifier/notifiedMm.ts"
import { forgetNumbers } from "../../../model/notifier/sequence.ts"
import { srcuDomain } from "../../../model/sync/srcu.ts"
import { names } from "../../define.ts"
import { type NotifierRecord, record } from "./record.ts"

/** Where a device has pages: its page table, or a TLB. */
export interface Table {
  readonly name: string
  readonly pageTable: ReadonlyArray<Cell<Frame | null>>
}

/** What there is, for those who say what happens with it. */
export interface Parts {
  readonly mm: NotifiedMm
  readonly counting: ReadonlyArray<CountingDevice>
  readonly refusing: ReadonlyArray<RefusingDevice>
  readonly twoPass: ReadonlyArray<TwoPassDevice>
  readonly secondaryTlb: ReadonlyArray<SecondaryTlbDevice>
}

/** What the properties and seeded bugs of today's mmu notifier see. */
export interface MmuNotifierWorld extends Parts {
  /** Those of all devices. */
  readonly tables: ReadonlyArray<Table>
  /** The names of all fibers. */
  readonly running: ReadonlyArray<string>
  readonly record: NotifierRecord
}

type Fibers = { readonly [name: string]: Effect.Effect<unknown, unknown> }

export interface Shape {
  readonly pages: number
  /** Who uses the address space from the beginning. */
  readonly users?: number
  /** Pages that nobody has yet. */
  readonly spare?: number
  readonly counting?: number
  readonly refusing?: number
  readonly twoPass?: number
  readonly secondaryTlb?: number
  /** What the interval subscriptions of refusing devices are to; without it, to all pages. */
  readonly watched?: Range
  /** Whether the interval subscriptions of devices are inserted before anything else happens. */
  readonly inserted?: boolean
  /** Whether counting devices all have one driver, whose notifier is got and put. */
  readonly oneDriver?: boolean
  /** Whether numbers of invalidations are forgotten, as where fibers may go on for ever. */
  readonly forgets?: boolean
  /** Whether a second release leaves the work to the first. */
  readonly releaseOnce?: boolean
  /** Whether the devices have registered before anything else happens. */
  readonly registered: boolean
  /** The names of all fibers; those that register, or unregister, first. */
  readonly subscribers: ReadonlyArray<string>
  readonly others: ReadonlyArray<string>
  readonly signals?: boolean
  readonly fibers: (parts: Parts) => Fibers
}

/** A process, devices that map what it maps, and what happens to them. */
export const mmuNotifierWorld = (shape: Shape): Setup<MmuNotifierWorld> => {
  const all = [...shape.subscribers, ...shape.others]
  const mm = notifiedMm("mm", shape.pages, shape.users ?? 1, srcuDomain("srcu", all), {
    signals: shape.signals ?? false,
    secondaryTlbs: (shape.secondaryTlb ?? 0) > 0,
    spare: shape.spare ?? 0,
  })
  if (shape.forgets === true) forgetNumbers(mm.subs.itree)
  const refusing = names("svm", shape.refusing ?? 0).map((name) => refusingDevice(mm, name, shape.watched))
  const counting = names("kvm", shape.counting ?? 0).map((name) =>
    countingDevice(mm, name, shape.oneDriver === true ? "kvm" : name, shape.releaseOnce),
  )
  const twoPass = names("gpu", shape.twoPass ?? 0).map((name) => twoPassDevice(mm, name))
  const secondaryTlb = names("smmu", shape.secondaryTlb ?? 0).map((name) => secondaryTlbDevice(mm, name))
  const tables = [
    ...refusing,
    ...counting,
    ...twoPass,
    ...[...twoPass, ...secondaryTlb].map(({ name, tlb }) => ({ name: `The TLB of ${name}`, pageTable: tlb })),
  ]
  for (const { iv } of shape.inserted === false ? [] : [...refusing, ...twoPass]) {
    mm.subs.state.published = true
    mm.subs.state.hasItree = true
    mm.state.count++
    treeInsert(mm.subs.itree, iv.name)
  }
  if (shape.registered) {
    // Who refuses comes last on the list: others have been told by then.
    for (const { notifier } of [...refusing, ...counting]) {
      mm.subs.state.published = true
      notifier.state.users = 1
      mm.state.count++
      listAddHead(mm.subs, notifier)
    }
  }
  const lives = record(
    mm,
    all,
    new Map(shape.subscribers.map((name) => [name, shape.registered ? "registered" : "new"])),
    new Map([...refusing, ...twoPass].map(({ iv, lock }) => [iv.name, lock])),
  )
  const parts: Parts = { mm, counting, refusing, twoPass, secondaryTlb }
  const fibers = shape.fibers(parts)
  return {
    world: { ...parts, tables, running: Object.keys(fibers), record: lives },
    fibers,
    monitors: [lives.monitor],
  }
}
