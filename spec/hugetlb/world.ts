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
  readonly seen: Struct<Seen>
}

export type Seen = {
  /** What was stored last to the first page, and which CPU got a signal for its store; nothing yet is "". */
  stored: string
  killed: string
  /** The CPUs that have met a page that is still on the move, and one that has met it again. */
  met: ReadonlyArray<string>
  again: string
  /** How migration has found the page that it has unmapped everywhere: not yet, "unmapped", or "mapped" still. */
  walked: "" | "unmapped" | "mapped"
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
  const seen = struct<Seen>("seen", { stored: "", killed: "", met: [], again: "", walked: "" })
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
  return { world: { file, seen }, fibers, monitors: [monitor(file, seen)] }
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

const monitor = (file: HugeFile, seen: HugetlbWorld["seen"]): Monitor => ({
  user_store: ({ args: [, , content], result }) => {
    if (result === true) seen.stored = String(content)
  },
  hugetlb_no_page: ({ fiber, result }) => {
    if (result !== "migrating") seen.met = seen.met.filter((cpu) => cpu !== fiber)
    else if (seen.met.includes(fiber)) seen.again = fiber
    else seen.met = [...seen.met, fiber].sort()
  },
  i_mmap_unlock_write: ({ fiber }) => {
    const page = file.hugePages.slots.find(({ live, lock }) => live && lock === fiber)
    if (!fiber.startsWith("kcompactd") || page === undefined) return
    seen.walked = page.mapcount === 0 ? "unmapped" : "mapped"
  },
  // The migration is over, or the process has let go of the table in which it is met.
  remove_migration_pte: () => {
    seen.met = []
  },
  huge_pmd_unshare: ({ result }) => {
    if (result === true) seen.met = []
  },
})
