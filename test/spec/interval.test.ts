import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { changeBody, explore, protocol, replay, runMoves, type SeededBug, shrink } from "../../checker/index.ts"
import { intervalNotifier } from "../../spec/notifier/interval/index.ts"
import { insertRemove } from "../../spec/notifier/interval/scenarios.ts"
import type { IntervalWorld } from "../../spec/notifier/interval/world.ts"
import { strategyOf } from "../checker/support.ts"
import { long } from "../long.ts"
import {
  expectSourced,
  explored,
  holdAndExercise,
  holds,
  missingFrom,
  options,
  scenariosIn,
  statedIn,
} from "./support.ts"

const scenario = scenariosIn([intervalNotifier])
const smallest = { devices: 1, pages: 1, invalidations: 1 }

describe("the interval notifier", () => {
  it.each([
    ["notifier/interval/one-fault", { ...smallest, removals: 0 }],
    ["notifier/interval/one-fault", { ...smallest, removals: 1 }],
    ["notifier/interval/one-fault", { devices: 1, pages: 2, invalidations: 2, removals: 0 }],
    ["notifier/interval/two-devices", { devices: 2, pages: 1, invalidations: 1, removals: 1 }],
    ["notifier/interval/overlapping", { devices: 1, pages: 1, invalidations: 2, removals: 0 }],
  ] as const)("holds in %s at %o, every state visited", async (id, bound) => {
    const result = await holds(scenario(id).program(bound))
    expect(result.statistics.states).toBeGreaterThan(500)
  })

  /** Up to half a minute each: what the default run explores at smaller bounds. */
  it.skipIf(!long).each([
    ["notifier/interval/insert-remove", { devices: 2, pages: 1, invalidations: 1, removals: 2 }],
    ["notifier/interval/repeated", { devices: 1, pages: 2, invalidations: 2, removals: 0 }],
    ["notifier/interval/overlapping", { devices: 1, pages: 2, invalidations: 2, removals: 0 }],
    ["notifier/interval/repeated", { devices: 2, pages: 2, invalidations: 3, removals: 0 }],
    ["notifier/interval/retries", { devices: 2, pages: 2, invalidations: 3, removals: 0 }],
    ["notifier/interval/two-devices", { devices: 3, pages: 2, invalidations: 2, removals: 0 }],
    ["notifier/interval/overlapping", { devices: 1, pages: 2, invalidations: 3, removals: 0 }],
    ["notifier/interval/insert-remove", { devices: 3, pages: 2, invalidations: 1, removals: 3 }],
  ] as const)("holds in %s at the larger bound %o", async (id, bound) => {
    await holds(scenario(id).program(bound))
  })

  it("keeps to the rules of the language of programs, as far as they can be checked", async () => {
    const program = scenario("notifier/interval/one-fault").program({ ...smallest, removals: 1 })
    const plain = await explored(program)
    const checked = await explored(program, { paranoid: true })
    expect(checked.violation).toBeUndefined()
    expect(checked.outcome).toBe("holds")
    expect(checked.statistics).toEqual(plain.statistics)
    expect(checked.exercised).toEqual(plain.exercised)
    expect(checked.steps).toEqual(plain.steps)
    const { histories = 0, steps = 0, paths = 0 } = checked.compared ?? {}
    expect(histories).toBeGreaterThan(100)
    expect(steps).toBeGreaterThan(2 * checked.statistics.transitions)
    expect(paths).toBeGreaterThan(100)
  })

  // So does `npm run check`.
  it.skipIf(!long)("exercises every invariant in some scenario", async () => {
    const programs = intervalNotifier.scenarios.map(({ id, program }) => {
      const bound = id.endsWith("insert-remove") ? { devices: 2, removals: 2 } : { invalidations: 2 }
      return program(id.endsWith("two-devices") ? { invalidations: 1 } : bound)
    })
    await holdAndExercise(programs)
  })

  it("gives each property a sentence and a source", () => {
    expectSourced(intervalNotifier)
  })

  it("states the invariants of the protocol", () => {
    const wanted =
      `NOTIFIER-PAIRING NOTIFIER-ALL-CALLED NOTIFIER-NO-CB-AFTER-REMOVE NOTIFIER-SUBSCRIBED SEQ-ODD-IFF-FULL SEQ-IDLE-EVEN
      SEQ-SUB-ODD SEQ-MONOTONE SEQ-SUB-NOT-AHEAD SEQ-TREE-FROZEN SEQ-DEFERRED-EMPTY SEQ-DEFERRED-MEANING
      SEQ-ACTIVE-NONNEG SEQ-WAITERS-WOKEN SEQ-NO-FALSE-VALID SEQ-REMOVE-NOT-FROM-CB SEQ-READBEGIN-NOT-UNDER-ULOCK
      SEQ-SETSEQ-UNDER-ULOCK SEQ-EVERY-ACCEPT-SETS MIRROR-AGREE MIRROR-NO-INSTALL-IN-WINDOW MIRROR-NO-UAF L-READBEGIN
      L-REMOVE L-DEFERRED L-RETRY`.split(/\s+/)
    expect(missingFrom(statedIn(intervalNotifier), wanted)).toEqual([])
  })

  describe.each(intervalNotifier.bugs.map((bug) => [bug.id, bug] as const))("with %s", (_, bug) => {
    const entry = scenario(bug.scenario)
    const program = entry.program(bug.bound, bug.id)

    it("breaks what it is meant to break, by the default strategy", async () => {
      const result = await explored(program, { target: bug.breaks })
      expect(result.violation?.property).toBe(bug.breaks)
      const shrunk = shrink(entry, program, bug.breaks, result.moves ?? [], result.cycle)
      const { cycle } = shrunk
      expect(cycle === undefined).toBe(bug.breaks !== "L-RETRY")
      expect(shrunk.minimal).toBe(cycle === undefined)
      const run = runMoves(shrunk.program, shrunk.moves, cycle)
      expect(run.violations.map(({ property }) => property)).toContain(bug.breaks)
      const schedule = run.steps.map(({ fiber, label, choice }) =>
        choice === undefined ? { fiber, label } : { fiber, label, choice },
      )
      const file = { schedule, property: bug.breaks, ...(cycle === undefined ? {} : { cycle }) }
      expect(replay(shrunk.program, file).kind).toBe("reproduced")
      expect(replay(entry.program(shrunk.program.bound), file).kind).not.toBe("reproduced")
      const again = shrink(entry, shrunk.program, bug.breaks, shrunk.moves, cycle)
      expect(again.moves).toEqual(shrunk.moves)
      expect(again.program.bound).toEqual(shrunk.program.bound)
    })
  })

  it("shrinks hmm-valid-flag-aba to two fibers, one page and one invalidation, in the order of the report", async () => {
    const entry = scenario("notifier/interval/one-fault")
    const program = entry.program({}, "hmm-valid-flag-aba")
    const found = await explored(program, { target: "MIRROR-NO-UAF" })
    const shrunk = shrink(entry, program, "MIRROR-NO-UAF", found.moves ?? [])
    const { steps } = runMoves(shrunk.program, shrunk.moves)
    expect(shrunk.program.bound).toEqual({ ...smallest, removals: 0 })
    expect([...new Set(steps.map(({ fiber }) => fiber))].sort()).toEqual(["cpu0", "gpu0"])
    expect(shrunk.preemptions).toBe(1)
    const essential = [
      "gpu0 mmu_interval_read_begin(gpu0)",
      "gpu0 hmm_vma_handle_pte(0)",
      "cpu0 mn_itree_inv_start_range(mm, 0, 1, CLEAR, zap_page_range_single)",
      "cpu0 zap_pte_range(mm, 0)",
      "cpu0 mn_itree_inv_end(mm, 0, 1, CLEAR, zap_page_range_single)",
      "cpu0 free_pages_and_swap_cache(0)",
      "gpu0 mmu_interval_read_retry(gpu0)",
      "gpu0 device_map(gpu0, 0)",
    ]
    expect(steps.map(({ fiber, label }) => `${fiber} ${label}`).filter((step) => essential.includes(step))).toEqual(
      essential,
    )
  })

  it.each([
    ["inserts", (inTree: boolean) => !inTree],
    ["removes", (inTree: boolean) => inTree],
  ])("notices when deferred %s are dropped", async (_, dropped) => {
    const forgetful: SeededBug<IntervalWorld> = {
      id: "forgetful",
      title: "the end of an invalidation drops a part of what was deferred",
      source: "made up",
      scenario: insertRemove.id,
      breaks: "NOTIFIER-SUBSCRIBED",
      at: ({ subs }) => ({
        "mn_itree_inv_end: deferred_list": changeBody((operation) => {
          const { tree } = subs.state
          subs.state.deferred = subs.state.deferred.filter((name) => !dropped(tree.includes(name)))
          operation.body()
        }),
      }),
    }
    const [entry] = protocol({ id: "forgetful", title: "", scenarios: [insertRemove], bugs: [forgetful] }).scenarios
    if (entry === undefined) throw new Error("the scenario is missing")
    const result = await explored(entry.program({}, "forgetful"))
    expect(result.outcome).toBe("violated")
    expect(["NOTIFIER-SUBSCRIBED", "NOTIFIER-NO-CB-AFTER-REMOVE"]).toContain(result.violation?.property)
  })

  it("finds hmm-valid-flag-aba by random schedules too", async () => {
    const program = scenario("notifier/interval/one-fault").program(smallest, "hmm-valid-flag-aba")
    const result = await Effect.runPromise(
      explore(program, strategyOf("random"), { ...options, target: "MIRROR-NO-UAF", executions: 5_000 }),
    )
    expect(result.violation?.property).toBe("MIRROR-NO-UAF")
  })
})
