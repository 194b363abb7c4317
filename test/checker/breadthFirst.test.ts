/** Breadth-first order against depth-first order and, for the shortest way to a violation, against all schedules. */

import * as Effect from "effect/Effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Execution } from "../../checker/engine/execution.ts"
import { BreadthFirst } from "../../checker/explore/breadthFirst.ts"
import { type Cell, cell, checkpoint, guardedStep, type Program, step } from "../../checker/index.ts"
import { long } from "../long.ts"
import { randomProgram, symmetricProgram } from "./programArbitrary.ts"
import { interpret, type RandomProgram } from "./randomProgram.ts"
import { defaults, type Found, programOf, run, survey, unconfirmed } from "./support.ts"

/** Programs are compared until there are so many; `SHOOTDOWN_LONG=1` compares more. */
const wanted = long ? 2_000 : 24

/** Programs of more schedules than this are passed over. */
const schedules = 200

/** The fewest steps after which some schedule breaks a property: all that are no longer than the best are run. */
const fewestSteps = (program: Program): number | undefined => {
  let best: number | undefined
  const look = (path: ReadonlyArray<number>): void => {
    const execution = new Execution(program)
    let violations = execution.begin()
    for (const move of path) violations = execution.take(move)
    const moves = execution.moves()
    if (moves.length === 0) violations = [...violations, ...execution.end()]
    if (violations.length > 0) best = Math.min(path.length, best ?? path.length)
    if (violations.length > 0 || (best !== undefined && path.length + 1 >= best)) return
    for (const move of moves) look([...path, move])
  }
  look([])
  return best
}

/** What does not depend on the order. */
const counts = ({ ends, deadlockedEnds, broken, result: { statistics, exercised, steps } }: Found) => ({
  ends,
  deadlockedEnds,
  broken,
  states: statistics.states,
  transitions: statistics.transitions,
  exercised,
  steps,
})

/** Two fibers that count. */
const counters = (rounds: number): Program =>
  programOf(() => {
    const counter = cell("counter", 0)
    const count = Effect.gen(function* () {
      for (let round = 0; round < rounds; round++) {
        yield* step("count", () => {
          counter.value++
        })
      }
    })
    return { world: {}, fibers: { alice: count, bob: count } }
  })

describe("breadth-first order", () => {
  it("takes the shortest of two ways to a state, though the longer one was foreseen first", async () => {
    const program = programOf(() => {
      const [x, y] = [cell("x", 0), cell("y", 0)]
      const forever = (name: string, guard: () => boolean, body: () => void) =>
        Effect.forever(Effect.andThen(checkpoint(name), guardedStep(name, guard, body)))
      const fibers = {
        steps: forever(
          "step",
          () => x.value < 3,
          () => {
            x.value++
          },
        ),
        marks: forever(
          "mark",
          () => y.value === 0 && x.value !== 2,
          () => {
            y.value = 1
          },
        ),
        leaps: forever(
          "leap",
          () => x.value === 0,
          () => {
            x.value = 2
          },
        ),
      }
      return { world: { x, y }, fibers }
    }, [
      {
        kind: "invariant",
        id: "apart",
        statement: "x is not 2 once y is 1.",
        source: "test",
        holds: ({ x, y }: { readonly x: Cell<number>; readonly y: Cell<number> }) => x.value !== 2 || y.value !== 1,
      },
    ])
    const { moves } = await run(program, "states", { breadthFirst: true })
    expect(moves).toHaveLength(2)
  })

  it("visits what depth-first order visits, and finds a violation of the fewest steps", async () => {
    const seen = { compared: 0, broken: 0, later: 0 }
    const compare = async (source: RandomProgram): Promise<void> => {
      const program = interpret(source).program()
      if ((await run(program, "dfs", { executions: schedules, survey: nobody })).outcome === "inconclusive") return
      seen.compared++
      for (const symmetry of [false, true]) {
        const depthFirst = await survey(program, "states", { symmetry })
        const breadthFirst = await survey(program, "states", { symmetry, breadthFirst: true })
        expect(counts(breadthFirst)).toEqual(counts(depthFirst))
        // Which of the states that count once is seen depends on the order.
        if (symmetry) continue
        expect(breadthFirst.finals).toEqual(depthFirst.finals)
        expect(breadthFirst.violations).toEqual(depthFirst.violations)
      }

      const first = await run(program, "states", { breadthFirst: true })
      const fewest = fewestSteps(program)
      expect(first.outcome).toBe(fewest === undefined ? "holds" : "violated")
      if (fewest === undefined) return
      seen.broken++
      expect(first.moves).toHaveLength(fewest)
      expect(unconfirmed(program, first)).toBeUndefined()
      if ((await run(program, "states")).moves?.length !== fewest) seen.later++
    }
    await fc.assert(fc.asyncProperty(fc.oneof(randomProgram, symmetricProgram), compare), {
      seed: 20_28,
      numRuns: Math.ceil(wanted * 1.25),
    })
    expect(seen.compared).toBeGreaterThan(wanted * 0.75)
    expect(seen.broken).toBeGreaterThan(wanted * 0.4)
    expect(seen.later).toBeGreaterThan(wanted * 0.08) // programs in which depth-first order finds a longer way first
  })

  it("is bounded by the steps of an execution as depth-first order is", async () => {
    for (const breadthFirst of [false, true]) {
      expect((await run(counters(3), "states", { breadthFirst, maxSteps: 6 })).outcome).toBe("holds")
      const cut = await run(counters(3), "states", { breadthFirst, maxSteps: 5 })
      expect(cut.outcome).toBe("inconclusive")
      expect(cut.reason).toContain("beyond 5 steps, at count of fiber")
    }
  })

  it("does not go round a cycle", async () => {
    const program = programOf(() => {
      const lamp = cell("lamp", 0)
      const blink = Effect.gen(function* () {
        for (;;) {
          yield* checkpoint("head")
          yield* step("toggle", () => {
            lamp.value = 1 - lamp.value
          })
        }
      })
      return { world: {}, fibers: { alice: blink, bob: blink } }
    })
    const { outcome, statistics } = await run(program, "states", { breadthFirst: true, maxSteps: 2 })
    expect(outcome).toBe("holds")
    expect(statistics).toMatchObject({ states: 2, transitions: 4, maxDepth: 1 })
  })

  it("ends inconclusive when too many states wait", () => {
    const search = new BreadthFirst(counters(40), defaults, 5_000)
    let ending = search.advance(10)
    while (ending === undefined) ending = search.advance(10)
    expect(ending).toMatchObject({ kind: "cut", reason: expect.stringContaining("states waited to be explored") })
    expect(search.statistics.states).toBeLessThan(400)
  })
})

/** Passes over violations. */
const nobody = { violation: () => undefined, final: () => undefined }
