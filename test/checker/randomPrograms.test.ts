import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { builtIn } from "../../checker/index.ts"
import { long } from "../long.ts"
import { randomProgram, symmetricProgram } from "./programArbitrary.ts"
import { type Contents, expectedViolations, flatten, interpret, type RandomProgram } from "./randomProgram.ts"
import { type Found, run, survey, unconfirmed } from "./support.ts"

/** `SHOOTDOWN_LONG=1 npx vitest run test/checker/randomPrograms.test.ts` compares many more programs. */
const wanted = long ? 20_000 : 32

/** Programs of more schedules than this are passed over, so that enumerating them ends quickly. */
const schedules = 200

const counts = {
  compared: 0,
  broken: 0,
  deadlocked: 0,
  progress: 0,
  held: 0,
  branched: 0,
  looped: 0,
  called: 0,
  chosen: 0,
  preempted: 0,
}

const kinds = (program: RandomProgram) => new Set(program.fibers.flatMap(flatten).map(({ op }) => op))

const compare = async (source: RandomProgram): Promise<void> => {
  const program = interpret(source).program()
  const edges: Array<readonly [Contents, Contents]> = []
  const watched = interpret(source, (before, after) => edges.push([before, after])).program()
  const every = await survey(watched, "dfs", { executions: schedules })
  if (every.result.outcome === "inconclusive") return
  counts.compared++

  const judged = new Set([...every.violations].filter((text) => /^(sum|selected|premised|grows): /.test(text)))
  expect(judged).toEqual(expectedViolations(source.limits, edges))

  const states = await survey(program, "states")
  expect(states.result.outcome).toBe("holds") // a survey passes over violations
  expect(states.finals).toEqual(every.finals)
  expect(states.violations).toEqual(every.violations)

  const forgetful = await survey(program, "states", { parkedLimit: 2 })
  expect(forgetful).toEqual({ ...states, result: { ...states.result, seconds: forgetful.result.seconds } })

  for (const by of [{}, { delays: 1_000 }]) {
    const bounded = await survey(program, "bounded", by)
    expect(bounded.result.within).toBeUndefined()
    expect(bounded.result.statistics.executions).toBe(every.result.statistics.executions)
    expect(bounded.ends).toBe(every.ends)
    expect(bounded.finals).toEqual(every.finals)
    expect(bounded.violations).toEqual(every.violations)
  }

  const optimal = await survey(program, "optimal")
  expect(optimal.result.reason).toBeUndefined()
  expect(optimal.result.statistics.blocked).toBe(0)
  expect(optimal.result.statistics.executions).toBeLessThanOrEqual(every.result.statistics.executions)
  expect(optimal.finals).toEqual(every.finals)
  // What is said of a broken property may tell apart states that the property does not.
  expect(optimal.broken).toEqual(every.broken)

  const samples = await survey(program, "random", { executions: 20, seed: counts.compared })
  for (const final of samples.finals) expect(every.finals).toContain(final)
  for (const violation of samples.violations) expect(every.violations).toContain(violation)

  const expected = every.broken.size > 0 ? "violated" : "holds"
  for (const strategy of ["states", "optimal", "auto", "dfs", "bounded"]) {
    const plain = await run(program, strategy)
    expect(plain.outcome).toBe(expected)
    if (plain.outcome === "violated") {
      expect(unconfirmed(program, plain)).toBeUndefined()
      expect(every.broken).toContain(plain.violation?.property)
    }
  }
  for (const target of counts.compared % 2 === 0 ? [...every.broken].slice(0, 1) : ["selected"]) {
    const aimed = await run(program, "states", { target })
    expect(aimed.outcome).toBe(every.broken.has(target) ? "violated" : "holds")
    if (aimed.outcome === "violated") {
      expect(aimed.violation?.property).toBe(target)
      expect(unconfirmed(program, aimed)).toBeUndefined()
    }
  }

  const used = kinds(source)
  if (every.broken.size > 0) counts.broken++
  else counts.held++
  if (every.broken.has(builtIn.deadlock)) counts.deadlocked++
  if (every.broken.has("unlocked")) counts.progress++
  if (used.has("branch")) counts.branched++
  if (used.has("loop") || used.has("rounds")) counts.looped++
  if (used.has("call")) counts.called++
  if (used.has("choose")) counts.chosen++
}

/** A text about fibers that may change places: the least of what it becomes when they do. */
const canonical = (text: string, alike: number): string => {
  const orders = alike === 3 ? ["012", "021", "102", "120", "201", "210"] : ["01", "10"]
  const [least = ""] = orders
    .map((order) => text.replaceAll(/\bf(\d)\b/g, (name, n) => (Number(n) < alike ? `f${order[Number(n)]}` : name)))
    .map((renamed) => renamed.split("\n").toSorted().join("\n"))
    .toSorted()
  return least
}

const symmetric = { compared: 0, smaller: 0, broken: 0 }

const compareSymmetric = async (source: RandomProgram & { readonly alike: number }): Promise<void> => {
  const program = interpret(source).program()
  const every = await survey(program, "dfs", { executions: schedules })
  if (every.result.outcome === "inconclusive") return
  symmetric.compared++
  const apart = await survey(program, "states", { symmetry: false })
  const together = await survey(program, "states")
  // Not a word of its own declaration being wrong, and what one search finds the others find.
  expect(together.result.violation).toBeUndefined()
  const finals = ({ finals }: Found) => new Set([...finals].map((text) => canonical(text, source.alike)))
  const violations = ({ violations }: Found) =>
    new Set([...violations].map((text) => canonical(text.replaceAll(/; |: /g, "\n"), source.alike)))
  expect(apart.finals).toEqual(every.finals)
  expect(apart.violations).toEqual(every.violations)
  expect(finals(together)).toEqual(finals(every))
  expect(violations(together)).toEqual(violations(every))
  expect(together.result.statistics.states).toBeLessThanOrEqual(apart.result.statistics.states)
  if (together.result.statistics.states < apart.result.statistics.states) symmetric.smaller++
  if (every.broken.size > 0) symmetric.broken++
}

describe("random programs with interchangeable fibers", () => {
  it("mean the same with and without", async () => {
    await fc.assert(fc.asyncProperty(symmetricProgram, compareSymmetric), {
      seed: 20_27,
      numRuns: Math.ceil(wanted / 2),
    })
    expect(symmetric.compared).toBeGreaterThanOrEqual(wanted / 3)
    expect(symmetric.smaller).toBeGreaterThan(symmetric.compared / 2)
    expect(symmetric.broken).toBeGreaterThan(symmetric.compared / 4)
  })
})

describe("random programs", () => {
  it("mean the same to every strategy", async () => {
    await fc.assert(fc.asyncProperty(randomProgram, compare), { seed: 20_26, numRuns: Math.ceil(wanted * 1.4) })
    expect(counts.compared).toBeGreaterThanOrEqual(wanted)
    for (const [what, atLeast] of Object.entries({
      broken: 0.4,
      deadlocked: 0.1,
      progress: 0.02,
      held: 0.1,
      branched: 0.2,
      looped: 0.2,
      called: 0.2,
      chosen: 0.15,
    } satisfies Partial<typeof counts>)) {
      const share = counts[what as keyof typeof counts] / counts.compared
      expect(share, what).toBeGreaterThanOrEqual(atLeast)
    }
  })
})
