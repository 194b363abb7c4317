/** Functions whose variables are over when they return, in fibers that a seeded bug or a mutant changes. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  actionInvariant,
  type Cell,
  cell,
  exploreHere,
  MutationRun,
  type Plain,
  procedure,
  protocol,
  scenario,
  step,
} from "../../checker/index.ts"
import { set, threeWrites, type World } from "./broken.ts"
import { run } from "./support.ts"

/** Three writes of x, of another name than `set`. */
const writes = (x: Cell<number>) =>
  Effect.forEach([1, 2, 3], (value) =>
    step("write", [value], () => {
      x.value = value
    }),
  )

describe("a procedure of a fiber that is changed", () => {
  const taken = procedure(function* (x: Cell<number>) {
    yield* step("first", () => x.value)
    yield* step("second", () => undefined)
  })

  const entry = scenario({
    id: "test",
    summary: "a test",
    setup: () => {
      const world = { x: cell("x", 0), y: cell("y", 0) }
      const a = Effect.andThen(
        taken(world.x),
        step("third", () => undefined),
      )
      return { world, fibers: { a, b: threeWrites(world) } }
    },
    properties: [
      {
        kind: "invariant",
        id: "small",
        statement: "y stays small.",
        source: "test",
        holds: ({ y }: World) => y.value < 3,
      },
    ],
  })

  it("is not forgotten by a seeded bug that keeps something for later", async () => {
    const bugs = protocol({
      id: "test",
      title: "a test",
      scenarios: [entry],
      bugs: [
        {
          id: "remembers",
          title: "What was seen first is written in the end.",
          source: "test",
          scenario: "test",
          breaks: "small",
          at: ({ y }: World) => {
            let seen: Plain = 0
            return {
              first: (original) =>
                Effect.tap(original, (value) =>
                  Effect.sync(() => {
                    seen = value
                  }),
                ),
              third: () =>
                step("third", () => {
                  y.value = Number(seen)
                }),
            }
          },
        },
      ],
    })
    const [only] = bugs.scenarios
    const program = only?.program({}, "remembers")
    if (program === undefined) throw new Error("there is no scenario")
    const { violation } = await run(program, "states")
    expect(violation?.property).toBe("small")
  })

  it.each([1, 2, 3])("is not forgotten by a mutant that holds back what stores %i", async (value) => {
    const store = procedure(function* ({ x, y }: World) {
      const seen = yield* step("load", () => x.value)
      yield* set(y, seen)
    })
    const stored = scenario({
      id: "test",
      summary: "a test",
      setup: () => {
        const world = { x: cell("x", 0), y: cell("y", 0), done: cell("done", false) }
        const finish = step("finish", () => {
          world.done.value = true
        })
        const last = step("last", () => undefined)
        return { world, fibers: { a: Effect.all([store(world), finish, last]), b: writes(world.x) } }
      },
      properties: [
        actionInvariant<World & { readonly done: Cell<boolean> }, readonly [boolean, number]>({
          id: "kept",
          statement: "Once it is done the value is not stored any more.",
          source: "test",
          observe: ({ done, y }) => [done.value, y.value],
          holds: ([done, before], [, after]) => !done || before === after || after !== value,
          explain: (before, after) => `${before.join(" ")} became ${after.join(" ")}`,
        }),
      ],
    })
    const mutants = new MutationRun(protocol({ id: "test", title: "a test", scenarios: [stored] }))
    const report = await Effect.runPromise(mutants.carryOut({ maxSteps: 500, maxStates: 10_000 }, exploreHere))
    const swapped = report.mutants.find(({ id }) => id === "swap set | finish")
    expect([swapped?.verdict, swapped?.property]).toEqual(["killed", "kept"])
  })
})
