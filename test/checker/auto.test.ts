import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { lastzero, readers } from "../../checker/bench/programs/dpor.ts"
import { publishedProgram } from "../../checker/bench/programs/index.ts"
import { litmus } from "../../checker/bench/programs/threads.ts"
import { cell, checkpoint, step } from "../../checker/index.ts"
import { programOf, run } from "./support.ts"

describe("auto", () => {
  it("is decided by optimal where orders are few and states many", async () => {
    const program = publishedProgram({
      name: "apart",
      threads: litmus(...Array.from({ length: 6 }, (_, i) => `Wa${i} Wb${i} Wc${i} Wd${i} We${i} Wf${i} Wg${i}`)),
    })
    const result = await run(program, "auto", { maxSteps: 500 })
    expect(result).toMatchObject({ outcome: "holds", decidedBy: "optimal" })
    expect(result.statistics.executions).toBe(1)
    expect(result.statistics.states).toBe(0)
  })

  it("is decided by states where states are few and orders many", async () => {
    const program = publishedProgram({ name: "adders", threads: litmus(...Array.from({ length: 8 }, () => "Wx Wx")) })
    const result = await run(program, "auto")
    expect(result).toMatchObject({ outcome: "holds", decidedBy: "states" })
    expect(result.statistics.executions).toBe(0)
    expect(result.statistics.states).toBeGreaterThan(0)
  })

  it("is the same every time", async () => {
    for (const threads of [readers(6), lastzero(4)]) {
      const [one, other] = await Promise.all([1, 2].map(() => run(publishedProgram({ name: "same", threads }), "auto")))
      expect(one).toEqual({ ...other, seconds: one?.seconds })
    }
  })

  it("samples when neither has an end, and says so", async () => {
    const program = programOf(() => {
      const count = cell("count", 0)
      const endless = Effect.gen(function* () {
        for (let i = 0; ; i++) {
          yield* checkpoint("round", i)
          yield* step("up", () => {
            count.value++
          })
        }
      })
      return { world: undefined, fibers: { endless } }
    })
    const result = await run(program, "auto", { maxSteps: 50, executions: 20 })
    expect(result.outcome).toBe("inconclusive")
    for (const name of ["states", "optimal", "surw"]) expect(result.reason).toContain(`${name}: `)
  })

  it("gives samplers the rest of the time", async () => {
    const program = publishedProgram({
      name: "large",
      threads: litmus(...Array.from({ length: 12 }, (_, i) => `Wx=${i} Rx Wx=${i + 20} Rx`)),
    })
    const result = await run(program, "auto", { executions: 10 }, { milliseconds: 6_000 })
    expect(result.outcome).toBe("inconclusive")
    expect(result.reason).toMatch(/schedules were (drawn|taken).* by surw/)
  })
})
