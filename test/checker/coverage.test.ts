/** How often steps are taken, and which never are. */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Memoised } from "../../checker/engine/memoised.ts"
import {
  fork,
  guardedStep,
  interrupt,
  leaveOut,
  type Program,
  protocol,
  type SeededBug,
  scenario,
  step,
} from "../../checker/index.ts"
import { long } from "../long.ts"
import { randomProgram } from "./programArbitrary.ts"
import { interpret, type RandomProgram } from "./randomProgram.ts"
import { programOf, run, survey } from "./support.ts"

/** So many random programs are compared; `SHOOTDOWN_LONG=1` compares more. */
const wanted = long ? 2_000 : 30

const times = async (program: Program, strategy: string, executions?: number) =>
  Object.fromEntries((await run(program, strategy, executions === undefined ? {} : { executions })).steps)

const nothing = () => undefined

/** One fiber of two steps beside one of a single step. */
const three = programOf(() => ({
  world: {},
  fibers: {
    alice: Effect.andThen(step("one", nothing), step("two", nothing)),
    bob: step("three", nothing),
  },
}))

describe("how often steps are taken", () => {
  it("counts each transition between states once", async () => {
    expect(await times(three, "states")).toEqual({ one: 2, two: 2, three: 3 })
  })

  it("counts what schedules have in common once", async () => {
    expect(await times(three, "dfs")).toEqual({ one: 2, two: 3, three: 3 })
  })

  it("counts all executions of a sample", async () => {
    expect(await times(three, "random", 10)).toEqual({ one: 10, two: 10, three: 10 })
  })

  it("does not count a step at which a limit was met, as it is still to be taken", () => {
    const engine = new Memoised(three, { nodeLimit: 2 })
    engine.begin()
    expect(() => engine.take(0)).toThrow("different histories of fibers were learnt")
    expect(Object.fromEntries(engine.stepsTaken())).toEqual({ one: 0, three: 0 })
  })

  it("knows the steps that are reached and never taken", async () => {
    const program = programOf(() => ({
      world: {},
      fibers: {
        main: Effect.gen(function* () {
          const sleeper = yield* fork(
            "sleeper",
            guardedStep("sleep", () => false, nothing),
          )
          yield* interrupt(sleeper)
        }),
      },
    }))
    for (const strategy of ["states", "dfs"]) {
      expect(await times(program, strategy)).toEqual({ fork: 1, sleep: 0, interrupt: 1 })
    }
  })

  it("knows the steps that monitors and the scenario's own seeded bugs name", async () => {
    const bug = (id: string, of: string, name: string): SeededBug<object> => ({
      id,
      title: "a mistake",
      source: "the test",
      scenario: of,
      breaks: "nothing",
      at: (_, fiber) => (fiber === "bob" ? { [name]: leaveOut() } : {}),
    })
    const one = scenario({
      id: "one",
      summary: "a test",
      setup: () => ({
        world: {},
        fibers: { alice: step("wake", nothing), bob: step("stop", nothing) },
        monitors: [{ wake: nothing, waek: nothing }],
      }),
      properties: [],
    })
    const bugs = [bug("own", "one", "sotp"), bug("others", "two", "tosp"), bug("right", "one", "stop")]
    const [entry] = protocol({ id: "test", title: "a test", scenarios: [one], bugs }).scenarios
    for (const strategy of ["states", "dfs"]) {
      const steps = entry === undefined ? {} : await times(entry.program(), strategy)
      expect(steps).toEqual({ wake: 2, stop: 2, waek: 0, sotp: 0 })
    }
  })

  it("counts steps that differ in interchangeable names together", async () => {
    const gpu = (name: string) => Effect.andThen(step(`${name}: begin`, nothing), step("end", [name], nothing))
    const program = programOf(() => ({
      world: {},
      fibers: { gpu0: gpu("gpu0"), gpu1: gpu("gpu1") },
      monitors: [{ "gpu1: begin": nothing }],
      interchangeable: [["gpu0", "gpu1"]],
    }))
    // The six states without order: both at 0, 1 or 2, and each pair of these.
    expect(await times(program, "states")).toEqual({ "gpu0: begin": 4, end: 4 })
    const apart = await run(program, "states", { symmetry: false })
    expect(Object.fromEntries(apart.steps)).toEqual({ "gpu0: begin": 3, "gpu1: begin": 3, end: 6 })
  })

  it("says when a seeded bug cannot be asked", async () => {
    const bug: SeededBug<object> = {
      id: "blind",
      title: "a mistake",
      source: "the test",
      scenario: "one",
      breaks: "nothing",
      at: () => {
        throw new Error("no such device")
      },
    }
    const one = scenario({
      id: "one",
      summary: "a test",
      setup: () => ({ world: {}, fibers: { alice: step("wake", nothing) } }),
      properties: [],
    })
    const [entry] = protocol({ id: "test", title: "a test", scenarios: [one], bugs: [bug] }).scenarios
    if (entry === undefined) throw new Error("a protocol of one scenario has none")
    await expect(run(entry.program(), "states")).rejects.toThrow(
      /the setup of scenario one failed: Error: no such device/,
    )
  })

  it("is known by the states as by the schedules of random programs", async () => {
    let seen = 0
    let waited = 0
    const compare = async (source: RandomProgram): Promise<void> => {
      const program = interpret(source).program()
      const { result: schedules } = await survey(program, "dfs", { executions: 200 })
      if (schedules.outcome === "inconclusive") return
      seen++
      const { steps, statistics } = (await survey(program, "states")).result
      expect([...steps.values()].reduce((sum, taken) => sum + taken, 0)).toBe(statistics.transitions)
      const known = (of: ReadonlyMap<string, number>) => [...of].map(([name, taken]) => `${name} ${taken > 0}`).sort()
      expect(known(steps)).toEqual(known(schedules.steps))
      if ([...steps.values()].includes(0)) waited++
    }
    await fc.assert(fc.asyncProperty(randomProgram, compare), { seed: 20_26, numRuns: wanted })
    expect(seen).toBeGreaterThan(wanted * 0.75)
    expect(waited).toBeGreaterThan(wanted * 0.1)
  })
})
