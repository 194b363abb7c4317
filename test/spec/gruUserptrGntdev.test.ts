/** GRU, i915's userptr objects and gntdev: they hold, every property is put to the test, and the known bugs tell their story. */
import { readFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { explore, type Protocol, type SearchOptions, strategies } from "../../checker/index.ts"
import { gntdev } from "../../spec/driver/gntdev/index.ts"
import { gru } from "../../spec/driver/gru/index.ts"
import { i915Userptr } from "../../spec/driver/i915-userptr/index.ts"

const options: SearchOptions = { maxSteps: 10_000, seed: 1 }
const states = strategies.find(({ name }) => name === "states")
if (states === undefined) throw new Error("no strategy states")

const scenario = (name: string) => {
  const found = [gru, i915Userptr, gntdev]
    .flatMap(({ scenarios }) => scenarios)
    .find(({ id }) => id === `driver/${name}`)
  if (found === undefined) throw new Error(`no scenario ${name}`)
  return found
}

/** Smaller bounds than the default ones, at which everything still happens. */
const small: Record<string, Record<string, number>> = {
  "driver/gru/overlapping": { pages: 1, invalidations: 1 },
  "driver/gntdev/overlapping": { invalidations: 1 },
  "driver/i915-userptr/overlapping": { invalidations: 1 },
}

describe.each([
  ["GRU", gru],
  ["userptr objects", i915Userptr],
  ["gntdev", gntdev],
])("%s", (_, protocol) => {
  it("puts every property and every named step to the test in some scenario", async () => {
    const exercised = new Map<string, number>()
    const taken = new Map<string, number>()
    for (const { id, program } of protocol.scenarios) {
      const result = await Effect.runPromise(explore(program(small[id] ?? {}), states, options))
      expect(result.outcome, id).toBe("holds")
      for (const { id: property, times } of result.exercised) {
        exercised.set(property, (exercised.get(property) ?? 0) + times)
      }
      for (const [step, times] of result.steps) taken.set(step, (taken.get(step) ?? 0) + times)
    }
    expect([...exercised].filter(([, times]) => times === 0)).toEqual([])
    expect([...taken].filter(([, times]) => times === 0)).toEqual([])
  })

  it("has a seeded bug for every property, here or where its own driver is", () => {
    const broken = new Set([...protocol.bugs, ...i915Userptr.bugs].map(({ breaks }) => breaks))
    const stated = new Set(protocol.scenarios.flatMap(({ properties }) => properties.map(({ id }) => id)))
    expect([...stated].filter((id) => !broken.has(id))).toEqual([])
  })

  it("states its rules, each in a sentence with its source", () => {
    for (const { id, statement, source } of protocol.scenarios.flatMap(({ properties }) => properties)) {
      expect(statement, id).toMatch(/^\w.* .*\.$/)
      expect(source, id).not.toBe("")
    }
  })
})

describe("beyond the default bounds", () => {
  it.each([
    ["gru/one-fault", { pages: 2, grus: 1, invalidations: 1 }],
    ["gru/one-fault", { pages: 1, grus: 2, invalidations: 1 }],
    ["gru/overlapping", { pages: 1, grus: 1, invalidations: 2, reclaim: 1 }],
    ["gru/pagemap-scan", { pages: 3, buffer: 2 }],
    ["gntdev/overlapping", { submissions: 2, invalidations: 1 }],
  ])("all hold in %s at %o, every state visited", { timeout: 120_000 }, async (name, bound) => {
    const result = await Effect.runPromise(explore(scenario(name).program(bound), states, options))
    expect(result.violation).toBeUndefined()
    expect(result.outcome).toBe("holds")
    expect(result.statistics.states).toBeGreaterThan(1_000)
  })

  it.each([
    ["gru/pagemap-scan", {}],
    ["gntdev/pinned", { submissions: 1 }],
  ])("all keep to the rules of the language of programs in %s", { timeout: 120_000 }, async (name, bound) => {
    const result = await Effect.runPromise(
      explore(scenario(name).program(bound), states, { ...options, paranoid: true }),
    )
    expect(result.violation).toBeUndefined()
    expect(result.outcome).toBe("holds")
  })
})

describe("counterexamples", () => {
  /** The steps of a bug's recorded run that are in the list, in their order. */
  const told = async (id: string, of: ReadonlyArray<string>) => {
    const text = await readFile(new URL(`../../counterexamples/${id}.json`, import.meta.url), "utf8")
    const schedule: ReadonlyArray<{ fiber: string; label: string }> = JSON.parse(text).schedule
    return schedule.map(({ fiber, label }) => `${fiber} ${label}`).filter((step) => of.includes(step))
  }
  const bug = (protocol: Protocol, id: string) => {
    const found = protocol.bugs.find((candidate) => candidate.id === id)
    if (found === undefined) throw new Error(`no bug ${id}`)
    return found
  }
  const messageOf = async (protocol: Protocol, id: string) => {
    const { scenario: where, bound, breaks } = bug(protocol, id)
    const entry = protocol.scenarios.find(({ id }) => id === where)
    if (entry === undefined) throw new Error(`no scenario ${where}`)
    const found = await Effect.runPromise(
      explore(entry.program(bound ?? {}, id), states, { ...options, target: breaks }),
    )
    return found.violation?.message ?? ""
  }

  it("tell of an invalidation that begins and ends inside a fault of a GRU", async () => {
    const story = [
      "gru0 gru_try_dropin: tfh(gru0)",
      "gru0 atomic_pte_lookup(mm, 0, write)",
      "cpu0 gru_invalidate_range_start(0, 1)",
      "cpu0 tgh_invalidate(gru0, 0, 1)",
      "cpu0 zap_pte_range(mm, 0)",
      "cpu0 gru_invalidate_range_end(0, 1)",
      "gru0 tfh_write_restart(gru0, 0)",
    ]
    const steps = await told("gru-plain-hardware", story)
    expect([...steps].sort()).toEqual([...story].sort())
    expect(steps.at(-1)).toBe(story.at(-1))
  })

  it("tell of a notifier that registers in the middle of a scan that is announced from outside", async () => {
    const story = [
      "cpu0 gru_invalidate_range_start(0, 1)",
      "gru0 mmu_notifier_get_locked(mm)",
      "cpu0 pagemap_scan_pmd_entry(mm, 0)",
      "cpu0 gru_invalidate_range_end(0, 1)",
    ]
    expect(await told("notifier-bracket-outside-mmap-lock", story)).toEqual(story)
  })

  it("tell who waits for whom where a callback takes the driver's lock", async () => {
    expect(await messageOf(i915Userptr, "userptr-callback-takes-driver-mutex")).toMatch(
      /client0 waits in cancel_userptr: mutex_lock\(object0\)/,
    )
    expect(await messageOf(i915Userptr, "userptr-callback-lock-inversion")).toMatch(
      /client0 waits in mmap_read_lock\(mm\).*cpu\d/s,
    )
  })

  it("tell who waits for whom where a callback waits for a page's user", async () => {
    const message = await messageOf(gntdev, "callback-waits-for-page-user")
    expect(message).toMatch(/cpu0 waits in gnttab_unmap_refs_sync.* for the references .*which client0 has pinned/s)
    expect(message).toMatch(/client0 waits in mmu_interval_read_begin/)
  })
})
