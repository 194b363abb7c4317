/** Today's mmu notifier: the corrected model holds, what was published breaks where it was read to, and each rule can break. */
import { describe, expect, it } from "vitest"
import type { Bound } from "../../checker/index.ts"
import { mmuNotifier } from "../../spec/notifier/mmuNotifier/index.ts"
import { long } from "../long.ts"
import {
  brokenIn,
  bugIn,
  expectSourced,
  foundAsRecorded,
  holdAndExercise,
  holds,
  missingFrom,
  recordedSteps,
  recordOf,
  scenariosIn,
  statedIn,
} from "./support.ts"

const scenario = scenariosIn([mmuNotifier], "notifier/mmu/")

/** Other bounds than the default ones. */
const larger: Array<[string, Bound]> = [
  ["register", { pages: 1, devices: 2, cpus: 0, exit: 0 }],
  ["first-insert", { pages: 1, devices: 1, cpus: 1 }],
  ["non-blockable", { pages: 1, attempts: 1, cpus: 0 }],
  ["unregister-vs-exit", { pages: 1, devices: 2, cpus: 0 }],
  ["release-once", { pages: 1, devices: 2 }],
  ["young", { devices: 2, asks: 2, damon: 0, cpus: 0 }],
  ["two-pass-refused", { pages: 1, devices: 1, attempts: 2, cpus: 0 }],
  ["own-migrate", { others: 0, cpus: 1 }],
  ["own-exclusive", { others: 0, cpus: 1 }],
]
if (long) {
  larger.push(
    ["overlapping", { pages: 1, counting: 2, refusing: 0, cpus: 2 }],
    ["overlapping", { pages: 2, counting: 1, refusing: 1, cpus: 1 }],
    ["get-put", { pages: 1, users: 1, cpus: 2 }],
    ["two-pass", { pages: 1, devices: 2, cpus: 1 }],
    ["secondary-tlb", { pages: 1, devices: 1, cpus: 2, exit: 0 }],
    ["read-begin", { pages: 2, cpus: 1, rounds: 3 }],
  )
}

describe("the mmu notifier of today, corrected", () => {
  it.each(larger)("holds in %s at %o, every state visited", async (name, bound) => {
    const { statistics } = await holds(scenario(name).program(bound))
    expect(statistics.states).toBeGreaterThan(300)
  })

  it("puts every property and every named step to the test in some scenario", async () => {
    const small: Record<string, Record<string, number>> = {
      "notifier/mmu/register": { cpus: 1 },
      "notifier/mmu/first-insert": { cpus: 1 },
      "notifier/mmu/overlapping": { cpus: 1 },
      "notifier/mmu/secondary-tlb": { exit: 0 },
      "notifier/mmu/read-begin": { rounds: 1 },
    }
    await holdAndExercise(mmuNotifier.scenarios.map(({ id, program }) => program(small[id] ?? {})))
  })

  it("states the invariants of the protocol, and each is broken by a seeded bug", () => {
    const [stated, broken] = [statedIn(mmuNotifier), brokenIn(mmuNotifier)]
    const wanted = `NOTIFIER-PAIRING NOTIFIER-NO-END-AFTER-EAGAIN NOTIFIER-FAIL-RESTORES NOTIFIER-BLOCKABLE-NEVER-FAILS
      NOTIFIER-FAILER-HAS-NO-END NOTIFIER-NO-ORPHAN-END NOTIFIER-ALL-CALLED
      NOTIFIER-EXCLUSIVE-OPS NOTIFIER-CB-CONTEXT NOTIFIER-NO-CB-AFTER-UNREGISTER NOTIFIER-FREE-AFTER-GRACE
      NOTIFIER-RELEASE-BEFORE-FREE NOTIFIER-RELEASE-IDEMPOTENT NOTIFIER-MMCOUNT NOTIFIER-SUBS-LIFETIME
      NOTIFIER-REG-NO-INFLIGHT NOTIFIER-REG-MMUSERS NOTIFIER-USERS-POS NOTIFIER-YOUNG-OR NOTIFIER-TESTYOUNG-SOUND
      NOTIFIER-START-WHILE-MAPPED L-UNREG L-REGISTER L-READBEGIN L-ITREE-LEAK`.split(/\s+/)
    expect(missingFrom(stated, wanted)).toEqual([])
    expect(missingFrom(broken, stated)).toEqual([])
    expectSourced(mmuNotifier)
  })

  it("keeps to the rules of the language of programs, as far as they can be checked", async () => {
    for (const [name, bound] of [
      ["release-once", { pages: 1, devices: 1 }],
      ["own-exclusive", { others: 1, cpus: 0 }],
    ] as const) {
      await holds(scenario(name).program(bound), { paranoid: true })
    }
  })
})

describe("the mmu notifier of today", () => {
  const recorded = async (id: string) => ({ steps: await recordedSteps(id), cycle: (await recordOf(id)).cycle })

  foundAsRecorded(mmuNotifier)

  it("leaves the interval tree's side open when the list refuses, as published, and the reader asleep", async () => {
    const story = [
      "svm0 mutex_lock(svm0.mutex)",
      "oom_reaper nouveau_svmm_invalidate_range_start: -EAGAIN(svm0)",
      "oom_reaper kvm_mmu_notifier_invalidate_range_end(kvm0, 0, 1)",
      "oom_reaper __oom_reap_task_mm: -EAGAIN(mm)",
      "svm0 mmu_interval_read_begin: prepare_to_wait(3)",
    ]
    const steps = await recordedSteps("refused-start-starves-reader")
    expect(steps.filter((step) => story.includes(step))).toEqual(story)
    expect(steps.some((step) => step.startsWith("oom_reaper mn_itree_inv_end"))).toBe(false)
    const { source, title } = bugIn(mmuNotifier, "refused-start-leaves-itree-open")
    expect(title).toContain("as published")
    for (const said of ["Found in the protocol as published", "not observed", "OOM reaper"]) {
      expect(source).toContain(said)
    }
  })

  it("starves a reader though both processors get on for ever, one of them nowhere near its range", async () => {
    const { steps, cycle } = await recorded("endless-invalidations-starve-reader")
    const forEver = steps.slice(cycle)
    const by = (fiber: string, step: string) => forEver.filter((each) => each.startsWith(`${fiber} ${step}`)).length
    for (const cpu of ["cpu0", "cpu1"]) {
      for (const step of ["mn_itree_inv_start_range", "mn_itree_inv_end"]) expect(by(cpu, step)).toBeGreaterThan(0)
    }
    expect(forEver.some((step) => step.startsWith("svm0"))).toBe(false)
    expect(steps.slice(0, cycle)).toContain("svm0 mmu_interval_read_begin: prepare_to_wait(3)")
    expect(forEver).toContain("cpu1 mn_itree_inv_start_range(mm, 1, 2, PROTECTION_PAGE, page_mkclean_one)")
  })

  it("sends a device round its retry loop for ever, with read_begin returning each time", async () => {
    const { steps, cycle } = await recorded("endless-invalidations-starve-retry")
    const forEver = steps.slice(cycle)
    for (const step of ["mmu_interval_read_begin(svm0)", "mmu_interval_read_retry(svm0)"]) {
      expect(forEver).toContain(`svm0 ${step}`)
    }
    expect(forEver.some((step) => step.includes("prepare_to_wait"))).toBe(false)
  })
})
