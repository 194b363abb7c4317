/** KVM: the correct order holds, every property is put to the test and can be broken. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { explore, type SearchOptions, strategies } from "../../checker/index.ts"
import { kvm } from "../../spec/driver/kvm/index.ts"

const options: SearchOptions = { maxSteps: 10_000, seed: 1 }
const states = strategies.find(({ name }) => name === "states")
if (states === undefined) throw new Error("no strategy states")

const scenario = (name: string) => {
  const found = kvm.scenarios.find(({ id }) => id === `driver/kvm/${name}`)
  if (found === undefined) throw new Error(`no scenario ${name}`)
  return found
}

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
    const result = await Effect.runPromise(explore(scenario(name).program(bound), states, options))
    expect(result.violation).toBeUndefined()
    expect(result.outcome).toBe("holds")
    expect(result.statistics.states).toBeGreaterThan(1_000)
  })

  it("puts every property and every named step to the test in some scenario", { timeout: 120_000 }, async () => {
    const exercised = new Map<string, number>()
    const taken = new Map<string, number>()
    for (const { id, program } of kvm.scenarios) {
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

  it("has a seeded bug for every property", () => {
    const broken = new Set(kvm.bugs.map(({ breaks }) => breaks))
    const stated = new Set(kvm.scenarios.flatMap(({ properties }) => properties.map(({ id }) => id)))
    expect([...stated].filter((id) => !broken.has(id))).toEqual([])
    expect([...broken].filter((id) => !stated.has(id))).toEqual(["deadlock"])
  })

  it("states the rules of the reference, each in a sentence with its source", () => {
    const stated = kvm.scenarios.flatMap(({ properties }) => properties)
    const ids = new Set(stated.map(({ id }) => id))
    const wanted = `MIRROR-AGREE MIRROR-NO-INSTALL-IN-WINDOW MIRROR-NO-UAF MIRROR-PERM MIRROR-NO-REF KVM-RETRY
      KVM-RANGE-COVERS KVM-COUNT-NONNEG KVM-MEMSLOT-STABLE NOTIFIER-RELEASE-BEFORE-FREE L-RETRY`.split(/\s+/)
    expect(wanted.filter((id) => !ids.has(id))).toEqual([])
    for (const { id, statement, source } of stated) {
      expect(statement, id).toMatch(/^\w.* .*\.$/)
      expect(source, id).not.toBe("")
    }
  })

  it("keeps to the rules of the language of programs, as far as they can be checked", {
    timeout: 120_000,
  }, async () => {
    for (const [name, bound] of [
      ["overlapping", { pages: 1, vcpus: 1, invalidations: 1 }],
      ["pfn-cache", {}],
      ["exit", {}],
    ] as const) {
      const result = await Effect.runPromise(
        explore(scenario(name).program(bound), states, { ...options, paranoid: true }),
      )
      expect(result.violation).toBeUndefined()
      expect(result.outcome).toBe("holds")
    }
  })
})
