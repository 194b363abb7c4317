/** What the correct program proves of a mutant, against exploring the mutant, on random programs. */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { expect, it } from "vitest"
import { learn, mutantAt } from "../../checker/index.ts"
import { interpret, randomProgram } from "./randomProgram.ts"
import { survey } from "./support.ts"

/** `SHOOTDOWN_LONG=1 npx vitest run test/checker/mutationProofs.test.ts` compares many more programs. */
const wanted = process.env.SHOOTDOWN_LONG !== undefined ? 3_000 : 100

/** Larger programs are passed over. */
const budget = { maxSteps: 500, maxStates: 400 }

it("mutants that are proved equivalent end as the correct program does, and break what it breaks", async () => {
  const proved = new Map<string, number>()
  const compare = fc.asyncProperty(randomProgram, async (source) => {
    const scenario = interpret(source)
    const { mutants } = await Effect.runPromise(
      learn({ id: "random", title: "", scenarios: [scenario], bugs: [] }, budget, () => Effect.void),
    )
    const equivalent = mutants.filter((mutant) => mutant.equivalent !== undefined)
    if (equivalent.length === 0) return
    const correct = await survey(scenario.program(), "states")
    for (const mutant of equivalent) {
      const [rung] = mutant.rungs
      if (rung === undefined) throw new Error(`${mutant.id} can be seen nowhere`)
      const found = await survey(mutantAt(mutant, rung), "states")
      expect([mutant.id, found.result.outcome]).toEqual([mutant.id, correct.result.outcome])
      expect([mutant.id, found.broken]).toEqual([mutant.id, correct.broken])
      if (!String(mutant.equivalent).startsWith("nothing reads")) {
        expect([mutant.id, found.finals]).toEqual([mutant.id, correct.finals])
      }
      const { operator } = mutant.mutation
      proved.set(operator, (proved.get(operator) ?? 0) + 1)
    }
  })
  await fc.assert(compare, { numRuns: wanted, seed: 9 })
  for (const operator of ["swap", "split", "open-guard"]) expect(proved.get(operator)).toBeGreaterThan(0)
})
