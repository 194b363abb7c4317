/** Shrinking against brute force, and strict replay. */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  type Bound,
  builtIn,
  cell,
  choose,
  countPreemptions,
  guardedStep,
  type Program,
  protocolOf,
  replay,
  runMoves,
  type ScenarioEntry,
  type ScheduledStep,
  scenario,
  shrink,
  step,
} from "../../checker/index.ts"
import { long } from "../long.ts"
import { racyProgram, randomProgram } from "./programArbitrary.ts"
import { flatten, interpret } from "./randomProgram.ts"
import { entryOf, run, survey } from "./support.ts"

/** Programs are compared until there are so many; `SHOOTDOWN_LONG=1` compares more. */
const wanted = long ? 1_000 : 12

/** How a move is written: which fiber, and which option of its choice. */
const moveOf = (fiber: number, option: number) => option * 0x10000 + fiber

interface Cost {
  readonly preemptions: number
  readonly steps: number
}

/** The least cost at which each property breaks, by trying every beginning of every schedule. */
const cheapest = (program: Program, fibers: number, options: number): ReadonlyMap<string, Cost> => {
  const costs = new Map<string, Cost>()
  const visit = (moves: ReadonlyArray<number>) => {
    const { steps, violations } = runMoves(program, moves)
    if (steps.length < moves.length) return // the last move is not possible
    const preemptions = countPreemptions(program, moves)
    for (const { property } of violations) {
      const known = costs.get(property)
      const better =
        known === undefined ||
        preemptions < known.preemptions ||
        (preemptions === known.preemptions && moves.length < known.steps)
      if (better) costs.set(property, { preemptions, steps: moves.length })
    }
    for (let fiber = 0; fiber < fibers; fiber++) {
      for (let option = 0; option < options; option++) visit([...moves, moveOf(fiber, option)])
    }
  }
  visit([])
  return costs
}

const scheduleOf = (steps: ReadonlyArray<ScheduledStep>) =>
  steps.map(({ fiber, label, choice }) => ({ fiber, label, ...(choice === undefined ? {} : { choice }) }))

describe("shrinking", () => {
  it("finds the fewest preemptions, then the fewest steps, on random programs", async () => {
    let compared = 0
    let preempting = 0
    const check = async (source: Parameters<typeof interpret>[0]) => {
      const entry = interpret(source)
      const program = entry.program()
      const every = await survey(program, "dfs", { executions: 100 })
      if (every.result.outcome === "inconclusive") return
      const forks = source.fibers.flatMap(flatten).filter(({ op }) => op === "fork")
      const costs = cheapest(program, source.fibers.length + forks.length, 3)
      expect(new Set(costs.keys())).toEqual(every.broken)
      for (const [property, cost] of costs) {
        const found = await run(program, "dfs", { target: property })
        const shrunk = shrink(entry, program, property, found.moves ?? [])
        expect({ preemptions: shrunk.preemptions, steps: shrunk.moves.length }).toEqual(cost)
        expect(shrunk.minimal).toBe(true)
        expect(countPreemptions(shrunk.program, shrunk.moves)).toBe(cost.preemptions)
        expect(shrink(entry, program, property, shrunk.moves).moves).toEqual(shrunk.moves)
        const { steps, violations } = runMoves(shrunk.program, shrunk.moves)
        expect(violations.map((violation) => violation.property)).toContain(property)
        expect(replay(shrunk.program, { schedule: scheduleOf(steps), property }).kind).toBe("reproduced")
        compared++
        if (cost.preemptions > 0) preempting++
      }
    }
    await fc.assert(fc.asyncProperty(fc.oneof(randomProgram, racyProgram), check), { seed: 8, numRuns: wanted })
    expect(compared).toBeGreaterThanOrEqual(wanted * 0.65)
    expect(preempting).toBeGreaterThanOrEqual(wanted * 0.06)
  })

  /** A counter that `fibers` fibers add to `rounds` times, each time with a read and a write of their own. */
  const lostUpdates = (): ScenarioEntry => {
    const [entry] = protocolOf(
      scenario({
        id: "lost-updates",
        summary: "fibers increment a counter without a lock",
        parameters: {
          fibers: { description: "fibers", default: 3, min: 1, max: 4 },
          rounds: { description: "increments by each", default: 2, min: 1, max: 3 },
        },
        setup: ({ fibers, rounds }) => {
          const counter = cell("counter", 0)
          const done = cell("done", 0)
          const adder = Effect.gen(function* () {
            for (let round = 0; round < rounds; round++) {
              const seen = yield* step("read", () => counter.value)
              yield* step("write", [seen + 1], () => {
                counter.value = seen + 1
              })
            }
            yield* step("done", () => {
              done.value++
            })
          })
          return {
            world: { counter, done, fibers, rounds },
            fibers: Object.fromEntries(Array.from({ length: fibers }, (_, i) => [`cpu${i}`, adder])),
          }
        },
        properties: [
          {
            kind: "atEnd",
            id: "no-lost-update",
            statement: "Every increment counts.",
            source: "test",
            holds: ({ counter, fibers, rounds }) => counter.value === fibers * rounds,
          },
          {
            kind: "invariant",
            id: "no-two-done",
            statement: "Two fibers are never done.",
            source: "test",
            holds: ({ done }) => done.value < 2,
          },
        ],
      }),
    ).scenarios
    if (entry === undefined) throw new Error("there is no scenario")
    return entry
  }

  const shrunkTo = async (property: string, settings: Bound) => {
    const entry = lostUpdates()
    const program = entry.program(settings)
    const found = await run(program, "states", { target: property })
    expect(found.outcome).toBe("violated")
    return shrink(entry, program, property, found.moves ?? [])
  }

  it("goes to the smallest bound", async () => {
    const shrunk = await shrunkTo("no-lost-update", { fibers: 3, rounds: 2 })
    expect(shrunk.program.bound).toEqual({ fibers: 2, rounds: 1 })
    expect(shrunk.preemptions).toBe(1)
    expect(shrunk.moves).toHaveLength(6)
    expect(shrunk.minimal).toBe(true)
    expect(await shrunkTo("no-lost-update", { fibers: 3, rounds: 2 })).toMatchObject({ moves: shrunk.moves })
    expect((await shrunkTo("no-lost-update", { fibers: 2, rounds: 3 })).moves).toEqual(shrunk.moves)
  })

  it("needs no preemption where none is needed", async () => {
    const shrunk = await shrunkTo("no-two-done", { fibers: 4, rounds: 2 })
    expect(shrunk.program.bound).toEqual({ fibers: 2, rounds: 1 })
    expect(shrunk.preemptions).toBe(0)
    expect(shrunk.moves).toHaveLength(6)
  })

  it("counts a switch away from a fiber that waits as no preemption", async () => {
    const entry = entryOf(() => {
      const turn = cell("turn", 0)
      const go = (mine: number) =>
        guardedStep(
          "wait",
          () => turn.value === mine,
          () => {
            turn.value++
          },
        )
      return {
        world: undefined,
        fibers: {
          a: Effect.andThen(go(0), go(2)),
          b: Effect.andThen(
            go(1),
            step("boom", () => {
              throw new Error("boom")
            }),
          ),
        },
      }
    })
    const program = entry.program()
    const found = await run(program, "dfs")
    const shrunk = shrink(entry, program, builtIn.defect, found.moves ?? [])
    expect(shrunk).toMatchObject({ preemptions: 0, minimal: true, moves: [0, 1, 1] })
  })

  it("keeps the property apart from others that break earlier", async () => {
    const entry = entryOf(() => {
      const x = cell("x", 0)
      return {
        world: undefined,
        fibers: {
          a: Effect.andThen(
            choose("pick", ["fail", "wait"]),
            step("trap", () => {
              throw new Error("trap")
            }),
          ),
          b: guardedStep(
            "stuck",
            () => x.value === 1,
            () => undefined,
          ),
        },
      }
    })
    const program = entry.program()
    const found = await run(program, "states")
    expect(found.violation?.property).toBe(builtIn.defect)
    expect(shrink(entry, program, builtIn.defect, found.moves ?? []).moves).toHaveLength(2)
  })
})

describe("replay", () => {
  const make = (extra: boolean, limit = 2, name = "b") => {
    const entry = entryOf<{ readonly x: { readonly value: number } }>(() => {
      const x = cell("x", 0)
      const increment = Effect.gen(function* () {
        const seen = yield* step("read", () => x.value)
        if (extra) yield* step("check", () => undefined)
        yield* step("write", [seen], () => {
          x.value = seen + 1
        })
      })
      const late = Effect.gen(function* () {
        yield* guardedStep(
          "wait",
          () => x.value > 0,
          () => undefined,
        )
        const by = yield* choose("by", [1, 2])
        yield* step("add", [by], () => {
          x.value += by
        })
      })
      return { world: { x }, fibers: { a: increment, [name]: late } }
    }, [
      {
        kind: "invariant",
        id: "small",
        statement: "x is small.",
        source: "test",
        holds: ({ x }) => x.value <= limit,
        explain: ({ x }) => `x is ${x.value}`,
      },
    ])
    return entry.program()
  }
  const schedule = [
    { fiber: "a", label: "read" },
    { fiber: "a", label: "write(0)" },
    { fiber: "b", label: "wait" },
    { fiber: "b", label: "by", choice: 1 },
    { fiber: "b", label: "add(2)" },
  ]

  it("reproduces", () => {
    const replayed = replay(make(false), { schedule, property: "small" })
    const violation = { property: "small", message: "x is 3" }
    expect(replayed).toMatchObject({ kind: "reproduced", violation, brokenAfter: undefined })
    expect(replayed.kind === "reproduced" && scheduleOf(replayed.steps)).toEqual(schedule)
  })

  it("says where the property was broken before the last step", () => {
    expect(replay(make(false, 0), { schedule, property: "small" })).toMatchObject({ brokenAfter: 2 })
  })

  it("is healed when the schedule fits and nothing breaks", () => {
    const replayed = replay(make(false, 3), { schedule, property: "small" })
    expect(replayed).toMatchObject({ kind: "healed" })
    expect(replayed.kind === "healed" && replayed.message).toContain("after the 5 steps small holds")
    expect(replay(make(false), { schedule: schedule.slice(0, 4), property: "small" }).kind).toBe("healed")
    expect(replay(make(false), { schedule, property: "deadlock" }).kind).toBe("healed")
    expect(replay(make(false), { schedule: [], property: "small" }).kind).toBe("healed")
  })

  const stale = (program: Program, edited: typeof schedule, step: number, expected: string, offered: string) =>
    expect(replay(program, { schedule: edited, property: "small" })).toEqual({
      kind: "stale",
      step,
      expected: expect.stringContaining(expected),
      offered: expect.stringContaining(offered),
    })
  const edit = (position: number, change: { fiber?: string; label?: string; choice?: number }) =>
    schedule.map((each, at) => (at === position ? { ...each, ...change } : each))

  it("is stale when a step was added, and says where", () =>
    stale(make(true), schedule, 2, "a at write(0)", "a at check"))
  it("is stale when a fiber is gone", () => stale(make(false, 2, "c"), schedule, 3, "b at wait", "there is no fiber b"))
  it("is stale when a label was edited", () =>
    stale(make(false), edit(1, { label: "write(1)" }), 2, "write(1)", "write(0)"))
  it("is stale when a fiber was edited", () =>
    stale(make(false), edit(2, { fiber: "a" }), 3, "a at wait", "a has ended"))
  it("is stale when a guard does not hold", () =>
    stale(make(false), schedule.slice(2), 1, "b at wait", "b waiting in wait"))
  it("is stale when an option is out of range", () => {
    stale(make(false), edit(3, { choice: 2 }), 4, "option 2", "one of 2 options")
    stale(make(false), edit(3, { choice: Number.MAX_SAFE_INTEGER }), 4, "option", "one of 2 options")
  })
  it("is stale when a choice is now a step, or a step a choice", () => {
    stale(make(false), edit(0, { choice: 0 }), 1, "a at read, option 0", "a at read")
    const without = schedule.map(({ fiber, label }) => ({ fiber, label }))
    stale(make(false), without, 4, "b at by", "one of 2 options")
  })
  it("is stale when the schedule goes on after the end", () =>
    stale(make(false), [...schedule, { fiber: "b", label: "add(2)" }], 6, "b at add(2)", "b has ended"))
})
