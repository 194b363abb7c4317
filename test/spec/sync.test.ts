import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  cell,
  changeBody,
  changeResult,
  explore,
  guardedStep,
  moveBehind,
  protocol,
  protocolOf,
  replay,
  runMoves,
  type SearchOptions,
  type SeededBug,
  scenario as scenarioOf,
  shrink,
  step,
  strategies,
} from "../../checker/index.ts"
import { isInside } from "../../model/sync/gracePeriod.ts"
import { srcuDomain, srcuReadLock, srcuReadUnlock, synchronizeSrcu } from "../../model/sync/srcu.ts"
import { synchronisation } from "../../spec/sync/index.ts"
import { rcuBarriers, srcuSteadyReaders, treeCallbacks, treeGracePeriods } from "../../spec/sync/scenarios.ts"
import type { SyncWorld } from "../../spec/sync/world.ts"
import { long } from "../long.ts"

const options: SearchOptions = { maxSteps: 10_000, seed: 1 }
const states = (() => {
  const found = strategies.find(({ name }) => name === "states")
  if (found === undefined) throw new Error("no strategy states")
  return found
})()
const scenario = (id: string) => {
  const found = synchronisation.scenarios.find((candidate) => candidate.id === id)
  if (found === undefined) throw new Error(`no scenario ${id}`)
  return found
}

/** Each scenario at a bound that is explored in an instant. */
const small: ReadonlyArray<readonly [string, Readonly<Record<string, number>>]> = [
  ["sync/rcu/grace-periods", { readers: 1, rounds: 2, nesting: 2, updaters: 1, updates: 2 }],
  ["sync/rcu/callbacks", { readers: 1, rounds: 1, calls: 2 }],
  ["sync/rcu/barriers", { readers: 1, rounds: 1, calls: 1 }],
  ["sync/srcu/grace-periods", { readers: 2, rounds: 1, updaters: 2, updates: 1 }],
  ["sync/srcu/nested", { readers: 1, rounds: 1, nesting: 2, updaters: 1, updates: 2 }],
  ["sync/srcu/callbacks", { readers: 1, rounds: 1, calls: 2 }],
  ["sync/srcu/barriers", { readers: 1, rounds: 1, calls: 2 }],
  ["sync/srcu/steady-readers", { readers: 2 }],
  ["sync/srcutree/grace-periods", { readers: 1, rounds: 2, updaters: 1, updates: 1, cpus: 1 }],
  ["sync/srcutree/two-updaters", { readers: 1, rounds: 1, updaters: 2, updates: 1 }],
  ["sync/srcutree/migration", { readers: 1, rounds: 1, updaters: 1, updates: 1, cpus: 2 }],
  ["sync/srcutree/nested", { readers: 1, rounds: 1, nesting: 2, updaters: 1, updates: 1 }],
  ["sync/srcutree/callbacks", { readers: 1, rounds: 1, calls: 2 }],
  ["sync/srcutree/barriers", { readers: 1, rounds: 1, calls: 1 }],
  ["sync/srcutree/two-barriers", { calls: 1 }],
  ["sync/srcutree/steady-readers", { readers: 1 }],
]

describe("RCU and SRCU", () => {
  it("has each scenario among those explored here", () => {
    expect(small.map(([id]) => id)).toEqual(synchronisation.scenarios.map(({ id }) => id))
  })

  it("holds in each scenario at a small bound, and exercises every property in some", async () => {
    const exercised = new Map<string, number>()
    for (const [id, bound] of small) {
      const result = await Effect.runPromise(explore(scenario(id).program(bound), states, options))
      expect(result.violation, id).toBeUndefined()
      expect(result.outcome, id).toBe("holds")
      for (const each of result.exercised) exercised.set(each.id, (exercised.get(each.id) ?? 0) + each.times)
    }
    expect(exercised.size).toBeGreaterThan(10)
    expect([...exercised].filter(([, times]) => times === 0)).toEqual([])
  })

  it.each([
    ["sync/rcu/callbacks", { readers: 1, rounds: 1, calls: 1 }],
    ["sync/srcu/nested", { readers: 1, rounds: 1, nesting: 2, updaters: 1, updates: 1 }],
    ["sync/srcutree/grace-periods", { readers: 1, rounds: 1, updaters: 1, updates: 1, cpus: 1 }],
  ] as const)("keeps to the rules of the language of programs in %s", async (id, bound) => {
    const program = scenario(id).program(bound)
    const plain = await Effect.runPromise(explore(program, states, options))
    const checked = await Effect.runPromise(explore(program, states, { ...options, paranoid: true }))
    expect(checked.violation).toBeUndefined()
    expect(checked.statistics).toEqual(plain.statistics)
  })

  it("gives each property a sentence and a source", () => {
    for (const { properties } of synchronisation.scenarios) {
      for (const { id, statement, source } of properties) {
        expect(statement, id).toMatch(/^\w.* .*\.$/)
        expect(source, id).not.toBe("")
      }
    }
  })

  it("asks the same of the algorithm as of the small model", () => {
    for (const kind of ["grace-periods", "nested", "callbacks", "barriers", "steady-readers"]) {
      const ofTree = new Set(scenario(`sync/srcutree/${kind}`).properties.map(({ id }) => id))
      const ofSmall = scenario(`sync/srcu/${kind}`).properties.map(({ id }) => id)
      expect(ofSmall.filter((id) => !ofTree.has(id))).toEqual([])
    }
  })

  describe.each(synchronisation.bugs.map((bug) => [bug.id, bug] as const))("with %s", (_, bug) => {
    // So does `npm run check`.
    it.skipIf(!long)("breaks what it is meant to break, and replays", async () => {
      const entry = scenario(bug.scenario)
      const program = entry.program(bug.bound, bug.id)
      const result = await Effect.runPromise(explore(program, states, { ...options, target: bug.breaks }))
      expect(result.violation?.property).toBe(bug.breaks)
      const shrunk = shrink(entry, program, bug.breaks, result.moves ?? [], result.cycle)
      const { cycle } = shrunk
      const run = runMoves(shrunk.program, shrunk.moves, cycle)
      const schedule = run.steps.map(({ fiber, label, choice }) =>
        choice === undefined ? { fiber, label } : { fiber, label, choice },
      )
      const file = { schedule, property: bug.breaks, ...(cycle === undefined ? {} : { cycle }) }
      expect(replay(shrunk.program, file).kind).toBe("reproduced")
      expect(replay(entry.program(shrunk.program.bound), file).kind).not.toBe("reproduced")
    })
  })

  it("says who waits for whom where a lock and a grace period wait for each other", async () => {
    const bug = "synchronize-under-readers-lock"
    const bound = { readers: 1, rounds: 1, updaters: 1, updates: 1 }
    const program = scenario("sync/srcu/grace-periods").program(bound, bug)
    const result = await Effect.runPromise(explore(program, states, options))
    expect(result.violation?.message).toContain("reader0 waits for updater0, updater0 waits for reader0")
  })

  it("says that who synchronizes inside a section waits for what it did itself", async () => {
    const bound = { readers: 1, rounds: 1, updaters: 1, updates: 1 }
    const program = scenario("sync/srcu/grace-periods").program(bound, "synchronize-inside-section")
    const result = await Effect.runPromise(explore(program, states, options))
    expect(result.violation?.message).toContain("a grace period of srcu, which updater0 holds up inside a section")
    expect(result.violation?.message).toContain("updater0 waits for itself")
  })
})

describe("the small model of SRCU", () => {
  /** Sections that overlap: the second is entered when somebody waits for the first, and left when that one is through. */
  const overlapping = scenarioOf({
    id: "overlapping",
    summary: "a reader goes from section to section",
    setup: () => {
      const srcu = srcuDomain("srcu", ["reader"])
      const through = cell("through", false)
      const reader = Effect.gen(function* () {
        const first = yield* srcuReadLock(srcu)
        yield* guardedStep(
          "is waited for",
          () => Object.keys(srcu.state.awaited).length > 0,
          () => undefined,
        )
        const second = yield* srcuReadLock(srcu)
        yield* srcuReadUnlock(srcu, first)
        yield* guardedStep(
          "others are through",
          () => through.value,
          () => undefined,
        )
        yield* srcuReadUnlock(srcu, second)
      })
      const updater = Effect.gen(function* () {
        yield* guardedStep(
          "reader is inside",
          () => isInside(srcu, "reader"),
          () => undefined,
        )
        yield* synchronizeSrcu(srcu)
        yield* step("is through", () => {
          through.value = true
        })
      })
      return { world: { srcu }, fibers: { reader, updater } }
    },
    properties: [
      {
        kind: "atEnd",
        id: "nobody-inside",
        statement: "Nobody is inside in the end.",
        source: "the program",
        holds: ({ srcu }) => !isInside(srcu, "reader"),
      },
    ],
  })

  it("waits for the sections that were open at the call, and for no others", async () => {
    const [entry] = protocolOf(overlapping).scenarios
    if (entry === undefined) throw new Error("the scenario is missing")
    const result = await Effect.runPromise(explore(entry.program({}), states, options))
    expect(result.violation).toBeUndefined()
    expect(result.outcome).toBe("holds")
  })
})

/** What breaks those properties that no seeded bug is meant to break. */
const harms: ReadonlyArray<SeededBug<SyncWorld>> = [
  {
    id: "runs-twice",
    title: "callbacks stay in the list when they are taken out of it",
    source: "made up",
    scenario: treeCallbacks.id,
    breaks: "SYNC-CALLBACK-ONCE",
    at: () => {
      let heads: unknown
      return {
        rcu_segcblist_extract_done_cbs: changeResult((result) => {
          const before = heads
          heads = result
          return before === undefined && Array.isArray(result) ? [...result, ...result] : result
        }),
      }
    },
  },
  {
    id: "lock-not-counted",
    title: "readers do not count themselves",
    source: "made up",
    scenario: treeGracePeriods.id,
    breaks: "SRCUTREE-COUNTED",
    at: () => ({ "__srcu_read_lock: srcu_lock_count": changeBody(() => undefined) }),
  },
  {
    id: "state-left-out",
    title: "the second scan begins another grace period",
    source: "made up",
    scenario: treeGracePeriods.id,
    breaks: "SRCUTREE-SEQ",
    at: ({ tree }) => ({
      srcu_gp_end: changeBody(() => {
        if (tree !== undefined) tree.sup.srcu_gp_seq += 6
      }),
    }),
  },
  {
    id: "flip-late",
    title: "the index flips when the second scan has been announced",
    source: "made up",
    scenario: treeGracePeriods.id,
    breaks: "SRCUTREE-FLIP-IN-SCAN1",
    at: () => moveBehind("srcu_flip", "rcu_seq_set_state"),
  },
  {
    id: "not-queued",
    title: "the work item of a grace period that found readers is not queued again",
    source: "made up",
    scenario: treeGracePeriods.id,
    breaks: "SRCUTREE-DRIVEN",
    at: ({ tree }) => ({
      srcu_reschedule: changeBody(() => {
        if (tree !== undefined) tree.work.running = false
      }),
    }),
  },
  {
    id: "early-rcu-barrier",
    title: "rcu_barrier does not wait",
    source: "made up",
    scenario: rcuBarriers.id,
    breaks: "SYNC-BARRIER",
    at: () => ({ rcu_barrier: changeBody(() => undefined) }),
  },
  {
    id: "waits-for-new-readers",
    title: "synchronize_srcu waits until nobody is inside",
    source: "made up",
    scenario: srcuSteadyReaders.id,
    breaks: "L-SYNCHRONIZE",
    at: ({ small: domain }) => ({
      srcu_read_lock: changeBody((operation) => {
        const section = operation.body()
        if (domain === undefined) return section
        const waiters = Object.keys(domain.state.awaited)
        const open = [...domain.readers].flatMap(([name, { value }]) => (value.length > 0 ? [[name, value]] : []))
        domain.state.awaited = Object.fromEntries(waiters.map((waiter) => [waiter, Object.fromEntries(open)]))
        return section
      }),
    }),
  },
]

describe("the properties of RCU and SRCU", () => {
  it.each(harms.map((harm) => [harm.breaks, harm] as const))("%s is broken by a harm", async (breaks, harm) => {
    const scenarios = [rcuBarriers, srcuSteadyReaders, treeCallbacks, treeGracePeriods]
    const harmed = protocol({ id: "harmed", title: "", scenarios, bugs: [harm] })
    const program = harmed.scenarios.find(({ id }) => id === harm.scenario)?.program({}, harm.id)
    if (program === undefined) throw new Error("the scenario is missing")
    const result = await Effect.runPromise(explore(program, states, { ...options, target: breaks }))
    expect(result.violation?.property).toBe(breaks)
  })
})
