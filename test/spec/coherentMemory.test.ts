/** The questions of 2022 about coherent memory: every answer is put to the test, and broken by some bug. */
import { describe, expect, it } from "vitest"
import { cell, type Monitor, protocolOf, scenario } from "../../checker/index.ts"
import { coherentBugs } from "../../spec/deviceMemory/coherent/bugs.ts"
import { accesses, costs, stories } from "../../spec/deviceMemory/coherent/cost.ts"
import { coherentPairs } from "../../spec/deviceMemory/coherent/pairs.ts"
import { acceptance } from "../../spec/deviceMemory/coherent/seed000.ts"
import { seed003 } from "../../spec/deviceMemory/coherent/seed003.ts"
import { deviceMemory } from "../../spec/deviceMemory/index.ts"
import { deviceProperties } from "../../spec/deviceMemory/properties.ts"
import { deviceRace } from "../../spec/deviceMemory/world.ts"
import { canMeet, operation, operations } from "../../spec/mm/operations.ts"
import type { Operation } from "../../spec/mm/world.ts"
import { long } from "../long.ts"
import { explored, holds, scenariosIn } from "./support.ts"

const entryOf = scenariosIn([deviceMemory])
const own = new Set(deviceProperties.map(({ id }) => id))

describe("coherent memory", () => {
  it.each([...seed003, acceptance].map(({ id, properties }) => [id, properties] as const))(
    "holds in %s, and every answer is put to the test",
    async (id, properties) => {
      const result = await holds(entryOf(id).program())
      const answers = new Set(properties.map((one) => one.id).filter((one) => !own.has(one)))
      expect(result.exercised.filter((one) => answers.has(one.id) && one.times === 0)).toEqual([])
    },
  )

  it("has a bug for each answer", () => {
    const answers = seed003.flatMap(({ properties }) => properties.map(({ id }) => id)).filter((id) => !own.has(id))
    const broken = new Set(coherentBugs.map(({ breaks }) => breaks))
    expect([...new Set(answers)].filter((id) => !broken.has(id))).toEqual([])
  })

  const cellOf = (a: Operation, b: Operation) =>
    scenario({
      id: `cell/${a.id}+${b.id}`,
      summary: "two operations meet on a page of coherent memory",
      setup: () => deviceRace(["coherent"], [a, b], { gpus: ["coherent"] }),
      properties: deviceProperties,
    })
  const concerned = operations.filter(({ actor, pages }) => actor !== "sva" && pages.includes("anon"))
  const cells = concerned.flatMap((a, position) =>
    concerned
      .slice(position)
      .filter((b) => canMeet(a, b))
      .map((b) => cellOf(a, b)),
  )

  it.each(
    (long ? cells : cells.filter(({ id }) => id === "cell/pin-fast-write+fork")).map(
      (cell) => [cell.id, cell] as const,
    ),
  )("holds in %s, every state visited", async (_, cell) => {
    const [entry] = protocolOf(cell).scenarios
    await holds(entry?.program() ?? expect.fail())
  })

  it("may be refused to either of two that pin it for good at once, and to both, as each stands in the other's way", async () => {
    const pin = operation("pin-longterm")
    const outcome = (id: string, statement: string, gotIt: (threads: number) => boolean) => {
      const both = scenario({
        id,
        summary: "two threads pin a page of coherent memory for good",
        setup: () => {
          const setup = deviceRace(["coherent"], [pin, pin], { gpus: ["coherent"] })
          const got = cell("got", 0)
          const count: Monitor = {
            "dma_map_page (long-term)": () => {
              got.value++
            },
          }
          return { ...setup, world: { got }, monitors: [...(setup.monitors ?? []), count] }
        },
        properties: [
          {
            kind: "atEnd",
            id,
            statement,
            source: "mm/gup.c: migrate_longterm_unpinnable_folios does not try coherent memory again",
            holds: ({ got }) => gotIt(got.value),
          },
        ],
      })
      const [entry] = protocolOf(both).scenarios
      return explored(entry?.program() ?? expect.fail())
    }
    const everyone = await outcome("both", "Both get it.", (threads) => threads === 2)
    expect(everyone.violation?.property).toBe("both")
    // Who fails unlocks the folio and then puts it: between the two the other one fails as well.
    const anyone = await outcome("one", "One gets it.", (threads) => threads >= 1)
    expect(anyone.violation?.property).toBe("one")
  })

  it("is left to the device by a driver that maps for reading on read faults, at the price of a fault more", () => {
    for (const story of stories) {
      for (const done of accesses) {
        const [faults, copies] = costs["for writing"][story][done]
        const [moreFaults, fewerCopies] = costs["read-only"][story][done]
        expect(moreFaults, `${story}: ${done}`).toBe(faults + (done === "load, store" ? 1 : 0))
        expect(fewerCopies, `${story}: ${done}`).toBe(story === "forked" && done === "load" ? 0 : copies)
        const [faultsAsAllowed, copiesAsAllowed] = costs["as allowed"][story][done]
        expect(faultsAsAllowed).toBe(story === "unmapped" ? faults : moreFaults)
        expect(copiesAsAllowed).toBe(fewerCopies)
      }
    }
  })

  it("is explored in these cells by default, in those of every two with SHOOTDOWN_LONG=1", () => {
    expect(coherentPairs.map(({ id }) => id)).toEqual([
      "device/coherent/gpu+gpu",
      "device/coherent/gpu+call",
      "device/coherent/gpu+reclaim",
      "device/coherent/fork+call",
      "device/coherent/pin-longterm+call",
      "device/coherent/migrate-to-device+call",
    ])
  })
})
