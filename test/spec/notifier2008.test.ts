/** The notifiers of 2008: the corrected design holds, and what was published breaks as its reviewers feared. */
import { readFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { explore, replay, runMoves, type SearchOptions, shrink, strategies } from "../../checker/index.ts"
import { notifier2008 } from "../../spec/notifier/2008/index.ts"

const options: SearchOptions = { maxSteps: 10_000, seed: 1 }
const strategy = (name: string) => {
  const found = strategies.find((candidate) => candidate.name === name)
  if (found === undefined) throw new Error(`no strategy ${name}`)
  return found
}
const scenario = (name: string) => {
  const found = notifier2008.scenarios.find(({ id }) => id === name || id === `notifier/2008/${name}`)
  if (found === undefined) throw new Error(`no scenario ${name}`)
  return found
}
const bug = (id: string) => {
  const found = notifier2008.bugs.find((candidate) => candidate.id === id)
  if (found === undefined) throw new Error(`no bug ${id}`)
  return found
}

describe("the notifiers of 2008, corrected", () => {
  it.each([
    ["counter", { pages: 1, invalidations: 2, devices: 2 }],
    ["range-list", { pages: 2, invalidations: 1, devices: 1 }],
    ["range-list", { pages: 1, invalidations: 2, devices: 1 }],
    ["register", { pages: 2, invalidations: 1 }],
    ["reclaim", { counters: 0, rangeLists: 2, madvise: 0 }],
    ["reclaim", { counters: 2, rangeLists: 0, madvise: 1 }],
    ["writeback", { counters: 1, rangeLists: 0, reclaim: 1 }],
    ["writeback", { counters: 0, rangeLists: 1, reclaim: 1 }],
    ["exit", { counters: 0, rangeLists: 1, truncate: 0 }],
    ["exit", { counters: 1, rangeLists: 0, truncate: 1 }],
  ])("hold in %s at %o, every state visited", async (name, bound) => {
    const result = await Effect.runPromise(explore(scenario(name).program(bound), strategy("states"), options))
    expect(result.violation).toBeUndefined()
    expect(result.outcome).toBe("holds")
    expect(result.statistics.states).toBeGreaterThan(300)
  })

  it("put every property and every named step to the test in some scenario", async () => {
    const exercised = new Map<string, number>()
    const taken = new Map<string, number>()
    const small: Record<string, Record<string, number>> = { "notifier/2008/exit": { truncate: 0 } }
    for (const { id, program } of notifier2008.scenarios) {
      const result = await Effect.runPromise(explore(program(small[id] ?? {}), strategy("states"), options))
      expect(result.outcome, id).toBe("holds")
      for (const { id: property, times } of result.exercised) {
        exercised.set(property, (exercised.get(property) ?? 0) + times)
      }
      for (const [step, times] of result.steps) taken.set(step, (taken.get(step) ?? 0) + times)
    }
    expect([...exercised].filter(([, times]) => times === 0)).toEqual([])
    expect([...taken].filter(([, times]) => times === 0)).toEqual([])
  })

  it("state the rules of the mail, each in a sentence with its source", () => {
    const stated = notifier2008.scenarios.flatMap(({ properties }) => properties)
    const ids = new Set(stated.map(({ id }) => id))
    const wanted = `N08-COUNTER N08-RANGE N08-BEGIN-END-INSIDE N08-PTE-THEN-CB N08-RMAP-FIRST N08-FLAG-LOCKED
      N08-NO-SLEEP-RCU N08-MKCLEAN MIRROR-NO-UAF MIRROR-AGREE MIRROR-DIRTY`.split(/\s+/)
    expect(wanted.filter((id) => !ids.has(id))).toEqual([])
    for (const { id, statement, source } of stated) {
      expect(statement, id).toMatch(/^\w.* .*\.$/)
      expect(source, id).not.toBe("")
    }
  })

  it("keep to the rules of the language of programs, as far as they can be checked", { timeout: 120_000 }, async () => {
    for (const [name, bound] of [
      ["range-list", { pages: 1, invalidations: 1, devices: 1 }],
      ["age", { counters: 2 }],
    ] as const) {
      const program = scenario(name).program(bound)
      const result = await Effect.runPromise(explore(program, strategy("states"), { ...options, paranoid: true }))
      expect(result.violation).toBeUndefined()
      expect(result.outcome).toBe("holds")
    }
  })
})

describe("the notifiers of 2008", () => {
  // That each is found, and its record replays, `npm run check` sees too.
  it.skipIf(process.env.SHOOTDOWN_LONG === undefined).each(notifier2008.bugs.map(({ id }) => id))(
    "break with %s as recorded",
    async (id) => {
      const { scenario: where, bound, breaks } = bug(id)
      const entry = scenario(where)
      const program = entry.program(bound, id)
      const found = await Effect.runPromise(explore(program, strategy("states"), { ...options, target: breaks }))
      expect(found.violation?.property).toBe(breaks)
      const shrunk = shrink(entry, program, breaks, found.moves ?? [], found.cycle)
      const { steps } = runMoves(shrunk.program, shrunk.moves)
      const text = await readFile(new URL(`../../counterexamples/${id}.json`, import.meta.url), "utf8")
      const recorded = JSON.parse(text)
      expect(recorded.bound).toEqual(shrunk.program.bound)
      expect(recorded.schedule).toEqual(
        steps.map(({ fiber, label, choice }) => (choice === undefined ? { fiber, label } : { fiber, label, choice })),
      )
      expect(replay(shrunk.program, recorded).kind).toBe("reproduced")
      expect(replay(entry.program(shrunk.program.bound), recorded).kind).not.toBe("reproduced")
    },
  )

  /** The steps of a bug's recorded run that are in the list, in their order. */
  const told = async (id: string, of: ReadonlyArray<string>) => {
    const text = await readFile(new URL(`../../counterexamples/${id}.json`, import.meta.url), "utf8")
    const schedule: ReadonlyArray<{ fiber: string; label: string }> = JSON.parse(text).schedule
    return schedule.map(({ fiber, label }) => `${fiber} ${label}`).filter((step) => of.includes(step))
  }

  it("tell of an end without a begin: who registers in the middle of a truncation", async () => {
    const story = [
      "cpu0 srcu_read_lock(invalidate_range_begin, 0, 1, atomic)",
      "gru0 hlist_add_head_rcu(gru0)",
      "cpu0 srcu_read_lock(invalidate_range_end, 0, 1, atomic)",
      "cpu0 gru_invalidate_range_end(gru0, 0, 1)",
    ]
    expect(await told("n08-end-without-begin", story)).toEqual(story)
  })

  it("tell of a begin and an end inside a fault", async () => {
    const story = [
      "gru0 get_user_pages(0, write)",
      "cpu0 gru_invalidate_range_begin(gru0, 0, 1)",
      "cpu0 zap_pte_range(0)",
      "cpu0 gru_invalidate_range_end(gru0, 0, 1)",
      "cpu0 truncate_complete_page(0)",
      "gru0 gru_fault: retry(gru0, 0)",
      "gru0 device_map(gru0, 0)",
    ]
    const steps = await told("n08-begin-end-inside-fault-frees", story)
    expect([...steps].sort()).toEqual([...story].sort())
    expect(steps.indexOf(story[0] ?? "")).toBeLessThan(steps.indexOf(story[1] ?? ""))
    expect(steps.indexOf(story[3] ?? "")).toBeLessThan(steps.indexOf(story[5] ?? ""))
  })

  it("tell of a notifier that is freed while its callback sleeps inside rcu_read_lock", async () => {
    const story = [
      "kswapd xpmem_recall_page(xpmem0, 0)",
      "xpmem0 list_del_rcu(xpmem0-rmap)",
      "xpmem0 synchronize_srcu",
      "xpmem0 kfree(xpmem0-rmap)",
    ]
    expect(await told("n08-sleeper-freed-under-rcu", story)).toEqual(story)
  })

  it("reviewers' questions stand beside the bugs that answer them", () => {
    const sources = notifier2008.bugs.map(({ source }) => source).join("\n")
    for (const question of [
      "Under what circumstances would they be nested?",
      "What happens if it cannot do so?",
      "Define marked dirty?",
      "You can't sleep inside rcu_read_lock()!",
      "What does it *mean*",
      "Synchronization is not necessary.",
    ]) {
      expect(sources).toContain(question)
    }
    for (const mutant of ["mutant 49", "mutant 50"]) expect(sources).toContain(mutant)
  })
})
