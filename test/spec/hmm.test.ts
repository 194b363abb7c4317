/** HMM of today: every rule of its own is broken by a seeded bug. */
import { describe, expect, it } from "vitest"
import { protocolOf, scenario } from "../../checker/index.ts"
import { hmmDmaMapAlloc } from "../../model/hmm/dmaMap.ts"
import { hmmDma } from "../../spec/hmm/dma/index.ts"
import { dmaWorld } from "../../spec/hmm/dma/world.ts"
import { hmmHuge } from "../../spec/hmm/huge/index.ts"
import { hmmRequests } from "../../spec/hmm/requests/index.ts"
import { hmmSeed001 } from "../../spec/hmm/seed001/index.ts"
import { brokenIn, missingFrom, statedIn } from "./support.ts"

const protocols = [hmmRequests, hmmDma, hmmSeed001, hmmHuge]

it.each(protocols.map((protocol) => [protocol.id, protocol] as const))(
  "%s has a bug for each of its own rules",
  (_, protocol) => {
    // What is true of every mirror is broken by the bugs of drivers.
    const own = [...statedIn(protocol)].filter((id) => /^(HMM|DMA|SEED001)-/.test(id))
    expect(missingFrom(brokenIn(protocol), own)).toEqual([])
  },
)

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
