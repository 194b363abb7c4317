/** Strategy `bounded`: fewest preemptions, or delays, first; and what it says of its bound. */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { publishedProgram } from "../../checker/bench/programs/index.ts"
import { litmus, type Threads } from "../../checker/bench/programs/threads.ts"
import { cell, countPreemptions, type Program, step } from "../../checker/index.ts"
import { long } from "../long.ts"
import { racyProgram } from "./programArbitrary.ts"
import { interpret } from "./randomProgram.ts"
import { programOf, run, survey, unconfirmed } from "./support.ts"

/** `SHOOTDOWN_LONG=1` compares more random programs. */
const wanted = long ? 3_000 : 80

const programOfThreads = (threads: Threads): Program => publishedProgram({ name: "threads", threads })

/** Breaks where the two fibers take turns: after three preemptions, which are three delays, and no fewer. */
const twice = () =>
  programOf(() => {
    const turn = cell("turn", 0)
    const set = (from: number, to: number) =>
      step(`${from} to ${to}`, () => {
        if (turn.value === from) turn.value = to
      })
    return {
      world: { turn },
      fibers: {
        a: Effect.all([set(0, 1), set(2, 3), set(4, 5)]),
        b: Effect.all([set(1, 2), set(3, 4)]),
      },
    }
  }, [
    {
      kind: "invariant",
      id: "not-five",
      statement: "The turn is never 5.",
      source: "test",
      holds: ({ turn }) => turn.value !== 5,
    },
  ])

describe("bounded", () => {
  it("finds a violation of the fewest preemptions first, on random programs", async () => {
    let compared = 0
    let preempting = 0
    const check = async (source: Parameters<typeof interpret>[0]) => {
      const program = interpret(source).program()
      const found = await run(program, "bounded")
      if (found.outcome !== "violated") return
      compared++
      expect(unconfirmed(program, found)).toBeUndefined()
      const preemptions = countPreemptions(program, found.moves ?? [])
      const within = preemptions === 0 ? undefined : { preemptions: preemptions - 1 }
      expect(found.within).toEqual(within)
      if (within === undefined) return
      preempting++
      for (const strategy of ["dfs", "bounded"]) {
        const fewer = await run(program, strategy, within)
        expect([fewer.outcome, fewer.within]).toEqual(["holds", within])
      }
      const asMany = await run(program, "bounded", { preemptions })
      expect(asMany.moves).toEqual(found.moves)
    }
    await fc.assert(fc.asyncProperty(racyProgram, check), { seed: 20_28, numRuns: wanted })
    expect(compared).toBeGreaterThan(wanted / 2)
    expect(preempting).toBeGreaterThan(wanted / 20)
  })

  it("names the bound that it was given, unless no schedule has more", async () => {
    const program = twice()
    for (const by of ["preemptions", "delays"] as const) {
      for (const most of [0, 1, 2]) {
        expect(await run(program, "bounded", { [by]: most })).toMatchObject({
          outcome: "holds",
          within: { [by]: most },
        })
      }
      const broken = await run(program, "bounded", { [by]: 10 })
      expect(broken).toMatchObject({ outcome: "violated", within: { [by]: 2 } })
      expect(broken.violation?.property).toBe("not-five")
    }
    const readers = programOfThreads(litmus("Wx", "Rx", "Rx Rx"))
    expect(await run(readers, "bounded", { preemptions: 0 })).toMatchObject({ within: { preemptions: 0 } })
    for (const options of [{ preemptions: 1 }, { preemptions: 7 }, {}, { delays: 50 }]) {
      const all = await run(readers, "bounded", options)
      expect(all.outcome).toBe("holds")
      expect(all.within).toBeUndefined()
      expect(all.statistics.executions).toBe(12)
    }
  })

  it("says up to which bound all was run when it is cut short", async () => {
    const program = programOfThreads(litmus("Wx Wx Wx", "Ry Ry Ry", "Wz Wz"))
    const within = async (preemptions: number) => (await run(program, "bounded", { preemptions })).statistics.executions
    const one = await within(1)
    const two = await within(2)
    expect(two).toBeGreaterThan(one + 1)
    const cut = await run(program, "bounded", { executions: one + 1 })
    expect(cut).toMatchObject({ outcome: "inconclusive", within: { preemptions: 1 } })
    expect((await run(program, "bounded", { executions: 3 })).within).toBeUndefined()
  })

  it("counts what is exercised once, whatever the rounds in which a schedule is gone on with", async () => {
    const exercised = async (by: "dfs" | "bounded") => {
      const program = programOf(() => {
        const x = cell("x", 0)
        const add = step("x++", () => {
          x.value++
        })
        return { world: { x }, fibers: { a: Effect.all([add, add]), b: Effect.all([add, add]) } }
      }, [
        {
          kind: "leadsTo",
          id: "one-leads-to-four",
          statement: "From 1 it gets to 4.",
          source: "test",
          from: ({ x }) => x.value === 1,
          to: ({ x }) => x.value === 4,
        },
        {
          kind: "invariant",
          id: "one-is-small",
          statement: "1 is less than 2.",
          source: "test",
          premise: ({ x }) => x.value === 1,
          holds: ({ x }) => x.value < 5,
        },
      ])
      return (await run(program, by)).exercised
    }
    const [promise, invariant] = await exercised("bounded")
    expect(promise?.times).toBe(invariant?.times)
    expect(await exercised("bounded")).toEqual(await exercised("dfs"))
  })

  it("is the same with every step checked on the way", async () => {
    const plain = await survey(twice(), "bounded")
    const checked = await survey(twice(), "bounded", { paranoid: true })
    expect(checked.result.compared?.paths).toBeGreaterThan(0)
    expect(checked.result.statistics).toEqual(plain.result.statistics)
    expect(checked.finals).toEqual(plain.finals)
  })
})
