/** Random workloads of the memory-management core, under random schedules. */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { explore, leaveOut, type Replacements, strategies } from "../../checker/index.ts"
import { long } from "../long.ts"
import { workloads, workloadsOf } from "./workloadArbitrary.ts"
import { bugOf, entryOf, search } from "./workloadSearch.ts"

/** `SHOOTDOWN_LONG=1 npx vitest run test/spec/workloads.test.ts` explores many more workloads, which takes most of an hour. */
const wanted = long ? 100_000 : 160

/** Steps that show that a call did something, and in how many of a hundred workloads they are taken at least. */
const signs = {
  user_load: 12,
  user_store: 18,
  follow_page_pte: 8,
  "gup_fast_pte_range: recheck": 2,
  dma_write: 4,
  zap_pte_range: 20,
  madvise_free_pte_range: 1,
  __mmap_region: 3,
  ptep_modify_prot_commit: 7,
  move_ptes: 2.5,
  copy_pte_range: 3,
  exit_mmap: 1,
  try_to_unmap_one: 8,
  __remove_mapping: 8,
  folio_migrate_mapping: 8,
  __oom_reap_task_mm: 2,
  truncate_inode_folio: 3,
  submit_bio: 1.5,
  do_swap_page: 5,
  "wp_page_copy: set_pte_at": 10,
  device_map: 10,
} as const

const states = strategies.find(({ name }) => name === "states")
if (states === undefined) throw new Error("there is no strategy called states")

describe("random workloads", () => {
  it("break nothing", { timeout: 7_200_000 }, async () => {
    const taken = new Map<string, number>()
    const found = await search({
      seed: 20_26,
      numRuns: wanted,
      executions: 4,
      tell: ({ steps }) => {
        for (const [name, times] of steps) if (times > 0) taken.set(name, (taken.get(name) ?? 0) + 1)
      },
    })
    expect(found?.text).toBeUndefined()
    for (const [name, percent] of Object.entries(signs)) {
      expect((100 * (taken.get(name) ?? 0)) / wanted, name).toBeGreaterThanOrEqual(percent)
    }
  })

  it("break nothing in any state, where they are small", { timeout: 7_200_000 }, async () => {
    const small = fc.sample(workloadsOf({ fibers: 2, calls: 1 }), { seed: 20_27, numRuns: long ? 2_000 : 5 })
    for (const workload of small) {
      const program = entryOf(workload).program()
      const { outcome, violation, reason } = await Effect.runPromise(
        explore(program, states, { maxSteps: 3_000, seed: 1 }),
      )
      expect({ outcome, violation, reason, workload }).toMatchObject({ outcome: "holds" })
    }
  })

  it("can all be shrunk, wherever they come from", () => {
    for (const workload of fc.sample(workloads, { seed: 20_28, numRuns: 200 })) {
      expect(workloads.canShrinkWithoutContext(workload), JSON.stringify(workload)).toBe(true)
    }
  })

  interface Small {
    readonly what: string
    readonly at: Replacements
    readonly property: string
    readonly calls: number
    readonly accesses: number
    readonly steps: number
  }
  const rows: ReadonlyArray<Small> = [
    {
      what: "fork does not flush the TLBs",
      at: { flush_tlb_mm: leaveOut() },
      property: "PROT-PRIV-RO",
      calls: 2,
      accesses: 0,
      steps: 19,
    },
    {
      what: "areas are not locked against faults",
      at: { vma_start_write: leaveOut() },
      property: "MIRROR-PERM",
      calls: 1,
      accesses: 1,
      steps: 17,
    },
  ]
  // The first one takes half a minute.
  it.each(long ? rows : rows.slice(1))(
    "show by as few calls and steps as can be that $what",
    async ({ at, property, calls, accesses, steps }) => {
      const bug = bugOf(at)
      const found = await search({ seed: 3, numRuns: 2_000, executions: 4, bug })
      if (found === undefined) throw new Error("it was not found")
      const { workload, text } = found
      expect(found.property).toBe(property)
      expect(
        workload.fibers.flatMap((one): ReadonlyArray<unknown> => ("calls" in one ? one.calls : one.jobs)),
      ).toHaveLength(calls)
      expect(workload.gpu?.accesses ?? []).toHaveLength(accesses)
      expect(found.steps).toBeLessThanOrEqual(steps)
      expect(text).toContain(`${property} is broken by a workload:`)
      expect(text).toContain(JSON.stringify(workload))
      // What is printed leads back to it.
      const again = entryOf(JSON.parse(text.slice(text.lastIndexOf("(") + 1, text.lastIndexOf(")"))), bug)
      const program = again.program({}, bug.id)
      const options = { maxSteps: 3_000, seed: 1, target: property }
      const { violation } = await Effect.runPromise(explore(program, states, options))
      expect(violation?.property).toBe(property)
    },
  )
})
