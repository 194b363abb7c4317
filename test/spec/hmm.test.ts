/** HMM of today: its seeded bugs break as recorded, and every rule of its own is broken by one of them. */
import { readFile } from "node:fs/promises"
import { describe, expect, it } from "vitest"
import { protocolOf, replay, scenario } from "../../checker/index.ts"
import { hmmDmaMapAlloc } from "../../model/hmm/dmaMap.ts"
import { hmmDma } from "../../spec/hmm/dma/index.ts"
import { dmaWorld } from "../../spec/hmm/dma/world.ts"
import { hmmHuge } from "../../spec/hmm/huge/index.ts"
import { hmmRequests } from "../../spec/hmm/requests/index.ts"
import { hmmSeed001 } from "../../spec/hmm/seed001/index.ts"

const protocols = [hmmRequests, hmmDma, hmmSeed001, hmmHuge]

describe.each(protocols.map((protocol) => [protocol.id, protocol] as const))("%s", (_, { scenarios, bugs }) => {
  it("has a bug for each of its own rules", () => {
    const broken = new Set(bugs.map(({ breaks }) => breaks))
    const stated = new Set(scenarios.flatMap(({ properties }) => properties.map(({ id }) => id)))
    // What is true of every mirror is broken by the bugs of drivers.
    const own = [...stated].filter((id) => /^(HMM|DMA|SEED001)-/.test(id))
    expect(own.filter((id) => !broken.has(id))).toEqual([])
  })

  it.each(bugs.map((bug) => [bug.id, bug] as const))("breaks with %s as recorded", async (id, bug) => {
    const entry = scenarios.find((one) => one.id === bug.scenario)
    if (entry === undefined) throw new Error(`no scenario ${bug.scenario}`)
    const recorded = JSON.parse(await readFile(new URL(`../../counterexamples/${id}.json`, import.meta.url), "utf8"))
    expect(recorded.property).toBe(bug.breaks)
    expect(replay(entry.program(recorded.bound, id), recorded).kind).toBe("reproduced")
    expect(replay(entry.program(recorded.bound), recorded).kind).not.toBe("reproduced")
  })
})

describe("hmm_dma_map_alloc", () => {
  it("is refused to a device that copies: it and the process would not see the same memory", () => {
    const given: Array<boolean> = []
    const [entry] = protocolOf(
      scenario({
        id: "alloc",
        summary: "two devices, one of which copies",
        setup: () => {
          const setup = dmaWorld({ pages: 1, cpus: 0, useIova: true, uses: ["load"] })
          const { device } = setup.world.device.map
          for (const bounces of [false, true]) given.push(hmmDmaMapAlloc({ ...device, bounces }, "map", 1) !== null)
          return setup
        },
        properties: [],
      }),
    ).scenarios
    entry?.program().start()
    expect(given).toEqual([true, false])
  })
})
