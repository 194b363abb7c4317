import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { builtIn, checkpoint, choose, enterLoop, runMoves, self, step } from "../../checker/index.ts"
import { bystander, over, verdicts, type World } from "./broken.ts"
import { run, survey } from "./support.ts"

describe("loops", () => {
  const spin = (head: Effect.Effect<void>) => (world: World) => ({
    other: bystander(world),
    spinner: Effect.forever(
      Effect.andThen(
        head,
        step("try_again", () => world.x.value),
      ),
    ),
  })

  it("an endless loop without a checkpoint ends inconclusive, naming the fiber and the step", async () => {
    for (const { result } of await verdicts(over(spin(Effect.void)), { maxSteps: 60 })) {
      expect(result.outcome).toBe("inconclusive")
      expect(result.violation).toBeUndefined()
      expect(result.reason).toContain("60 steps")
      expect(result.reason).toContain("try_again")
      expect(result.reason).toContain("spinner")
    }
  })

  it("an endless loop with a checkpoint is closed by states, and by states alone", async () => {
    for (const { strategy, result } of await verdicts(over(spin(checkpoint("head"))), { maxSteps: 60 })) {
      expect(result.outcome).toBe(["states", "auto"].includes(strategy) ? "holds" : "inconclusive")
      if (strategy === "states") expect(result.statistics.states).toBe(2)
    }
  })

  it("a loop that is long enough to be cut is not called safe", async () => {
    const program = over(({ x }) => ({
      counter: Effect.gen(function* () {
        for (let i = 0; i < 100; i++) yield* step("count", () => x.value++)
        yield* step("trap", () => {
          throw new Error("reached")
        })
      }),
    }))
    for (const { result } of await verdicts(program, { maxSteps: 100 })) expect(result.outcome).toBe("inconclusive")
    for (const { result } of await verdicts(program, { maxSteps: 101 })) expect(result.outcome).toBe("violated")
  })
})

describe("loops that are entered", () => {
  /** Adds one to a cell by compare-and-swap, trying again until it succeeds: called from two places. */
  const increment = ({ x }: World) =>
    Effect.gen(function* () {
      const head = yield* enterLoop("increment")
      for (;;) {
        yield* head()
        const seen = yield* step("load", () => x.value)
        const done = yield* step("swap", [seen], () => {
          if (x.value !== seen) return false
          x.value = (seen + 1) % 8
          return true
        })
        if (done) return seen
      }
    })

  it("remember how they were entered, and forget the rounds", async () => {
    const program = (tries: boolean) =>
      over(
        (world) => {
          const twice = Effect.gen(function* () {
            const first = yield* increment(world)
            const second = yield* increment(world)
            yield* step("sum", [first, second], () => {
              world.y.value += first + second
            })
          })
          return tries ? { a: twice, b: twice } : { a: twice }
        },
        [
          {
            kind: "atEnd",
            id: "sums",
            statement: "Every number was got once.",
            source: "test",
            holds: ({ x, y }) => (x.value === 4 ? y.value === 6 : y.value === 1),
          },
        ],
      )
    for (const tries of [false, true]) {
      const found = await survey(program(tries), "states")
      expect(found.result.outcome).toBe("holds")
      expect([...found.violations]).toEqual([])
      expect(found.finals.size).toBe(1)
      const every = await survey(program(tries), "dfs")
      expect(every.result.outcome).toBe("holds")
      expect(every.finals).toEqual(found.finals)
    }
  })

  it("name the values that the rounds change", async () => {
    const program = over(({ x, y }) => ({
      a: Effect.gen(function* () {
        const head = yield* enterLoop("rounds")
        let last = 0
        for (;;) {
          yield* head()
          last += yield* step("load", () => x.value)
          if (last > 1) yield* step("enough", () => undefined)
          yield* step("store", () => {
            y.value = 1
          })
        }
      }),
      b: step("set", () => {
        x.value = 1
      }),
    }))
    const { violation } = await run(program, "states")
    expect(violation?.property).toBe(builtIn.rules)
    expect(violation?.message).toContain("a checkpoint must name every value that is still needed")
  })
})

describe("a fiber's own name", () => {
  it("is known in its steps and between them, and to nobody outside", async () => {
    const program = over(
      ({ x }) => {
        const fiber = Effect.gen(function* () {
          const here = yield* Effect.sync(self)
          const inside = yield* step("who", () => `${here} ${self()}`)
          yield* step("told", [inside], () => {
            x.value++
          })
        })
        return { cpu0: fiber, gpu: fiber }
      },
      [{ kind: "invariant", id: "few", statement: "s", source: "s", holds: ({ x }) => x.value < 2 }],
    )
    for (const strategy of ["states", "optimal", "dfs"]) {
      const result = await run(program, strategy)
      const labels = runMoves(program, result.moves ?? []).steps.map(({ label }) => label)
      expect(labels).toContain("told(cpu0 cpu0)")
      expect(labels).toContain("told(gpu gpu)")
    }
    expect(() => self()).toThrow("outside the checker")
  })
})

describe("checkpoints that leave out a live value", () => {
  it("are reported when the fiber then goes another way", async () => {
    const program = over(({ x, y }) => ({
      forgetful: Effect.gen(function* () {
        const seen = yield* step("read", () => x.value)
        yield* checkpoint("head")
        if (seen === 1)
          yield* step("trap", () => {
            y.value = 1
          })
        else yield* step("pass", () => undefined)
      }),
      other: step("write", () => {
        x.value = 1
      }),
    }))
    const result = await run(program, "states")
    expect(result.outcome).toBe("violated")
    expect(result.violation?.property).toBe(builtIn.rules)
    expect(result.violation?.message).toContain("fiber forgetful")
    expect(result.violation?.message).toContain("trap")
  })

  it("are reported when the fiber then has another choice", async () => {
    const program = over(({ x, y }) => ({
      forgetful: Effect.gen(function* () {
        const seen = yield* step("read", () => x.value)
        yield* checkpoint("head")
        const picked = yield* choose("pick", seen === 1 ? [1, 2] : [3])
        yield* step("write-back", () => {
          y.value = picked
        })
      }),
      other: step("write", () => {
        x.value = 1
      }),
    }))
    const { violation } = await run(program, "states")
    expect(violation?.property).toBe(builtIn.rules)
    expect(violation?.message).toContain("pick, a choice of [")
  })

  it("are reported when the fiber then writes something else", async () => {
    const program = over(({ x, y }) => ({
      forgetful: Effect.gen(function* () {
        const seen = yield* step("read", () => x.value)
        yield* checkpoint("head")
        yield* step("write-back", () => {
          y.value = seen
        })
      }),
      other: step("write", () => {
        x.value = 1
      }),
    }))
    expect((await run(program, "states")).violation?.property).toBe(builtIn.rules)
  })
})
