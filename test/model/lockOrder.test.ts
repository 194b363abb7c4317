/** Lock order: declared, and as a run shows it; under every strategy. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  builtIn,
  cell,
  choose,
  declareLock,
  fork,
  guardedStep,
  join,
  lockInversions,
  lockOrder,
  type Property,
  replay,
  runMoves,
  type Setup,
  self,
  shrink,
  step,
} from "../../checker/index.ts"
import { type Mutex, mutex, mutexLock, mutexTrylock, mutexUnlock } from "../../model/sync/mutex.ts"
import { downRead, downWrite, type RwSem, rwSem, upRead, upWrite } from "../../model/sync/rwsem.ts"
import { isFree, keep, lockWait, release, spinLock, underLock } from "../../model/sync/spinlock.ts"
import { entryOf, programOf, run, unconfirmed } from "../checker/support.ts"

type Code = Effect.Effect<unknown, unknown>

const under = (lock: Mutex, code: Code): Code =>
  Effect.andThen(Effect.andThen(mutexLock(lock), code), mutexUnlock(lock))
const nothing: Code = step("work", () => undefined)
const nested = (...locks: ReadonlyArray<Mutex>): Code => locks.reduceRight((code, lock) => under(lock, code), nothing)

const declared = [lockOrder(["a", "b", "c"], "test")]
const observed = [lockInversions("test")]

const three = () => [mutex("a"), mutex("b"), mutex("c")] as const

const strategies = [
  ["states", {}],
  ["states", { breadthFirst: true }],
  ["states", { paranoid: true }],
  ["dfs", {}],
  ["optimal", {}],
  ["bounded", {}],
] as const

/** Expects that a property is broken whatever the strategy; says how. */
const broken = async (
  setup: () => Setup<unknown>,
  properties: ReadonlyArray<Property<unknown>>,
  property: string,
): Promise<string> => {
  const program = programOf(setup, properties)
  let message = ""
  for (const [strategy, options] of [...strategies, ["random", { executions: 200 }] as const]) {
    const result = await run(program, strategy, { ...options, target: property })
    expect(result.violation?.property, strategy).toBe(property)
    expect(unconfirmed(program, result)).toBeUndefined()
    message = result.violation?.message ?? ""
  }
  return message
}

/** Expects that all properties hold whatever the strategy, deadlocks passed over, and that they were exercised. */
const kept = async (setup: () => Setup<unknown>, properties: ReadonlyArray<Property<unknown>>, exercised = true) => {
  const program = programOf(setup, properties)
  for (const [strategy, options] of strategies) {
    for (const { id } of properties) {
      const result = await run(program, strategy, { ...options, target: id })
      expect(result.outcome, `${strategy}: ${result.violation?.message}`).toBe("holds")
      const times = result.exercised.find((each) => each.id === id)?.times ?? 0
      expect(times > 0, strategy).toBe(exercised)
    }
  }
}

/** Two fibers that take two locks, each in its own order. */
const abba = () => {
  const [a, b] = three()
  return { world: {}, fibers: { alice: nested(a, b), bob: nested(b, a) } }
}

/** The same, but never at the same time: nothing can deadlock. */
const inTurn = () => {
  const [a, b] = three()
  const done = cell("done", false)
  const end = step("end", () => {
    done.value = true
  })
  const begin = guardedStep(
    "begin",
    () => done.value,
    () => undefined,
  )
  return { world: {}, fibers: { alice: Effect.andThen(nested(a, b), end), bob: Effect.andThen(begin, nested(b, a)) } }
}

describe("a declared order", () => {
  it("is broken by who takes a lock while it holds a later one", async () => {
    expect(await broken(abba, declared, "lock-order")).toBe(
      "bob in mutex_lock(a) takes a while it holds b; the order is a before b",
    )
  })

  it("is broken by a second lock of a kind of which one is held at a time, unless the second is nested", async () => {
    const program = (isNested: boolean) => () => {
      const [one, other] = [spinLock("one", "pte_lock"), spinLock("other", "pte_lock")]
      const inner = guardedStep(
        "inner",
        [],
        () => isFree(other),
        () => undefined,
        lockWait(other, isNested),
      )
      return {
        world: {},
        fibers: {
          alice: Effect.andThen(
            underLock(one, "outer", [], () => keep(one)),
            inner,
          ),
        },
      }
    }
    for (const order of [["pte_lock"], ["page_lock"], []]) {
      const singly = [lockOrder(order, "test", "lock-order", ["pte_lock"])]
      expect(await broken(program(false), singly, "lock-order")).toBe(
        "alice in inner takes other while it holds one; of pte_lock one is held at a time, unless the second is taken as nested",
      )
      await kept(program(true), singly)
    }
    await kept(program(false), [lockOrder(["pte_lock"], "test")])
  })

  it.each([
    ["exercised", "where there is another lock of the kind", ["one", "other"]],
    ["not exercised", "by the only lock of its kind", ["one"]],
  ] as const)("of one lock of a kind at a time is %s %s", async (exercised, _, names) => {
    const oneByOne = () => {
      const locks = names.map((name) => spinLock(name, "pte_lock"))
      const takes = Effect.forEach(locks, (lock) => underLock(lock, "inside", [lock.name], () => undefined))
      return { world: {}, fibers: { alice: takes } }
    }
    await kept(oneByOne, [lockOrder([], "test", "lock-order", ["pte_lock"])], exercised === "exercised")
  })

  it("is broken though nothing deadlocks", async () => {
    const program = programOf(inTurn)
    expect((await run(program, "states")).outcome).toBe("holds")
    await broken(inTurn, declared, "lock-order")
  })

  it("is broken by a single fiber", async () => {
    const setup = () => {
      const [a, b, c] = three()
      return { world: {}, fibers: { alice: Effect.andThen(nested(a, b, c), nested(a, c, b)) } }
    }
    expect(await broken(setup, declared, "lock-order")).toContain("takes b while it holds c")
  })

  it("is kept by who takes locks in it, gives them back in any order, and takes others", async () => {
    await kept(() => {
      const [a, b, c] = three()
      const other = mutex("other")
      const handOver = [mutexLock(a), mutexLock(b), mutexUnlock(a), mutexLock(c), mutexUnlock(b), mutexUnlock(c)]
      return { world: {}, fibers: { alice: Effect.all(handOver), bob: nested(other, a, other, c) } }
    }, declared)
  })

  it("says nothing of who only tries a lock, which waits for nothing", async () => {
    await kept(
      () => {
        const [a, b] = three()
        return { world: {}, fibers: { alice: under(b, mutexTrylock(a)), bob: under(a, nothing) } }
      },
      declared,
      false,
    )
  })

  it("says nothing of two locks of one place, and of those without one", async () => {
    await kept(() => {
      const [a] = three()
      const [one, two] = [mutex("one", "b"), mutex("two", "b")]
      return { world: {}, fibers: { alice: nested(a, one, two), bob: nested(a, two, one) } }
    }, declared)
    await kept(
      () => {
        const [a] = three()
        const other = mutex("other")
        return { world: {}, fibers: { alice: nested(other, a), bob: nested(a, other) } }
      },
      declared,
      false,
    )
  })

  it("counts a lock that was had by trying among those that are held", async () => {
    const setup = () => {
      const [a, b] = three()
      const bob = Effect.flatMap(mutexTrylock(b), (had) => (had ? nested(a) : Effect.void))
      return { world: {}, fibers: { bob } }
    }
    await broken(setup, declared, "lock-order")
  })

  it("is of kinds too, and of locks for reading", async () => {
    const order = [lockOrder(["mmap_lock", "spinlock"], "test")]
    const setup = (reading: boolean) => () => {
      const sem = rwSem("mm.mmap_lock", "mmap_lock")
      const ptl = spinLock("mm.ptl")
      const down = reading ? downRead(sem, "mmap_read_lock") : downWrite(sem, "mmap_write_lock")
      const up = reading ? upRead(sem, "mmap_read_unlock") : upWrite(sem, "mmap_write_unlock")
      const inside = Effect.andThen(
        underLock(ptl, "begin", [], () => keep(ptl)),
        Effect.andThen(
          Effect.andThen(down, up),
          step("end", () => release(ptl)),
        ),
      )
      return { world: {}, fibers: { cpu0: inside } }
    }
    for (const reading of [true, false]) {
      expect(await broken(setup(reading), order, "lock-order")).toContain(
        "takes mm.mmap_lock while it holds mm.ptl; the order is mmap_lock before spinlock",
      )
    }
  })

  it("holds for a critical section of one step as well", async () => {
    const setup = () => {
      const outer = mutex("b")
      const inner = spinLock("a")
      return {
        world: {},
        fibers: {
          alice: under(
            outer,
            underLock(inner, "inside", [], () => undefined),
          ),
        },
      }
    }
    await broken(setup, declared, "lock-order")
  })

  it("may not name one of several names that are interchangeable", async () => {
    const setup = () => {
      const locks = ["gpu0", "gpu1"].map((name) => mutex(`${name}.lock`))
      const [gpu0 = nothing, gpu1 = nothing] = locks.map((lock) => under(lock, nothing))
      return { world: {}, fibers: { gpu0, gpu1 }, interchangeable: [["gpu0", "gpu1"]] }
    }
    const program = (name: string) => programOf(setup, [lockOrder([name, "other"], "test")])
    expect(() => program("gpu1.lock").start()).toThrow("lock-order names gpu1, which is interchangeable")
    expect(program("mutex").start()).toBeDefined()
  })
})

describe("inversions in a run", () => {
  it("are found where two fibers take two locks in two orders, though nothing deadlocks", async () => {
    expect((await run(programOf(inTurn, observed), "states", { target: builtIn.deadlock })).outcome).toBe("holds")
    expect(await broken(inTurn, observed, "lock-inversions")).toBe(
      "alice takes b while it holds a, bob takes a while it holds b",
    )
  })

  it("are found in the runs that do not deadlock of a program that may", () =>
    broken(abba, observed, "lock-inversions"))

  it("are found among three", async () => {
    const setup = () => {
      const [a, b, c] = three()
      return { world: {}, fibers: { alice: nested(a, b), bob: nested(b, c), carol: nested(c, a) } }
    }
    const message = await broken(setup, observed, "lock-inversions")
    expect(message).toContain("alice takes b while it holds a, bob takes c while it holds b, carol takes a")
  })

  it("are found among fibers that come and go", () =>
    broken(
      () => {
        const [a, b] = three()
        const main = Effect.gen(function* () {
          yield* join(yield* fork("first", nested(a, b)))
          yield* join(yield* fork("second", nested(b, a)))
        })
        return { world: {}, fibers: { main } }
      },
      observed,
      "lock-inversions",
    ))

  it("are none where all fibers take locks in one order", () =>
    kept(() => {
      const [a, b, c] = three()
      return { world: {}, fibers: { alice: nested(a, b), bob: nested(a, b, c), carol: nested(b, c) } }
    }, observed))

  it("are none under a common lock, a gate", () =>
    kept(() => {
      const [a, b, c] = three()
      return { world: {}, fibers: { alice: nested(c, a, b), bob: nested(c, b, a) } }
    }, observed))

  it("are found where the common lock lets both in, or is not held by both", async () => {
    const gated = (gate: (sem: RwSem, code: Code, who: string) => Code) => () => {
      const [a, b] = three()
      const sem = rwSem("sem")
      return { world: {}, fibers: { alice: gate(sem, nested(a, b), "alice"), bob: gate(sem, nested(b, a), "bob") } }
    }
    const reading = (sem: RwSem, code: Code) =>
      Effect.andThen(Effect.andThen(downRead(sem, "down_read"), code), upRead(sem, "up_read"))
    const writing = (sem: RwSem, code: Code) =>
      Effect.andThen(Effect.andThen(downWrite(sem, "down_write"), code), upWrite(sem, "up_write"))
    await broken(gated(reading), observed, "lock-inversions")
    await broken(
      gated((sem, code, who) => (who === "bob" ? code : writing(sem, code))),
      observed,
      "lock-inversions",
    )
    await kept(
      gated((sem, code, who) => (who === "bob" ? reading(sem, code) : writing(sem, code))),
      observed,
    )
  })

  it("are none of one fiber alone, and none of a lock that is only tried", async () => {
    await kept(() => {
      const [a, b] = three()
      return { world: {}, fibers: { alice: Effect.andThen(nested(a, b), nested(b, a)) } }
    }, observed)
    await kept(() => {
      const [a, b] = three()
      return { world: {}, fibers: { alice: nested(a, b), bob: under(b, mutexTrylock(a)) } }
    }, observed)
  })

  it("count for names that are interchangeable once", async () => {
    const setup = (inverted: boolean) => () => {
      const names = inverted ? ["gpu0", "gpu1"] : ["gpu0", "gpu1", "gpu2"]
      const shared = mutex("shared")
      const locks = names.map((name) => mutex(`${name}.lock`))
      const fibers = names.map((name, i) => {
        const own = locks[i] ?? shared
        return [name, inverted ? Effect.andThen(nested(own, shared), nested(shared, own)) : nested(own, shared)]
      })
      return { world: {}, fibers: Object.fromEntries(fibers), interchangeable: [names] }
    }
    const symmetric = await run(programOf(setup(false), observed), "states")
    const plain = await run(programOf(setup(false), observed), "states", { symmetry: false })
    expect([symmetric.outcome, plain.outcome]).toEqual(["holds", "holds"])
    expect(symmetric.statistics.states).toBeLessThan(plain.statistics.states / 3)
    // Each takes its own lock and the common one in both orders, and nobody else's: no two of them make a circle.
    const both = await run(programOf(setup(true), observed), "states")
    expect(both.outcome, both.violation?.message).toBe("holds")
    await broken(
      () => {
        const [gpu0, gpu1] = [mutex("gpu0.lock"), mutex("gpu1.lock")]
        const fibers = { gpu0: nested(gpu0, gpu1), gpu1: nested(gpu1, gpu0) }
        return { world: {}, fibers, interchangeable: [["gpu0", "gpu1"]] }
      },
      observed,
      "lock-inversions",
    )
  })

  it("make more states only where they are asked for", async () => {
    const asked = await run(programOf(inTurn, observed), "states", { target: "nothing" })
    const plain = await run(programOf(inTurn), "states")
    expect(asked.statistics.states).toBe(plain.statistics.states)
    // Whether alice took both no longer matters at her end, but to the graph.
    const choosing = () => {
      const [a, b] = three()
      const alice = Effect.flatMap(choose("both", [true, false]), (both) => (both ? nested(a, b) : nested(a)))
      return { world: {}, fibers: { alice, bob: nested(b) } }
    }
    const more = await run(programOf(choosing, observed), "states")
    const fewer = await run(programOf(choosing), "states")
    expect([more.outcome, fewer.outcome]).toEqual(["holds", "holds"])
    expect(more.statistics.states).toBeGreaterThan(fewer.statistics.states)
  })
})

describe("a lock of one's own", () => {
  it("takes part once it is declared", async () => {
    const setup = () => {
      const holder = cell("holder", "")
      const own = declareLock({
        name: "a",
        kind: "own",
        holders: () => (holder.value === "" ? [] : [{ fiber: holder.value, shared: false }]),
      })
      const take = guardedStep(
        "take",
        [],
        () => holder.value === "",
        () => {
          holder.value = self()
        },
        { on: "a", kind: "own", sleeps: true, hindrances: () => [], takes: () => [{ lock: own, shared: false }] },
      )
      return { world: {}, fibers: { alice: under(mutex("b"), take) } }
    }
    expect(await broken(setup, declared, "lock-order")).toContain("alice in take takes a while it holds b")
  })
})

describe("counterexamples", () => {
  it("shrink and replay", async () => {
    for (const [properties, id, steps] of [
      [declared, "lock-order", 8],
      [observed, "lock-inversions", 9],
    ] as const) {
      const entry = entryOf<unknown>(() => {
        const { world, fibers } = inTurn()
        const other = cell("other", 0)
        const carol = step("other", () => {
          other.value++
        })
        return { world, fibers: { carol, ...fibers } }
      }, [...properties])
      for (const strategy of ["states", "dfs", "random"]) {
        const program = entry.program()
        const { moves = [] } = await run(program, strategy)
        const shrunk = shrink(entry, program, id, moves)
        expect(shrunk.minimal).toBe(true)
        expect(shrunk.preemptions).toBe(0)
        expect(shrunk.moves.length).toBe(steps)
        const schedule = runMoves(program, shrunk.moves).steps.map(({ fiber, label }) => ({ fiber, label }))
        expect(schedule.some(({ fiber }) => fiber === "carol")).toBe(false)
        expect(replay(program, { schedule, property: id }).kind).toBe("reproduced")
        expect(replay(program, { schedule: schedule.slice(0, -1), property: id }).kind).toBe("healed")
      }
    }
  })
})
