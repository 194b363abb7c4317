/** Data races: programs that have them and programs that do not, under every strategy; with locks: dataRacesAndLocks.test.ts. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  cell,
  choose,
  countPreemptions,
  dataCell,
  dataStruct,
  fork,
  interrupt,
  join,
  replay,
  runMoves,
  shrink,
  step,
} from "../../checker/index.ts"
import { mutex, mutexLock, mutexUnlock } from "../../model/sync/mutex.ts"
import { entryOf, programOf, run, survey, unconfirmed } from "../checker/support.ts"
import { get, ordered, over, races, racy, set, until } from "./racePrograms.ts"

describe("two fibers", () => {
  it("race when they write the same data", async () => {
    const message = await racy(() => {
      const x = dataCell("x", 0)
      return { alice: set(x, 1), bob: set(x, 2) }
    })
    expect(message).toBe(
      "x is data, and nothing orders who comes next: alice in set(x) writes it, bob in set(x) writes it",
    )
  })

  it("race when one reads what the other writes", async () => {
    const message = await racy(() => {
      const x = dataStruct("it", { x: 0 })
      const write = step("write", () => {
        x.x = 1
      })
      return { alice: write, bob: step("read", () => x.x) }
    })
    expect(message).toContain("alice in write writes it, bob in read reads it")
  })

  it("do not race when both read, or when the cell is no data", async () => {
    await ordered(() => {
      const x = dataCell("x", 0)
      const y = cell("y", 0)
      return { alice: Effect.andThen(get(x), set(y, 1)), bob: Effect.andThen(get(x), set(y, 2)) }
    })
  })

  it("are judged only where the property is switched on", async () => {
    const program = programOf(() => {
      const x = dataCell("x", 0)
      return { world: {}, fibers: { alice: set(x, 1), bob: set(x, 2) } }
    })
    for (const strategy of ["states", "optimal", "bounded", "dfs"])
      expect((await run(program, strategy)).outcome).toBe("holds")
  })
})

describe("message passing", () => {
  const passing = (make: typeof cell) => () => {
    const x = dataCell("x", 0)
    const flag = make("flag", 0)
    return { alice: Effect.andThen(set(x, 1), set(flag, 1)), bob: Effect.andThen(until(flag, 1), get(x)) }
  }

  it("is ordered by a flag that synchronises", () => ordered(passing(cell)))

  it("races where the flag is data too: a guard may not wait for data", async () => {
    expect(await racy(passing(dataCell))).toBe(
      "bob in until(flag) waits for flag, which is data: it reads that all the time, ordered by nothing",
    )
  })

  const polling = (right: boolean) => () => {
    const x = dataCell("x", 0)
    const flag = cell("flag", 0)
    const bob = Effect.gen(function* () {
      const seen = yield* get(flag)
      if ((seen === 1) === right) yield* get(x)
    })
    return { alice: Effect.andThen(set(x, 1), set(flag, 1)), bob }
  }

  it("is ordered for who reads the flag and finds it set", () => ordered(polling(true)))
  it("races for who reads the data when it does not find it set", () => racy(polling(false)))

  it("races when the flag is set before the data", () =>
    racy(() => {
      const x = dataCell("x", 0)
      const flag = cell("flag", 0)
      return { alice: Effect.andThen(set(flag, 1), set(x, 1)), bob: Effect.andThen(until(flag, 1), get(x)) }
    }))

  it("orders through a third fiber", () =>
    ordered(() => {
      const x = dataCell("x", 0)
      const [one, two] = [cell("one", 0), cell("two", 0)]
      return {
        alice: Effect.andThen(set(x, 1), set(one, 1)),
        bob: Effect.andThen(until(one, 1), set(two, 1)),
        carol: Effect.andThen(until(two, 1), set(x, 2)),
      }
    }))
})

describe("one step", () => {
  const both = (dataFirst: boolean) => () => {
    const x = dataCell("x", 0)
    const flag = cell("flag", 0)
    const touch = step("touch", () => {
      if (dataFirst) x.value++
      flag.value++
      if (!dataFirst) x.value++
    })
    return { alice: touch, bob: touch }
  }

  it("orders the data behind what it reads of other cells before", () => ordered(both(false)))
  it("does not order the data that it accesses before", () => racy(both(true)))

  it("that another fiber sees as a whole may set the flag first", () =>
    ordered(() => {
      const x = dataCell("x", 0)
      const flag = cell("flag", 0)
      const publish = step("publish", () => {
        flag.value = 1
        x.value = 1
      })
      return { alice: publish, bob: Effect.andThen(until(flag, 1), get(x)) }
    }))
})

describe("fibers that come and go", () => {
  const passed = (joins: boolean) => () => {
    const x = dataCell("x", 0)
    const main = Effect.gen(function* () {
      yield* set(x, 1)
      const child = yield* fork("child", Effect.andThen(get(x), set(x, 2)))
      if (joins) yield* join(child)
      yield* get(x)
    })
    return { main }
  }

  it("are ordered by fork and join", () => ordered(passed(true)))
  it("race with who does not wait for their end", () => racy(passed(false)))

  it("race with their brothers, and not with the next of their name", async () => {
    const twice = (wait: boolean) => () => {
      const x = dataCell("x", 0)
      const main = Effect.gen(function* () {
        const first = yield* fork("first", set(x, 1))
        if (wait) yield* join(first)
        yield* join(yield* fork(wait ? "first" : "second", set(x, 2)))
      })
      return { main }
    }
    await ordered(twice(true))
    await racy(twice(false))
  })

  it("are ordered before who interrupts them and waits", () =>
    ordered(() => {
      const x = dataCell("x", 0)
      const main = Effect.gen(function* () {
        const child = yield* fork("child", Effect.andThen(set(x, 1), set(x, 2)))
        yield* interrupt(child)
        yield* join(child)
        yield* set(x, 3)
      })
      return { main }
    }))

  it("do what they do when interrupted behind what was done before that", () =>
    ordered(() => {
      const x = dataCell("x", 0)
      const main = Effect.gen(function* () {
        const child = yield* fork(
          "child",
          Effect.onInterrupt(
            step("work", () => undefined),
            () => get(x),
          ),
        )
        yield* set(x, 1)
        yield* interrupt(child)
      })
      return { main }
    }))

  it("race with who interrupts them and does not wait for their finalisers", () =>
    racy(() => {
      const x = dataCell("x", 0)
      const main = Effect.gen(function* () {
        const child = yield* fork(
          "child",
          Effect.ensuring(
            step("work", () => undefined),
            set(x, 2),
          ),
        )
        yield* interrupt(child)
        yield* set(x, 3)
      })
      return { main }
    }))
})

describe("a race of steps that are far apart", () => {
  /** In most schedules many steps lie between the two. */
  const apart = () => {
    const x = dataCell("x", 0)
    const own = (name: string, steps: number) => {
      const mine = cell(name, 0)
      return Effect.gen(function* () {
        for (let i = 0; i < steps; i++) yield* set(mine, i)
      })
    }
    return {
      alice: Effect.andThen(set(x, 1), own("a", 20)),
      bob: Effect.andThen(own("b", 20), set(x, 2)),
    }
  }

  it("is found by the first random schedule", async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const result = await run(over(apart), "random", { executions: 1, seed })
      expect(result.violation?.message).toBe(
        "x is data, and nothing orders two accesses: alice in set(x) wrote it, bob in set(x) writes it",
      )
      expect(unconfirmed(over(apart), result)).toBeUndefined()
    }
  })
})

describe("names that are interchangeable", () => {
  it("race with each other", async () => {
    const names = ["gpu0", "gpu1", "gpu2"]
    const setup = (locks: boolean) => () => {
      const x = dataCell("x", 0)
      const lock = mutex("lock")
      const fibers = names.map((name) => {
        const own = cell(`${name}.own`, 0)
        const add = Effect.flatMap(get(x), (seen) => set(x, seen + 1))
        const work = locks ? Effect.andThen(Effect.andThen(mutexLock(lock), add), mutexUnlock(lock)) : add
        return [name, Effect.andThen(set(own, 1), work)]
      })
      return { world: {}, fibers: Object.fromEntries(fibers), interchangeable: [names] }
    }
    const program = (locks: boolean) => programOf(setup(locks), [races])
    expect((await run(program(false), "states")).violation?.property).toBe("data-races")
    const held = await run(program(true), "states")
    expect(held.outcome, held.violation?.message).toBe("holds")
  })
})

describe("counterexamples", () => {
  const entry = entryOf(() => {
    const x = dataCell("x", 0)
    const flag = cell("flag", 0)
    const other = cell("other", 0)
    const alice = Effect.gen(function* () {
      yield* set(other, 1)
      yield* choose("how", [1, 2])
      yield* set(flag, 1)
      yield* set(x, 1)
    })
    const bob = Effect.andThen(Effect.andThen(set(other, 2), until(flag, 1)), get(x))
    return { world: {}, fibers: { alice, bob } }
  }, [races])

  it("shrink to the fewest steps and replay, whatever strategy found them", async () => {
    for (const strategy of ["states", "dfs", "random"]) {
      const program = entry.program()
      const { moves = [] } = await run(program, strategy)
      const shrunk = shrink(entry, program, "data-races", moves)
      expect(shrunk.minimal).toBe(true)
      expect(shrunk.moves.length).toBe(5)
      expect(countPreemptions(program, shrunk.moves)).toBe(shrunk.preemptions)
      const { steps } = runMoves(program, shrunk.moves)
      const schedule = steps.map(({ fiber, label, choice }) => ({
        fiber,
        label,
        ...(choice === undefined ? {} : { choice }),
      }))
      expect(replay(program, { schedule, property: "data-races" }).kind).toBe("reproduced")
      expect(runMoves(program, moves).violations.map(({ property }) => property)).toContain("data-races")
      const short = { schedule: schedule.slice(0, -1), property: "data-races" }
      expect(replay(program, short).kind).toBe("healed")
    }
  })
})

describe("a survey", () => {
  it("finds the same races by either definition", async () => {
    const found = await survey(
      over(() => {
        const [x, y] = [dataCell("x", 0), dataCell("y", 0)]
        return { alice: Effect.andThen(set(x, 1), get(y)), bob: Effect.andThen(set(y, 1), get(x)) }
      }),
      "dfs",
    )
    const next = (cell: string) => `data-races: ${cell} is data, and nothing orders who comes next`
    const two = (cell: string) => `data-races: ${cell} is data, and nothing orders two accesses`
    expect([...found.violations].sort()).toEqual(
      [
        `${next("x")}: alice in set(x) writes it, bob in get(x) reads it`,
        `${next("y")}: alice in get(y) reads it, bob in set(y) writes it`,
        `${two("x")}: alice in set(x) wrote it, bob in get(x) reads it`,
        `${two("x")}: bob in get(x) read it, alice in set(x) writes it`,
        `${two("y")}: alice in get(y) read it, bob in set(y) writes it`,
        `${two("y")}: bob in set(y) wrote it, alice in get(y) reads it`,
      ].sort(),
    )
  })
})
