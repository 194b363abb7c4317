/** KVM: the correct order holds, every property is put to the test and can be broken. */
import { describe, expect, it } from "vitest"
import { kvm } from "../../spec/driver/kvm/index.ts"
import { brokenIn, expectSourced, holdAndExercise, holds, missingFrom, scenariosIn, statedIn } from "./support.ts"

const scenario = scenariosIn([kvm], "driver/kvm/")

/** Smaller bounds than the default ones, at which everything still happens. */
const small: Record<string, Record<string, number>> = {
  "driver/kvm/calls": { invalidations: 1 },
  "driver/kvm/overlapping": { calls: 2 },
  "driver/kvm/lockless": { invalidations: 1 },
  "driver/kvm/aging": { invalidations: 0 },
  "driver/kvm/memslots": { invalidations: 1 },
}

describe("KVM", () => {
  it.each([
    ["calls", { pages: 2, vcpus: 1, invalidations: 1 }],
    ["calls", { pages: 1, vcpus: 2, invalidations: 1 }],
    ["overlapping", { pages: 2, vcpus: 1, invalidations: 2, calls: 5 }],
    ["overlapping", { pages: 1, vcpus: 2, invalidations: 2, calls: 2 }],
    ["lockless", { pages: 2, vcpus: 1, invalidations: 2 }],
    ["exit", { vcpus: 2, invalidations: 1 }],
    ["zap-all", { pages: 2, vcpus: 1, invalidations: 1 }],
  ])("holds in %s at %o, every state visited", { timeout: 120_000 }, async (name, bound) => {
    const { statistics } = await holds(scenario(name).program(bound))
    expect(statistics.states).toBeGreaterThan(1_000)
  })

  it("puts every property and every named step to the test in some scenario", { timeout: 120_000 }, async () => {
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

  it("keeps to the rules of the language of programs, as far as they can be checked", {
    timeout: 120_000,
  }, async () => {
    for (const [name, bound] of [
      ["overlapping", { pages: 1, vcpus: 1, invalidations: 1 }],
      ["pfn-cache", {}],
      ["exit", {}],
    ] as const) {
      await holds(scenario(name).program(bound), { paranoid: true })
    }
  })
})
