/** The HMM of 2019: corrected it holds, and what was published, documented and posted breaks as was found later. */
import { readFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { explore, replay, type SearchOptions, strategies } from "../../checker/index.ts"
import { hmm2019 } from "../../spec/hmm/2019/index.ts"

const options: SearchOptions = { maxSteps: 10_000, seed: 1 }
const states = (() => {
  const found = strategies.find(({ name }) => name === "states")
  if (found === undefined) throw new Error("no strategy states")
  return found
})()
const scenario = (name: string) => {
  const found = hmm2019.scenarios.find(({ id }) => id === name || id === `hmm/2019/${name}`)
  if (found === undefined) throw new Error(`no scenario ${name}`)
  return found
}

/** Each scenario at a bound that is explored in an instant, and all together take every step. */
const small: ReadonlyArray<readonly [string, Readonly<Record<string, number>>]> = [
  ["fault", { pages: 1, devices: 1, cpus: 1 }],
  ["fault", { pages: 2, devices: 1, cpus: 1 }],
  ["fault", { pages: 1, devices: 1, cpus: 2 }],
  ["dropped-lock", { pages: 1, devices: 1, cpus: 1 }],
  ["non-blockable", { attempts: 2, leaves: 0, cpus: 0 }],
  ["non-blockable", { attempts: 1, leaves: 1, cpus: 0 }],
  ["unregister", { pages: 1, devices: 1, cpus: 1 }],
  ["register", { pages: 1, devices: 1, cpus: 1 }],
  ["succession", { pages: 1 }],
  ["exit", { pages: 1, devices: 1, cpus: 1 }],
  ["dma-map", { pages: 2, cpus: 1 }],
]

describe("the HMM of 2019, corrected", () => {
  it("holds, and puts every property and every named step to the test", async () => {
    const exercised = new Map<string, number>()
    const taken = new Map<string, number>()
    for (const [name, bound] of small) {
      const result = await Effect.runPromise(explore(scenario(name).program(bound), states, options))
      expect(result.violation, name).toBeUndefined()
      expect(result.outcome, name).toBe("holds")
      for (const { id, times } of result.exercised) exercised.set(id, (exercised.get(id) ?? 0) + times)
      for (const [step, times] of result.steps) taken.set(step, (taken.get(step) ?? 0) + times)
    }
    expect([...exercised].filter(([, times]) => times === 0)).toEqual([])
    expect([...taken].filter(([, times]) => times === 0)).toEqual([])
  })

  it("keeps to the rules of the language of programs, as far as they can be checked", async () => {
    const program = scenario("non-blockable").program({ attempts: 1, leaves: 0, cpus: 0 })
    const result = await Effect.runPromise(explore(program, states, { ...options, paranoid: true }))
    expect(result.violation).toBeUndefined()
    expect(result.outcome).toBe("holds")
  })

  it("has a bug for each of its properties", () => {
    const broken = new Set(hmm2019.bugs.map(({ breaks }) => breaks))
    const stated = new Set(hmm2019.scenarios.flatMap(({ properties }) => properties.map(({ id }) => id)))
    expect([...stated].filter((id) => !broken.has(id))).toEqual([])
  })
})

describe("the HMM of 2019", () => {
  it.each(hmm2019.bugs.map((bug) => [bug.id, bug] as const))("breaks with %s as recorded", async (id, bug) => {
    const entry = scenario(bug.scenario)
    const recorded = JSON.parse(await readFile(new URL(`../../counterexamples/${id}.json`, import.meta.url), "utf8"))
    expect(recorded.property).toBe(bug.breaks)
    expect(replay(entry.program(recorded.bound, id), recorded).kind).toBe("reproduced")
    expect(replay(entry.program(recorded.bound), recorded).kind).not.toBe("reproduced")
  })
})
