/** Memory that is mapped without pages: it holds, and every rule is put to the test and broken by a seeded bug. */
import { describe, expect, it } from "vitest"
import { ttm } from "../../spec/driver/ttm/index.ts"
import { directIo, evict } from "../../spec/driver/ttm/scenarios.ts"
import { long } from "../long.ts"
import { brokenIn, holds, missingFrom, statedIn } from "./support.ts"

describe("memory without pages", () => {
  it.each(ttm.scenarios.map(({ id, program }) => ({ id, program })))(
    "$id holds, every state visited",
    async ({ id, program }) => {
      const result = await holds(program(id === evict.id ? { processes: 1 } : {}), {
        paranoid: long && id === directIo.id,
      })
      expect(result.exercised.filter(({ times }) => times === 0)).toEqual([])
      expect([...result.steps].filter(([, times]) => times === 0)).toEqual([])
    },
  )

  it("has a bug for each of its properties", () => {
    expect(missingFrom(brokenIn(ttm), statedIn(ttm))).toEqual([])
  })
})
