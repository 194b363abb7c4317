/** Snapshots by the driver of the self tests (lib/test_hmm.c: dmirror_snapshot): what a process's page table has. */
import { type Cell, cell, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { pgmapOf } from "../deviceMemory/pgmap.ts"
import { type HmmOutput, hmmRangeSnapshot } from "../hmm/rangeFault.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import {
  type IntervalSubscription,
  mmuIntervalNotifierInsert,
  mmuIntervalNotifierRemove,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
} from "../notifier/interval.ts"
import { mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { type Dmirror, type DmirrorCmd, dmirrorCmd, subscription } from "./testHmm.ts"

/** Where a page is: HMM_DMIRROR_PROT_ZERO and _DEV_...; in system memory nothing is said. */
type Whereabouts =
  | ""
  | "ZERO|"
  | "DEV_PRIVATE_LOCAL|"
  | "DEV_PRIVATE_REMOTE|"
  | "DEV_COHERENT_LOCAL|"
  | "DEV_COHERENT_REMOTE|"

/** What userspace is told of a page: HMM_DMIRROR_PROT_... */
export type DmirrorProt = "ERROR" | "NONE" | `${Whereabouts}${"READ" | "WRITE"}${"" | "|PMD"}`

/** What a snapshot says when it is done, page by page. */
export interface SnapshotCmd extends DmirrorCmd {
  readonly perm: ReadonlyArray<DmirrorProt>
}

/** `dmirror_mkentry`. Within a step. */
const dmirrorMkentry = ({ mm, mdevice }: Dmirror, entry: HmmOutput): DmirrorProt => {
  if (entry === "error") return "ERROR"
  if (entry === "none") return "NONE"
  const access = `${entry.write ? "WRITE" : "READ"}${entry.order === undefined ? "" : "|PMD"}` as const
  if (entry.page === null) return `ZERO|${access}`
  const pgmap = pgmapOf(mm.system.folios, entry.page)
  if (pgmap === undefined) return access
  const kind = pgmap.type === "private" ? "DEV_PRIVATE" : "DEV_COHERENT"
  return `${kind}_${pgmap === mdevice.memory ? "LOCAL" : "REMOTE"}|${access}`
}

/** A snapshot of a range, with its subscription and what it says (`perm`), page by page; both are on the stack. */
export interface Snapshot {
  readonly dmirror: Dmirror
  readonly range: Range
  readonly notifier: IntervalSubscription
  readonly perm: ReadonlyArray<Cell<HmmOutput | null>>
}

/** Makes a snapshot that is not taken yet; more than one of a file need names. */
export const snapshotOf = (dmirror: Dmirror, range: Range, name = `${dmirror.name}.snapshot`): Snapshot => {
  return {
    dmirror,
    range,
    notifier: subscription(dmirror, name, range, { clears: false }),
    perm: dmirror.mm.pte.map((_, va) => cell<HmmOutput | null>(`${name}.perm${va}`, null)),
  }
}

/** `dmirror_snapshot`: what the page table has. True of the time at which the mutex was held. */
export const dmirrorSnapshot = procedure(function* ({ dmirror, range, notifier, perm }: Snapshot) {
  const { name, mm, mdevice, mutex: lock } = dmirror
  if (!(yield* mmgetNotZero(mm))) return { ...dmirrorCmd("-EINVAL"), perm: [] } satisfies SnapshotCmd
  const said: Array<DmirrorProt> = []
  yield* mmuIntervalNotifierInsert(mm.subscriptions, notifier)
  const head = yield* enterLoop("dmirror_range_snapshot")
  for (;;) {
    yield* head()
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, notifier)
    yield* mmapReadLock(mm)
    const found = yield* hmmRangeSnapshot(mm, notifier, seq, range, mdevice.memory.owner)
    yield* mmapReadUnlock(mm)
    if (found === "-EBUSY") continue
    yield* mutexLock(lock)
    if (yield* mmuIntervalReadRetry(notifier, seq)) {
      yield* mutexUnlock(lock)
      continue
    }
    for (const [position, va] of pagesOf(range).entries()) {
      const prot = yield* step("dmirror_mkentry", [name, va], () => {
        const entry = found[position] ?? "none"
        at(perm, va).value = entry
        return dmirrorMkentry(dmirror, entry)
      })
      said.push(prot)
    }
    yield* mutexUnlock(lock)
    break
  }
  yield* mmuIntervalNotifierRemove(mm.subscriptions, notifier)
  yield* step("copy_to_user", [name], () => {
    for (const entry of perm) entry.value = null
  })
  yield* mmput(mm)
  return { ...dmirrorCmd("0"), cpages: said.length, perm: said } satisfies SnapshotCmd
})
