/** KVM: the correct order holds, every property is put to the test and can be broken. */
import { describe, expect, it } from "vitest"
import type { Bound } from "../../checker/index.ts"
import { kvm } from "../../spec/driver/kvm/index.ts"
import { long } from "../long.ts"
import { brokenIn, expectSourced, holdAndExercise, holds, missingFrom, scenariosIn, statedIn } from "./support.ts"

const scenario = scenariosIn([kvm], "driver/kvm/")

/** Smaller bounds than the default ones, at which everything still happens; that reclaim flushes late, in `calls`. */
const small: Record<string, Record<string, number>> = {
  "driver/kvm/overlapping": { calls: 2 },
  "driver/kvm/lockless": { invalidations: 1 },
  "driver/kvm/aging": { invalidations: 0 },
  "driver/kvm/memslots": { invalidations: 1 },
}

/** Larger bounds than the default ones. */
const larger: Array<[string, Bound]> = [
  ["calls", { pages: 1, vcpus: 2, invalidations: 1 }],
  ["exit", { vcpus: 2, invalidations: 1 }],
  ["zap-all", { pages: 2, vcpus: 1, invalidations: 1 }],
]
if (long) {
  larger.push(
    ["calls", { pages: 2, vcpus: 1, invalidations: 1 }],
    ["overlapping", { pages: 2, vcpus: 1, invalidations: 2, calls: 5 }],
    ["overlapping", { pages: 1, vcpus: 2, invalidations: 2, calls: 2 }],
    ["lockless", { pages: 2, vcpus: 1, invalidations: 2 }],
  )
}

/** What is also looked at with suspicion, at bounds that allow for that. */
const suspected: Array<[string, Bound]> = [
  ["pfn-cache", {}],
  ["exit", {}],
]
if (long) suspected.push(["overlapping", { pages: 1, vcpus: 1, invalidations: 1 }])

describe("KVM", () => {
  it.each(larger)("holds in %s at %o, every state visited", async (name, bound) => {
    const { statistics } = await holds(scenario(name).program(bound))
    expect(statistics.states).toBeGreaterThan(1_000)
  })

  it("puts every property and every named step to the test in some scenario", async () => {
    await holdAndExercise(kvm.scenarios.map(({ id, program }) => program(small[id] ?? {})))
  })

  it("has a seeded bug for every property", () => {
    const [stated, broken] = [statedIn(kvm), brokenIn(kvm)]
    expect(missingFrom(broken, stated)).toEqual([])
    expect(missingFrom(stated, broken)).toEqual(["deadlock"])
  })

  it("states the rules of the protocol, each in a sentence with its source", () => {
    const wanted = `MIRROR-AGREE MIRROR-NO-INSTALL-IN-WINDOW MIRROR-NO-UAF MIRROR-PERM MIRROR-NO-REF KVM-RETRY
      KVM-RANGE-COVERS KVM-COUNT-NONNEG KVM-MEMSLOT-STABLE NOTIFIER-RELEASE-BEFORE-FREE L-RETRY`.split(/\s+/)
    expect(missingFrom(statedIn(kvm), wanted)).toEqual([])
    expectSourced(kvm)
  })

  it.each(suspected)("keeps to the rules of the language of programs in %s at %o", async (name, bound) => {
    await holds(scenario(name).program(bound), { paranoid: true })
  })
})
