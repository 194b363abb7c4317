/** What is proved of a mutant, against exploring the mutant, on random programs. */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { expect, it } from "vitest"
import { learn, MutationRun, mutantAt, type Protocol, type ScenarioEntry, statesToLearn } from "../../checker/index.ts"
import { long } from "../long.ts"
import { guardedProgram, interpretGuarded } from "./guardedPrograms.ts"
import { interpretLocked, lockedProgram } from "./lockedPrograms.ts"
import { killsNothing } from "./mutating.ts"
import { randomProgram } from "./programArbitrary.ts"
import { interpret } from "./randomProgram.ts"
import { survey } from "./support.ts"

/** `SHOOTDOWN_LONG=1 npx vitest run test/checker/mutationProofs.test.ts` compares many more programs. */
const wanted = long ? 3_000 : 60

/** Larger programs are passed over. */
const budget = { maxSteps: 500, maxStates: 400 }

const protocolWith = (scenario: ScenarioEntry): Protocol => ({
  id: "random",
  title: "",
  scenarios: [scenario],
  bugs: [],
})

it("mutants that are proved equivalent end as the correct program does, and break what it breaks", async () => {
  const proved = new Map<string, number>()
  const compare = fc.asyncProperty(randomProgram, async (source) => {
    const scenario = interpret(source)
    const { mutants } = await Effect.runPromise(learn(protocolWith(scenario), budget, () => Effect.void))
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

const byMovers = /\bcommutes?\b/

it("mutants that are proved to do the same as the protocol bring about nothing else", async () => {
  const proved = new Map<string, number>()
  const count = (what: string) => proved.set(what, (proved.get(what) ?? 0) + 1)
  const compare = async (scenario: ScenarioEntry) => {
    const protocol = protocolWith(scenario)
    const { maxSteps, maxStates } = budget
    const learning = { maxSteps, maxStates: statesToLearn(maxStates) }
    const { mutants } = await Effect.runPromise(learn(protocol, learning, () => Effect.void))
    const { mutants: judged } = await Effect.runPromise(new MutationRun(protocol).carryOut(budget, killsNothing))
    const correct = await survey(scenario.program(), "states")
    for (const { id, verdict, reason = "", operator } of judged) {
      const mutant = mutants.find((each) => each.id === id)
      const [rung] = mutant?.rungs ?? []
      if (mutant === undefined || rung === undefined) throw new Error(`${id} can be seen nowhere`)
      if (verdict !== "equivalent" || mutant.equivalent !== undefined) continue
      const found = await survey(mutantAt(mutant, rung), "states")
      // Each run of such a mutant is one of the protocol: who takes a lock earlier, or keeps it longer, may have fewer.
      expect([id, reason, [...found.finals].filter((final) => !correct.finals.has(final))]).toEqual([id, reason, []])
      count(`${operator} by ${byMovers.test(reason) ? "movers" : "memory"}`)
    }
  }
  const source = fc.oneof(
    randomProgram.map(interpret),
    guardedProgram.map((source) => interpretGuarded(source)),
    lockedProgram.map(interpretLocked),
  )
  await fc.assert(fc.asyncProperty(source, compare), { numRuns: wanted, seed: 11 })
  for (const what of ["swap by movers", "split by movers", "leave-out by memory"]) {
    expect([what, proved.get(what) ?? 0]).not.toEqual([what, 0])
  }
})
