import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { describe, expect, it } from "vitest"
import { checkpoint, guardedStep, type Property, step } from "../../checker/index.ts"
import { everyStrategy, type Fibers, over, type World } from "./broken.ts"
import { run } from "./support.ts"

describe("state that is hidden from the checker", () => {
  const never: Property<World> = {
    kind: "invariant",
    id: "no-two",
    statement: "y is never 2.",
    source: "test",
    holds: ({ y }) => y.value !== 2,
  }

  /** Programs that reach y = 2 in some schedule, by way of something that is not a cell. */
  const secretive: ReadonlyArray<{ readonly name: string; readonly fibers: (world: World) => Fibers }> = [
    {
      name: "a variable that two fibers share",
      fibers: ({ y }) => {
        let shared = 0
        const fiber = Effect.gen(function* () {
          yield* step("wait", () => undefined)
          const mine = ++shared
          yield* step("write", () => {
            y.value = mine
          })
        })
        return { a: fiber, b: fiber }
      },
    },
    {
      name: "a Ref that two fibers share",
      fibers: ({ y }) => {
        const shared = Ref.makeUnsafe(0)
        const fiber = Effect.gen(function* () {
          yield* step("wait", () => undefined)
          const mine = yield* Ref.updateAndGet(shared, (n) => n + 1)
          yield* step("write", () => {
            y.value = mine
          })
        })
        return { a: fiber, b: fiber }
      },
    },
    {
      name: "a result smuggled past the step by an assignment",
      fibers: ({ x, y }) => ({
        a: Effect.gen(function* () {
          let seen = 0
          yield* step("read", () => {
            seen = x.value
          })
          yield* step("write", () => {
            y.value = seen
          })
        }),
        b: step("set", () => {
          x.value = 2
        }),
      }),
    },
    {
      name: "a body that counts its own calls",
      fibers: ({ y }) => {
        let calls = 0
        const fiber = step("count", () => {
          y.value = ++calls
        })
        return { a: fiber, b: fiber }
      },
    },
    {
      name: "a variable outside of the generator that a fiber adds to",
      fibers: ({ x, y }) => {
        let total = 0
        return {
          a: Effect.gen(function* () {
            total += yield* step("read", () => x.value)
            total += yield* step("read", () => x.value)
            yield* step("write", () => {
              y.value = total
            })
          }),
          b: step("set", () => {
            x.value = 1
          }),
        }
      },
    },
    {
      name: "a guard that looks at a variable",
      fibers: ({ y }) => {
        let open = false
        return {
          a: guardedStep(
            "enter",
            () => open,
            () => {
              y.value = 2
            },
          ),
          b: Effect.andThen(
            step("wait", () => undefined),
            Effect.sync(() => {
              open = true
            }),
          ),
        }
      },
    },
  ]
  for (const { name, fibers } of secretive) {
    it(`${name} does not make states say holds`, async () => {
      const program = over(fibers, [never])
      expect((await run(program, "dfs")).outcome).toBe("violated")
      for (const seed of [1, 2, 3, 4, 5]) {
        expect((await run(program, "states", { seed })).outcome, `seed ${seed}`).toBe("violated")
      }
    })
  }

  /** Fiber b sets what must not be seen for the time of one step; `smuggle` makes the fiber that sees it. */
  const narrow = (smuggle: (world: World, idle: Effect.Effect<void>) => Effect.Effect<unknown>) =>
    over(
      (world) => {
        const idle = Effect.gen(function* () {
          for (let i = 0; i < 12; i++) yield* step("idle", [i], () => undefined)
        })
        const set = (value: number) =>
          step("set", [value], () => {
            world.x.value = value
          })
        return { b: Effect.all([idle, set(2), set(0)]), a: smuggle(world, idle) }
      },
      [never],
    )

  const smuggled: ReadonlyArray<{
    readonly name: string
    readonly smuggle: (world: World, idle: Effect.Effect<void>) => Effect.Effect<unknown>
  }> = [
    {
      name: "assigned by a body and used by a later body",
      smuggle: ({ x, y }, idle) =>
        Effect.gen(function* () {
          let seen = 0
          yield* step("read", () => {
            seen = x.value
          })
          yield* idle
          yield* step("write", () => {
            y.value = seen
          })
        }),
    },
    {
      name: "assigned by a body and used between steps",
      smuggle: ({ x, y }, idle) =>
        Effect.gen(function* () {
          let seen = 0
          yield* step("read", () => {
            seen = x.value
          })
          yield* idle
          if (seen !== 2) return
          yield* step("write", () => {
            y.value = 2
          })
        }),
    },
    {
      name: "put into a list by a body",
      smuggle: ({ x, y }, idle) =>
        Effect.gen(function* () {
          const seen: Array<number> = []
          yield* step("read", () => {
            seen.push(x.value)
          })
          yield* idle
          yield* step("write", () => {
            y.value = seen[0] ?? 0
          })
        }),
    },
    {
      name: "assigned by a guard",
      smuggle: ({ x, y }, idle) =>
        Effect.gen(function* () {
          let seen = 0
          yield* guardedStep(
            "read",
            () => {
              seen = x.value
              return true
            },
            () => undefined,
          )
          yield* idle
          yield* step("write", () => {
            y.value = seen
          })
        }),
    },
    {
      name: "used by a guard",
      smuggle: ({ x, y }, idle) =>
        Effect.gen(function* () {
          let seen = 0
          yield* step("read", () => {
            seen = x.value
          })
          yield* idle
          yield* guardedStep(
            "write",
            () => seen === 2,
            () => {
              y.value = 2
            },
          )
        }),
    },
    {
      name: "forgotten at a checkpoint",
      smuggle: ({ x, y }, idle) =>
        Effect.gen(function* () {
          const seen = yield* step("read", () => x.value)
          yield* checkpoint("forget")
          yield* idle
          yield* step("write", () => {
            y.value = seen
          })
        }),
    },
  ]
  for (const { name, smuggle } of smuggled) {
    it(`a value that is rarely read and ${name} does not make states say holds`, async () => {
      for (let seed = 0; seed < 8; seed++) {
        const result = await run(narrow(smuggle), "states", { seed, target: never.id })
        expect(result.outcome, `seed ${seed}`).toBe("violated")
      }
    })
  }

  it("a property that looks at a variable does not make states say holds, although no step writes what else it reads", async () => {
    let leaked = false
    const program = over(
      ({ x }) => {
        leaked = false
        return {
          a: step("read", () => x.value).pipe(
            Effect.andThen((seen) =>
              Effect.sync(() => {
                leaked = seen === 2
              }),
            ),
            Effect.andThen(step("rest", () => undefined)),
          ),
          b: step("set", () => {
            x.value = 2
          }),
        }
      },
      [{ ...never, holds: ({ y }: World) => !(leaked && y.value === 0) }],
    )
    for (const strategy of ["dfs", "states"]) {
      expect((await run(program, strategy)).outcome, strategy).toBe("violated")
    }
  })

  it("a variable outside of the scenario, which no setup makes anew, is reported and does no harm to the search", async () => {
    for (const strategy of everyStrategy) {
      let world = 0
      const program = over(({ y }) => {
        const fiber = Effect.gen(function* () {
          if (world++ % 3 === 2) yield* step("now-and-then", () => undefined)
          yield* step("write", () => {
            y.value = 1
          })
        })
        return { a: fiber, b: fiber }
      })
      const result = await run(program, strategy, { executions: 50 })
      expect(result.outcome, strategy).not.toBe("holds")
    }
  })
})
