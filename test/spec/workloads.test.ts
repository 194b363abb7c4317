/** Random workloads of the memory-management core, under random schedules. */
import { describe, expect, it } from "vitest"
import { leaveOut, type SeededBug } from "../../checker/index.ts"
import type { MmWorld } from "../../spec/mm/world.ts"
import { search } from "./workloadSearch.ts"

/** `SHOOTDOWN_LONG=1 npx vitest run test/spec/workloads.test.ts` explores many more workloads, which takes most of an hour. */
const long = process.env.SHOOTDOWN_LONG !== undefined
const wanted = long ? 100_000 : 400

/** Steps that show that a call did something, and by how many of a hundred workloads they are taken at least. */
const signs = {
  user_load: 15,
  user_store: 20,
  "gup_fast_pte_range: recheck": 5,
  follow_page_pte: 15,
  dma_write: 10,
  zap_pte_range: 30,
  madvise_free_pte_range: 5,
  __mmap_region: 5,
  ptep_modify_prot_commit: 10,
  move_ptes: 5,
  copy_pte_range: 5,
  exit_mmap: 2,
  try_to_unmap_one: 5,
  __remove_mapping: 2,
  folio_migrate_mapping: 5,
  __oom_reap_task_mm: 2,
  truncate_inode_folio: 1,
  submit_bio: 1,
  do_swap_page: 5,
  "wp_page_copy: set_pte_at": 10,
  device_map: 10,
} as const

describe("random workloads", () => {
  it("break nothing", { timeout: 7_200_000 }, async () => {
    const taken = new Map<string, number>()
    const found = await search({
      seed: 20_26,
      numRuns: wanted,
      executions: 4,
      tell: (_, { steps }) => {
        for (const [name, times] of steps) if (times > 0) taken.set(name, (taken.get(name) ?? 0) + 1)
      },
    })
    expect(found?.text).toBeUndefined()
    for (const [name, percent] of Object.entries(signs)) {
      expect((100 * (taken.get(name) ?? 0)) / wanted, name).toBeGreaterThanOrEqual(percent)
    }
  })

  it("show a bug by a workload and a schedule that are as short as can be", async () => {
    /** What the parent may write through its TLBs it may still write through when fork has shared it with the child. */
    const bug: SeededBug<MmWorld> = {
      id: "fork-without-flush",
      title: "fork does not flush the TLBs",
      source: "mm/mmap.c: dup_mmap",
      scenario: "workload",
      breaks: "TLB-COHERENT",
      at: () => ({ flush_tlb_mm: leaveOut() }),
    }
    const found = await search({ seed: 1, numRuns: 2_000, executions: 4, bug })
    console.log(found?.text)
  })
})
