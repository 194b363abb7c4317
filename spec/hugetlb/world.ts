/** Two processes that share the page table of a file of huge pages, and what can happen to it. */
import * as Effect from "effect/Effect"
import { choose, type Monitor, type Setup, type Struct, step, struct } from "../../checker/index.ts"
import { zeroes } from "../../model/mm/folio.ts"
import { type HugeFile, type HugeMm, type HugeTlb, hugeFile, hugeMm } from "../../model/mm/hugetlbPmdSharing.ts"
import {
  hugeMunmap,
  hugeStore,
  hugetlbfsPunchHole,
  migrateHugePage,
  mirrorHugePage,
} from "../../model/mm/hugetlbUnmap.ts"

/** What the properties and seeded bugs of huge pages see. */
export interface HugetlbWorld {
  readonly file: HugeFile
  /** What was stored last to the first page, and which CPU got a signal for its store; nothing yet is "". */
  readonly seen: Struct<{ stored: string; killed: string }>
}

export interface Shape {
  readonly pages: number
  /** How often a thread of the first process, and of the second, stores to the first page. */
  readonly stores: readonly [first: number, second: number]
  readonly migrates: boolean
  /** Whether the first process unmaps the file. */
  readonly unmaps: boolean
  /** Whether the second does, or a hole is punched. */
  readonly takesAway: boolean
  /** Whether the file is a hole, which faults fill, at the beginning. */
  readonly hole: boolean
  /** Whether a device mirrors the first process. */
  readonly mirrors: boolean
}

/** Makes them. */
export const hugetlbWorld = (shape: Shape): Setup<HugetlbWorld> => {
  const file = hugeFile(shape.pages, { parent: ["cpu0"], child: ["cpu1"] }, shape.hole ? zeroes : "old", shape.hole)
  const [parent, child] = [hugeMm(file, "parent"), hugeMm(file, "child")]
  const seen = struct("seen", { stored: "", killed: "" })
  const stores = Effect.fnUntraced(function* (mm: HugeMm, cpu: string, count: number) {
    for (let i = 1; i <= count; i++) {
      const stored = yield* hugeStore(file, mm, tlbOf(mm, cpu), 0, `${cpu} ${i}`)
      if (!stored && shape.hole) yield* sigbus(seen, cpu)
    }
  })
  const [first, second] = shape.stores
  const fibers: Record<string, Effect.Effect<unknown, unknown>> = {
    ...(first > 0 ? { cpu0: stores(parent, "cpu0", first) } : {}),
    ...(second > 0 ? { cpu1: stores(child, "cpu1", second) } : {}),
    ...(shape.takesAway ? { cpu2: takesAway(file, child) } : {}),
    ...(shape.migrates ? { kcompactd0: migrateHugePage(file, 0) } : {}),
    ...(shape.unmaps ? { munmap0: hugeMunmap(file, parent) } : {}),
    ...(shape.mirrors ? { gpu0: mirrorHugePage(file, parent, shape.pages - 1) } : {}),
  }
  return { world: { file, seen }, fibers, monitors: [monitor(seen)] }
}

const sigbus = (seen: HugetlbWorld["seen"], cpu: string) =>
  step("SIGBUS", [cpu], () => {
    seen.killed = cpu
  })

const takesAway = Effect.fnUntraced(function* (file: HugeFile, mm: HugeMm) {
  const how = yield* choose("syscall", ["munmap", "fallocate(FALLOC_FL_PUNCH_HOLE)"])
  if (how === "munmap") yield* hugeMunmap(file, mm)
  else yield* hugetlbfsPunchHole(file, 0)
})

const tlbOf = ({ name, tlbs }: HugeMm, cpu: string): HugeTlb => {
  const tlb = tlbs.get(cpu)
  if (tlb === undefined) throw new RangeError(`${cpu} does not run ${name}`)
  return tlb
}

const monitor = (seen: HugetlbWorld["seen"]): Monitor => ({
  user_store: ({ args: [, , content], result }) => {
    if (result === true) seen.stored = String(content)
  },
})
