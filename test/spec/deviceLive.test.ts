/** What device memory promises to come about: at larger bounds too, and each promise broken by a seeded bug. */
import { describe, expect, it } from "vitest"
import type { Bound } from "../../checker/index.ts"
import { deviceLive } from "../../spec/deviceMemory/live/index.ts"
import { long } from "../long.ts"
import { brokenIn, holds, missingFrom, scenariosIn, statedIn } from "./support.ts"

const scenarioOf = scenariosIn([deviceLive], "device/live/")

/** Other bounds than the default ones, or what is otherwise explored without suspicion. */
const larger: Array<[string, Bound]> = [["close", { cpus: 1 }]]
if (long) {
  larger.push(
    ["private-faults", { cpus: 1, drivers: 1 }],
    ["lru-drain", {}],
    ["exclusive", { cpus: 2 }],
    ["private-faults", { cpus: 2, drivers: 0 }],
    ["longterm-pin", { migrations: 2, cpus: 0 }],
    ["unbind", { cpus: 0, migrations: 1 }],
    ["unbind-pinned", {}],
    ["ping-pong", { gpus: 2, cpus: 0 }],
  )
}

describe("what device memory promises", () => {
  it.each(larger)("holds in %s at %o, every state visited", async (name, bound) => {
    const result = await holds(scenarioOf(name).program(bound), { paranoid: true })
    expect(result.exercised.filter(({ times }) => times === 0)).toEqual([])
  })

  it("has a bug for each of its properties", () => {
    expect(missingFrom(brokenIn(deviceLive), statedIn(deviceLive))).toEqual([])
  })
})
