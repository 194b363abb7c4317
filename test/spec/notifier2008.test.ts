/** The notifiers of 2008: the corrected design holds, and what was published breaks as its reviewers feared. */
import { describe, expect, it } from "vitest"
import { notifier2008 } from "../../spec/notifier/2008/index.ts"
import {
  expectSourced,
  foundAsRecorded,
  holdAndExercise,
  holds,
  missingFrom,
  scenariosIn,
  statedIn,
  told,
} from "./support.ts"

const scenario = scenariosIn([notifier2008], "notifier/2008/")

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
    const { statistics } = await holds(scenario(name).program(bound))
    expect(statistics.states).toBeGreaterThan(300)
  })

  it("put every property and every named step to the test in some scenario", async () => {
    const small: Record<string, Record<string, number>> = { "notifier/2008/exit": { truncate: 0 } }
    await holdAndExercise(notifier2008.scenarios.map(({ id, program }) => program(small[id] ?? {})))
  })

  it("state the rules of the mail, each in a sentence with its source", () => {
    const wanted = `N08-COUNTER N08-RANGE N08-BEGIN-END-INSIDE N08-PTE-THEN-CB N08-RMAP-FIRST N08-FLAG-LOCKED
      N08-NO-SLEEP-RCU N08-MKCLEAN MIRROR-NO-UAF MIRROR-AGREE MIRROR-DIRTY`.split(/\s+/)
    expect(missingFrom(statedIn(notifier2008), wanted)).toEqual([])
    expectSourced(notifier2008)
  })

  it("keep to the rules of the language of programs, as far as they can be checked", async () => {
    for (const [name, bound] of [
      ["range-list", { pages: 1, invalidations: 1, devices: 1 }],
      ["age", { counters: 2 }],
    ] as const) {
      await holds(scenario(name).program(bound), { paranoid: true })
    }
  })
})

describe("the notifiers of 2008", () => {
  foundAsRecorded(notifier2008)

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
    for (const mail of ["Linux rmaps are walked", "the patch of January 2008"]) expect(sources).toContain(mail)
  })
})
