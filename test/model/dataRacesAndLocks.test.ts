/** Data races and what keeps them away: locks, flags that are looked at twice, and RCU. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  type Cell,
  cell,
  changeGuard,
  dataCell,
  guardedStep,
  protocol,
  type Replacements,
  scenario,
} from "../../checker/index.ts"
import { mutex, mutexLock, mutexUnlock, underMutex } from "../../model/sync/mutex.ts"
import { rcuDomain, rcuReadLock, rcuReadUnlock, synchronizeRcu } from "../../model/sync/rcu.ts"
import { downRead, downWrite, readWait, rwSem, upRead, upWrite, writeWait } from "../../model/sync/rwsem.ts"
import { run } from "../checker/support.ts"
import { get, ordered, races, racy, set } from "./racePrograms.ts"

describe("locks", () => {
  const add = (x: Cell<number>) => Effect.flatMap(get(x), (seen) => set(x, seen + 1))

  it("order what is done under them", () =>
    ordered(() => {
      const x = dataCell("x", 0)
      const lock = mutex("lock")
      const work = Effect.andThen(Effect.andThen(mutexLock(lock), add(x)), mutexUnlock(lock))
      return { alice: work, bob: work }
    }))

  it("order critical sections of one step", () =>
    ordered(() => {
      const x = dataCell("x", 0)
      const lock = mutex("lock")
      const work = underMutex(lock, "work", [], () => {
        x.value++
      })
      const longer = Effect.andThen(Effect.andThen(mutexLock(lock), add(x)), mutexUnlock(lock))
      return { alice: work, bob: work, carol: longer }
    }))

  it("do not order who takes another one, or none", async () => {
    await racy(() => {
      const x = dataCell("x", 0)
      const work = (name: string) =>
        underMutex(mutex(name), "work", [], () => {
          x.value++
        })
      return { alice: work("one"), bob: work("other") }
    })
    await racy(() => {
      const x = dataCell("x", 0)
      const lock = mutex("lock")
      return { alice: Effect.andThen(Effect.andThen(mutexLock(lock), add(x)), mutexUnlock(lock)), bob: add(x) }
    })
  })

  it("for reading do not order writers, and order them with who takes them for writing", async () => {
    const work = (reads: boolean) => () => {
      const x = dataCell("x", 0)
      const sem = rwSem("sem")
      const inside = (name: string, body: Effect.Effect<unknown>) =>
        Effect.andThen(Effect.andThen(downRead(sem, `down ${name}`), body), upRead(sem, `up ${name}`))
      const alone = Effect.andThen(Effect.andThen(downWrite(sem, "down_write"), set(x, 2)), upWrite(sem, "up_write"))
      return { alice: inside("alice", reads ? get(x) : set(x, 1)), bob: inside("bob", get(x)), carol: alone }
    }
    await ordered(work(true))
    await racy(work(false))
  })

  it("for reading let critical sections of one step race with each other", async () => {
    const work = (writes: boolean) => () => {
      const x = dataCell("x", 0)
      const sem = rwSem("sem")
      const free = () => sem.state.writer === ""
      const read = guardedStep("read", [], free, () => (writes ? x.value++ : x.value), readWait(sem))
      const write = guardedStep(
        "write",
        [],
        () => free() && sem.state.readers.length === 0,
        () => {
          x.value++
        },
        writeWait(sem),
      )
      return { alice: read, bob: read, carol: write }
    }
    await ordered(work(false))
    expect(await racy(work(true))).toContain("alice in read writes it, bob in read reads it")
  })

  it("that a seeded bug does not look at order nothing", async () => {
    const bug = (at: () => Replacements) => ({
      id: "no-lock",
      title: "no lock",
      source: "test",
      scenario: "locked",
      breaks: "data-races",
      at,
    })
    const locked = scenario({
      id: "locked",
      summary: "a critical section",
      setup: () => {
        const x = dataCell("x", 0)
        const work = underMutex(mutex("lock"), "work", [], () => {
          x.value++
        })
        return { world: {}, fibers: { alice: work, bob: work } }
      },
      properties: [races],
    })
    const bugs = [bug(() => ({ work: changeGuard(() => true) }))]
    const [entry] = protocol({ id: "locked", title: "a critical section", scenarios: [locked], bugs }).scenarios
    if (entry === undefined) throw new Error("the protocol has no scenario")
    for (const strategy of ["states", "optimal", "bounded", "dfs"]) {
      expect((await run(entry.program(), strategy)).outcome).toBe("holds")
      expect((await run(entry.program({}, "no-lock"), strategy)).violation?.property).toBe("data-races")
    }
  })
})

describe("initialisation that is checked twice", () => {
  const program = (make: typeof cell) => () => {
    const ready = make("ready", 0)
    const object = dataCell("object", 0)
    const lock = mutex("lock")
    const work = Effect.gen(function* () {
      if ((yield* get(ready)) === 0) {
        yield* mutexLock(lock)
        if ((yield* get(ready)) === 0) {
          yield* set(object, 1)
          yield* set(ready, 1)
        }
        yield* mutexUnlock(lock)
      }
      yield* get(object)
    })
    return { alice: work, bob: work }
  }

  it("races where what is checked is data", async () => {
    expect(await racy(program(dataCell))).toContain("ready is data")
  })
  it("is ordered where it synchronises", () => ordered(program(cell)))
})

describe("an object under RCU", () => {
  /** The writer replaces what readers find and then uses the old object's memory again. */
  const replaced = (waits: boolean) => () => {
    const rcu = rcuDomain("rcu", ["reader"])
    const objects = [dataCell("object0", 1), dataCell("object1", 0)] as const
    const pointer = cell<0 | 1>("pointer", 0)
    const writer = Effect.gen(function* () {
      yield* set(objects[1], 1)
      yield* set(pointer, 1)
      if (waits) yield* synchronizeRcu(rcu)
      yield* set(objects[0], 0)
    })
    const reader = Effect.gen(function* () {
      yield* rcuReadLock(rcu)
      const index = yield* get(pointer)
      yield* get(objects[index])
      yield* rcuReadUnlock(rcu)
    })
    return { writer, reader }
  }

  it("may be written behind a grace period", () => ordered(replaced(true)))
  it("races without one", async () => {
    expect(await racy(replaced(false))).toContain("object0 is data")
  })
})
