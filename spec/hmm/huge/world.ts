/** A device that maps a huge page in one piece, and threads of the process that split it, or take it away whole. */
import * as Effect from "effect/Effect"
import { choose, type Monitor, type Setup, type Struct, struct } from "../../../checker/index.ts"
import { type HugeMirror, hugeAccess, hugeMirror } from "../../../model/driver/hugeMirror.ts"
import { iommu } from "../../../model/hmm/iommu.ts"
import { dupMmap } from "../../../model/mm/fork.ts"
import { changeHugePmdNuma } from "../../../model/mm/hugePmd.ts"
import { type HugePmd, hugePmd, splitHugePmd, zapHugePmd } from "../../../model/mm/hugeSplit.ts"
import { madvise } from "../../../model/mm/madvise.ts"
import { type Mm, mmapReadLock, mmapReadUnlock } from "../../../model/mm/mm.ts"
import { treeInsert } from "../../../model/notifier/interval.ts"
import { names } from "../../define.ts"
import { type Process, processOf } from "../../driver/calls.ts"
import { intervalSteps, recordWindows, type Windows } from "../../driver/windows.ts"

/** What the properties and seeded bugs see. */
export interface HugeWorld {
  readonly mm: Mm
  readonly pmd: HugePmd
  readonly device: HugeMirror
  readonly windows: Windows
  readonly record: Struct<{
    /** Whether HMM has told of a huge page where there was none. */
    wrong: boolean
  }>
}

export const deviceName = "gpu0"

export const hugeWorld = (cpus: number, write: boolean): Setup<HugeWorld> => {
  const threads = names("cpu", cpus)
  const process = processOf({ pages: 2, cpus: threads, users: cpus === 0 ? 1 : 0, spare: 4 })
  const { mm } = process
  const pmd = hugePmd(mm, { start: 0, end: 2 })
  const device = hugeMirror(pmd, deviceName, iommu(mm.system.folios, "iommu", 2))
  treeInsert(mm.subscriptions, deviceName)
  const fibers = {
    ...Object.fromEntries(threads.map((cpu, position) => [cpu, thread(process, pmd, position)] as const)),
    [deviceName]: hugeAccess(device, 1, write ? deviceName : undefined),
  }
  const { windows, monitor } = recordWindows(Object.keys(fibers), intervalSteps)
  const record: HugeWorld["record"] = struct("huge", { wrong: false })
  const told: Monitor = {
    hmm_vma_walk_pmd: ({ result }) => {
      if (typeof result === "object" && !pmd.huge.value) record.wrong = true
    },
  }
  return { world: { mm, pmd, device, windows, record }, fibers, monitors: [monitor, told] }
}

const second = { start: 1, end: 2 }

const thread = Effect.fnUntraced(function* ({ mm, child }: Process, pmd: HugePmd, position: number) {
  const calls = ["MADV_DONTNEED of the second page", "MADV_DONTNEED of all", "NUMA hint"] as const
  const call = yield* choose("syscall", position === 0 ? [...calls, "fork"] : calls)
  if (call === "NUMA hint") return yield* changeHugePmdNuma(mm, pmd.range)
  if (call === "fork") return yield* Effect.ignore(dupMmap(mm, child))
  if (call === "MADV_DONTNEED of all") return yield* zapHugePmd(pmd)
  // zap_pmd_range does it inside the window of the call; the order of the two is that of munmap (vma_adjust_trans_huge).
  yield* mmapReadLock(mm)
  yield* splitHugePmd(pmd)
  yield* mmapReadUnlock(mm)
  yield* Effect.ignore(madvise(mm, second, "MADV_DONTNEED"))
})
