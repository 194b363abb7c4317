/** GRU, i915's userptr objects and gntdev: they hold, every property is put to the test, and the known bugs tell their story. */
import { describe, expect, it } from "vitest"
import type { Bound, Protocol } from "../../checker/index.ts"
import { gntdev } from "../../spec/driver/gntdev/index.ts"
import { gru } from "../../spec/driver/gru/index.ts"
import { i915Userptr } from "../../spec/driver/i915-userptr/index.ts"
import { long } from "../long.ts"
import {
  brokenIn,
  bugIn,
  expectSourced,
  explored,
  holdAndExercise,
  holds,
  missingFrom,
  scenariosIn,
  statedIn,
  told,
} from "./support.ts"

const scenario = scenariosIn([gru, i915Userptr, gntdev], "driver/")

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
    await holdAndExercise(protocol.scenarios.map(({ id, program }) => program(small[id] ?? {})))
  })

  it("has a seeded bug for every property, here or where its own driver is", () => {
    expect(missingFrom(brokenIn(protocol, i915Userptr), statedIn(protocol))).toEqual([])
  })

  it("states its rules, each in a sentence with its source", () => {
    expectSourced(protocol)
  })
})

/** Larger bounds than the default ones. */
const larger: Array<[string, Bound]> = [
  ["gru/one-fault", { pages: 1, grus: 2, invalidations: 1 }],
  ["gntdev/overlapping", { submissions: 2, invalidations: 1 }],
]
if (long) {
  larger.push(
    ["gru/one-fault", { pages: 2, grus: 1, invalidations: 1 }],
    ["gru/overlapping", { pages: 1, grus: 1, invalidations: 2, reclaim: 1 }],
    ["gru/pagemap-scan", { pages: 3, buffer: 2 }],
  )
}

/** What is also looked at with suspicion, at bounds that allow for that. */
const suspected: Array<[string, Bound]> = [["gru/pagemap-scan", {}]]
if (long) suspected.push(["gntdev/pinned", { submissions: 1 }])

describe("beyond the default bounds", () => {
  it.each(larger)("all hold in %s at %o, every state visited", async (name, bound) => {
    const { statistics } = await holds(scenario(name).program(bound))
    expect(statistics.states).toBeGreaterThan(1_000)
  })

  it.each(suspected)("all keep to the rules of the language of programs in %s", async (name, bound) => {
    await holds(scenario(name).program(bound), { paranoid: true })
  })
})

describe("counterexamples", () => {
  const messageOf = async (protocol: Protocol, id: string) => {
    const { scenario: where, bound, breaks } = bugIn(protocol, id)
    const found = await explored(scenario(where).program(bound ?? {}, id), { target: breaks })
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
