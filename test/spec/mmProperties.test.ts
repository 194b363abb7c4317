/** Every property of the memory-management core can be broken: a step of one scenario does some harm, and it is noticed. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  changeBody,
  explore,
  guardedStep,
  leaveOut,
  protocol,
  type Replacement,
  type SeededBug,
  self,
  strategies,
} from "../../checker/index.ts"
import { type Folio, type FolioState, folioOf } from "../../model/mm/folio.ts"
import type { Present, Pte } from "../../model/mm/pte.ts"
import { memoryManagement } from "../../spec/mm/index.ts"
import { pairs } from "../../spec/mm/pairs.ts"
import { mmProperties } from "../../spec/mm/properties.ts"
import type { MmWorld } from "../../spec/mm/world.ts"

/** The step does what it does, and harm besides. */
const also =
  (harm: (world: MmWorld) => unknown) =>
  (world: MmWorld): Replacement =>
    changeBody(({ body }) => {
      const result = body()
      harm(world)
      return result
    })

/** The step does nothing and returns true. */
const approves = (): Replacement => changeBody(() => true)

/** Harm to a page that the parent maps, where it maps one. */
const page = (harm: (folio: Folio, pte: Present, world: MmWorld) => unknown) =>
  also((world) => {
    const pte = world.parent.pte[0]?.value
    if (pte?.kind === "present") harm(folioOf(world.folios, pte.page), pte, world)
  })

const folio = (harm: Partial<FolioState>) => page((one) => Object.assign(one, harm))

/** Harm to the entry of the parent's page. */
const entry = (change: (pte: Present) => Pte) =>
  page((_, pte, { parent }) => Object.assign(parent.pte[0] ?? {}, { value: change(pte) }))

const other = { pfn: 5, generation: 0 }

type Harm = readonly [
  property: string,
  cell: string,
  step: string,
  harm: (world: MmWorld) => Replacement,
  devices: number,
]

const harms: ReadonlyArray<Harm> = [
  [
    "COW-AE-SINGLE",
    "load+load",
    "user_load",
    page((_, pte, { child }) => Object.assign(child.pte[0] ?? {}, { value: pte })),
    0,
  ],
  ["COW-WRITABLE-AE", "load+load", "user_load", folio({ anonExclusive: false }), 0],
  ["COW-PIN-AE", "load+pin-fast-write", "dma_write", folio({ anonExclusive: false }), 0],
  ["COW-CONTENT-BEFORE-MAP", "store+store", "wp_page_copy: set_pte_at", folio({ content: "nobody's" }), 0],
  ["COW-NO-REPLACE-UNSEEN", "load+load", "user_load", entry((pte) => ({ ...pte, page: other })), 0],
  ["COW-UPGRADE-SAME", "load+load", "user_load", entry((pte) => ({ ...pte, access: "none" })), 1],
  [
    "COW-ZERO-RO",
    "load+load",
    "user_load",
    also(({ parent }) => {
      for (const cache of parent.tlbs.values())
        for (const cell of cache) cell.value = { page: null, write: true, dirty: false }
    }),
    0,
  ],
  [
    "EXIT-NO-DPTE",
    "exit+child-exit",
    "exit_mmap",
    also(({ devices }) => {
      for (const { pageTable } of devices) for (const cell of pageTable) cell.value = { page: other, write: false }
    }),
    1,
  ],
  ["FORK-GUPFAST", "pin-fast-write+fork", "gup_fast: read_seqcount_retry", approves, 0],
  ["FORK-NO-W-SHARED", "load+load", "user_load", folio({ mapcount: 2 }), 0],
  [
    "FORK-PIN-COPIED",
    "load+pin-fast-write",
    "dma_write",
    page((_, pte, { child }) => Object.assign(child.pte[0] ?? {}, { value: pte })),
    0,
  ],
  ["FREE-IFF-ZERO", "load+load", "user_load", folio({ refcount: 0 }), 0],
  [
    "GUP-FAIL-CLEAN",
    "load+pin-fast-write",
    "unpin_user_page",
    page((folio) => {
      folio.pincount++
    }),
    0,
  ],
  [
    "GUP-HASPINNED-FIRST",
    "load+pin-fast-write",
    "gup_fast: local_irq_save",
    also(({ parent }) => Object.assign(parent.state, { hasPinned: false })),
    0,
  ],
  ["GUP-LT-FILE", "load+pin-longterm", "dma_map_page (long-term)", folio({ mapping: "file" }), 0],
  ["MEMCG-BALANCE", "load+load", "user_load", also(({ folios }) => Object.assign(folios.charged, { parent: 9 })), 0],
  [
    "MIG-ENTRY-LOCKED",
    "load+migrate",
    "try_to_migrate_one: set_migration_pte",
    also(({ folios }) => {
      for (const folio of folios.arena.slots) folio.lock = ""
    }),
    0,
  ],
  ["MIG-EXACT-REF", "get-read+migrate", "migrate_folio_move and folio_migrate_mapping", approves, 0],
  [
    "MIG-RESTORE",
    "load+migrate",
    "remove_migration_pte",
    entry(({ page, dirty, young }) => ({ kind: "migration", page, mode: "read", dirty, young })),
    0,
  ],
  ["MIG-SPECULATIVE-HARMLESS", "pin-fast-write+migrate", "gup_fast_pte_range: recheck", approves, 0],
  [
    "MOVE-ATOMIC",
    "mremap+mremap",
    "move_ptes",
    also(({ parent: { pte } }) => {
      const [old, moved] = pte
      if (old !== undefined && moved !== undefined) old.value = moved.value
    }),
    0,
  ],
  [
    "MOVE-OLD-ONLY",
    "mremap+mremap",
    "copy_vma",
    also(({ parent: { pte } }) => {
      const [old, moved] = pte
      if (old !== undefined && moved !== undefined) moved.value = old.value
    }),
    0,
  ],
  [
    "NO-LEAK",
    "load+load",
    "user_load",
    page((folio) => {
      folio.refcount++
    }),
    0,
  ],
  [
    "OOM-UNSTABLE",
    "load+oom-reap",
    "user_load",
    also((world) => {
      const cell = world.parent.pte[0]
      if (world.parent.state.unstable && cell?.value === null) cell.value = { kind: "zero", access: "read" }
    }),
    0,
  ],
  [
    "OOM-NONBLOCK",
    "load+oom-reap",
    "mn_itree_inv_start_range",
    () => (original, operation) =>
      operation.kind === "step" && operation.args[4] === "__oom_reap_task_mm"
        ? guardedStep(operation.name, operation.args.slice(0, 5), () => true, operation.body)
        : original,
    1,
  ],
  ["PROT-LAZY-WINDOW", "mprotect+collapse", "change_pmd_range", approves, 1],
  ["IOTLB-UNBOUND", "exit+sva-store", "arm_smmu_mm_release", () => leaveOut(), 0],
  ["PROT-AREAS", "mprotect+collapse", "vma_set_page_prot", () => leaveOut(), 0],
  ["RECLAIM-FREEZE", "load+pin-fast-write", "user_load", page((one) => Object.assign(one, { live: false })), 0],
  [
    "RECLAIM-SWAP-AE",
    "load+load",
    "user_load",
    also(({ system }) => {
      for (const slot of system.swap.slots) slot.count++
    }),
    0,
  ],
  ["REF-GE-MAP", "load+load", "user_load", folio({ mapcount: 9 }), 0],
  ["RMAP-COUNT", "load+load", "user_load", folio({ mapcount: 0 }), 0],
  ["RSS-BALANCE", "load+load", "user_load", also(({ parent }) => Object.assign(parent.rss, { file: 9 })), 0],
  ["TLB-COHERENT", "load+load", "user_load", folio({ content: "nobody's" }), 0],
  ["TRUNC-NO-BLOCKS", "load+truncate", "ext4_ext_remove_space", () => leaveOut(), 0],
  [
    "TRUNC-LOCKED",
    "load+truncate",
    "folio_wait_writeback",
    also(({ file }) => Object.assign(file.invalidateLock.state, { writer: "nobody" })),
    0,
  ],
  [
    "WINDOW-LOCKED",
    "mprotect+collapse",
    "mn_itree_inv_start_range",
    also(({ parent }) => Object.assign(parent.mmapLock.state, { writer: "nobody" })),
    1,
  ],
  [
    "WINDOW-MAY-SLEEP",
    "mprotect+collapse",
    "mn_itree_inv_end",
    also(({ parent }) => Object.assign(parent.tables[0]?.lock.state ?? {}, { holder: self() })),
    1,
  ],
]

const [states] = strategies.filter(({ name }) => name === "states")
if (states === undefined) throw new Error("there is no strategy called states")

describe("the properties of the memory-management core", () => {
  it.each(harms)("%s is broken in %s when %s does harm", async (property, cell, step, harm, devices) => {
    const bug: SeededBug<MmWorld> = {
      id: "harm",
      title: "harm is done",
      source: "test",
      scenario: `mm/pairs/${cell}`,
      breaks: property,
      at: (world) => Object.fromEntries(step.split(" and ").map((one) => [one, harm(world)])),
    }
    const scenarios = pairs.filter(({ id }) => id === bug.scenario)
    const [found] = protocol({ id: "mm", title: "", scenarios, bugs: [bug] }).scenarios
    if (found === undefined) throw new Error(`there is no cell ${cell}`)
    const program = found.program({ devices }, bug.id)
    const result = await Effect.runPromise(explore(program, states, { maxSteps: 10_000, seed: 1, target: property }))
    expect(result.violation?.property).toBe(property)
  })

  it("are all broken by somebody", () => {
    const broken = new Set([
      ...harms.map(([property]) => property),
      ...memoryManagement.bugs.map(({ breaks }) => breaks),
    ])
    // Those of devices alone are broken where devices are checked alone.
    const missing = mmProperties.map(({ id }) => id).filter((id) => !broken.has(id))
    expect(missing).toEqual(["MIRROR-NO-INSTALL-IN-WINDOW", "MIRROR-NO-REF"])
  })
})
