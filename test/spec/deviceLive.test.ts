/** What device memory promises to come about: at larger bounds too, and broken by each of the bugs as recorded. */
import { readFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { type Bound, explore, replay, type SearchOptions, strategies } from "../../checker/index.ts"
import { deviceLive } from "../../spec/deviceMemory/live/index.ts"

const options: SearchOptions = { maxSteps: 10_000, seed: 1 }
const states = (() => {
  const found = strategies.find(({ name }) => name === "states")
  if (found === undefined) throw new Error("no strategy states")
  return found
})()
const scenarioOf = (id: string) => {
  const found = deviceLive.scenarios.find((one) => one.id === id)
  if (found === undefined) throw new Error(`no scenario ${id}`)
  return found
}

const larger: ReadonlyArray<readonly [string, Bound]> = [
  ["private-faults", { cpus: 1, drivers: 1 }],
  ["private-faults", { cpus: 2, drivers: 0 }],
  ["lru-drain", {}],
  ["longterm-pin", { migrations: 2, cpus: 0 }],
  ["unbind", { cpus: 0, migrations: 1 }],
  ["unbind-pinned", {}],
  ["close", { cpus: 1 }],
  ["exclusive", { cpus: 2 }],
  // Two GPUs have nearly a million states.
  ...(process.env.SHOOTDOWN_LONG === undefined ? [] : [["ping-pong", { gpus: 2, cpus: 0 }] as const]),
]

describe("what device memory promises", () => {
  it.each(larger)("holds in %s at %o, every state visited", async (name, bound) => {
    const program = scenarioOf(`device/live/${name}`).program(bound)
    const result = await Effect.runPromise(explore(program, states, { ...options, paranoid: true }))
    expect(result.violation).toBeUndefined()
    expect(result.outcome).toBe("holds")
    expect(result.exercised.filter(({ times }) => times === 0)).toEqual([])
  })

  it("has a bug for each of its properties", () => {
    const broken = new Set(deviceLive.bugs.map(({ breaks }) => breaks))
    const stated = new Set(deviceLive.scenarios.flatMap(({ properties }) => properties.map(({ id }) => id)))
    expect([...stated].filter((id) => !broken.has(id))).toEqual([])
  })

  it.each(deviceLive.bugs.map((bug) => [bug.id, bug] as const))(
    "breaks with %s as recorded",
    async (id, { breaks, scenario }) => {
      const recorded = JSON.parse(await readFile(new URL(`../../counterexamples/${id}.json`, import.meta.url), "utf8"))
      expect(recorded.property).toBe(breaks)
      expect(replay(scenarioOf(scenario).program(recorded.bound, id), recorded).kind).toBe("reproduced")
    },
  )
})
