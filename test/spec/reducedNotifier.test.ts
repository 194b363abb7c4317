/**
 * The reduced interval notifier against numbers from a program that has nothing of the checker: a search over the same
 * cells, with fibers numbered by their history since the last checkpoint.
 */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  type Bound,
  changeResult,
  explore,
  protocol,
  type ScenarioEntry,
  type SearchOptions,
  type SeededBug,
  strategies,
} from "../../checker/index.ts"
import { benchmarkProtocol, benchmarks } from "../../spec/benchmark/index.ts"
import { reducedNotifier } from "../../spec/benchmark/reducedNotifier.ts"

const options: SearchOptions = { maxSteps: 10_000, seed: 1 }

const scenarioOf = (id: string) => benchmarkProtocol.scenarios.find((scenario) => scenario.id === id)

const exploreAll = (
  scenario: ScenarioEntry | undefined,
  bound: Bound,
  mutant?: string,
  more: Partial<SearchOptions> = {},
) => {
  const [states] = strategies
  if (scenario === undefined || states === undefined) throw new Error("there is no such scenario")
  const program = scenario.program(bound, mutant)
  return Effect.runPromise(explore(program, states, { ...options, ...more }, {}))
}

const counts: ReadonlyArray<
  readonly [devices: number, pages: number, invalidations: number, states: number, transitions: number]
> = [
  [1, 1, 1, 75, 110],
  [2, 1, 1, 992, 2_183],
  [1, 2, 2, 331, 554],
  [1, 1, 3, 707, 1_183],
  [1, 3, 3, 966, 1_696],
  [2, 1, 2, 10_312, 25_379],
  [2, 2, 2, 11_037, 28_011],
  [3, 1, 1, 13_773, 41_164],
]

describe("the reduced notifier", () => {
  it.each(counts)("with %i devices, %i pages, %i invalidations", async (...row) => {
    const [devices, pages, invalidations, states, transitions] = row
    const result = await exploreAll(scenarioOf("benchmark/reduced-notifier"), { devices, pages, invalidations })
    expect(result.outcome).toBe("holds")
    expect([result.statistics.states, result.statistics.transitions]).toEqual([states, transitions])
  })

  it("has an invariant that breaks when the device does not look again", async () => {
    const bug: SeededBug<unknown> = {
      id: "no-retry",
      title: "the device maps what it saw",
      source: "this test",
      scenario: reducedNotifier.id,
      breaks: "useAfterFree",
      at: () => ({ mmu_interval_read_retry: changeResult(() => false) }),
    }
    const [scenario] = protocol({ id: "", title: "", scenarios: [reducedNotifier], bugs: [bug] }).scenarios
    const bound = { devices: 1, pages: 1, invalidations: 1 }
    const result = await exploreAll(scenario, bound, "no-retry")
    expect(result.violation?.property).toBe("useAfterFree")
  })

  it("called in any order ends in all the states in which it ends in one order, and comes through more", async () => {
    const bound = { devices: 2, pages: 1, invalidations: 1 }
    const finals = async (name: string, symmetry: boolean) => {
      const found = new Set<string>()
      const survey = { violation: () => undefined, final: (cells: string) => void found.add(cells) }
      const { outcome, statistics } = await exploreAll(scenarioOf(name), bound, undefined, { survey, symmetry })
      expect(outcome).toBe("holds")
      return { found, states: statistics.states }
    }
    const fixed = await finals("benchmark/reduced-notifier", true)
    const apart = await finals("benchmark/reduced-notifier-any-order", false)
    const any = await finals("benchmark/reduced-notifier-any-order", true)
    expect(apart.found).toEqual(fixed.found)
    expect(apart.states).toBeGreaterThan(fixed.states)
    expect(any.states).toBeLessThan(0.6 * apart.states)
  })

  it("has benchmarks whose bounds its scenarios take", () => {
    for (const { bound, scenario } of benchmarks) expect(scenario.program(bound).bound).toMatchObject(bound ?? {})
  })
})
