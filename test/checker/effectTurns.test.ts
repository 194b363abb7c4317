/** When the fibers of an Effect program take turns: where they switch, and how time passes. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Ref from "effect/Ref"
import * as References from "effect/References"
import * as Scheduler from "effect/Scheduler"
import { describe, expect, it } from "vitest"
import { type EffectProgram, effectProgram } from "../../checker/index.ts"
import { executions, of, texts, together, yielding } from "./effectSupport.ts"
import { ruleBroken, run, survey } from "./support.ts"

it("counts the orders of turns", async () => {
  const fibers = (...times: ReadonlyArray<number>) => of(() => Effect.all(times.map(yielding), together))
  expect(await executions(fibers(1, 1))).toBe(6) // 4! / (2! 2!)
  expect(await executions(fibers(1, 1, 1))).toBe(90) // 6! / (2! 2! 2!)
  expect(await executions(fibers(5, 5))).toBe(924) // 12! / (6! 6!)
  for (const order of [
    [0, 1, 3],
    [3, 1, 0],
    [1, 3, 0],
  ]) {
    expect(await executions(fibers(...order))).toBe(105) // 7! / (1! 2! 4!)
    expect(await executions(fibers(...order), "bounded")).toBe(105)
  }
})

describe("time", () => {
  const racing = (time: "passes" | "stands") =>
    of(() => Effect.timeoutOption(Effect.as(yielding(2), "done"), "1 second"), { time })
  const ends = async (program: EffectProgram) =>
    [...(await survey(program.entry.program(), "dfs")).finals].map((final) => /_tag: '(\w+)'/.exec(final)?.[1]).sort()

  it("passes while others compute, so a timeout can come before any result", async () => {
    expect(await ends(racing("passes"))).toEqual(["None", "Some"])
  })

  it("stands while somebody can go on, where the program says so", async () => {
    expect(await ends(racing("stands"))).toEqual(["Some"])
  })

  it("wakes sleepers in the order of their times", async () => {
    const sleepers = of(() =>
      Effect.gen(function* () {
        const woken: Array<string> = []
        const sleep = (name: string, milliseconds: number) =>
          Effect.andThen(
            Effect.sleep(milliseconds),
            Effect.sync(() => woken.push(name)),
          )
        yield* Effect.andThen(Effect.all([sleep("b", 20), sleep("a", 10), sleep("c", 20)], together), Effect.void)
        return woken.join("")
      }),
    )
    // Whoever begins to sleep late wakes late: only `a` and those who slept before it woke are in order.
    const { finals } = await survey(sleepers.entry.program(), "dfs")
    const orders = [...finals].map((final) => /'(\w+)'/.exec(final)?.[1]).sort()
    expect(orders).toEqual(["abc", "acb", "bac", "bca", "cab", "cba"])
    const still = effectProgram({ id: "still", program: () => sleepersOf([20, 10, 20]), time: "stands" })
    expect([...(await survey(still.entry.program(), "dfs")).finals]).toEqual([`exit "succeeded with '10 20 20'"`])
  })
})

const sleepersOf = (times: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const woken: Array<number> = []
    const sleep = (time: number) =>
      Effect.andThen(
        Effect.sleep(time),
        Effect.sync(() => woken.push(time)),
      )
    yield* Effect.all(times.map(sleep), together)
    return woken.join(" ")
  })

describe("where fibers switch", () => {
  const careless = Effect.gen(function* () {
    const counter = yield* Ref.make(0)
    const increment = Effect.flatMap(Ref.get(counter), (seen) => Ref.set(counter, seen + 1))
    yield* Effect.all([increment, increment], together)
    return yield* Ref.get(counter)
  })
  const check = (exit: Exit.Exit<number>) => Exit.isSuccess(exit) && exit.value === 2

  it("is where they suspend, or after so many operations", async () => {
    const program = effectProgram({ id: "careless", program: () => careless, check })
    expect(await executions(program)).toBe(3) // two orders later, one at once
    const yields = effectProgram({ id: "careless", program: () => careless, check, yieldEvery: 1 })
    const { violation, moves } = await run(yields.entry.program(), "bounded")
    expect(violation?.property).toBe("check")
    expect(texts(yields, moves).filter((text) => text.includes("yield"))).not.toEqual([])
    expect(() => effectProgram({ id: "careless", program: () => careless, yieldEvery: 0 })).toThrow("yieldEvery")
  })

  it("is not between a wake-up and what it wakes, where the program says so", async () => {
    const handing = (woken: "later" | "at once") =>
      effectProgram({
        id: "handing",
        woken,
        program: () =>
          Effect.gen(function* () {
            const log: Array<string> = []
            const deferred = yield* Deferred.make<void>()
            const waiter = Effect.map(Deferred.await(deferred), () => log.push("woken"))
            const fiber = yield* Effect.forkChild(waiter, { startImmediately: true })
            yield* Deferred.succeed(deferred, undefined)
            log.push("went on")
            yield* Fiber.await(fiber)
            return log.join()
          }),
      })
    const ends = async (program: EffectProgram) => [...(await survey(program.entry.program(), "dfs")).finals]
    expect(await ends(handing("later"))).toEqual([`exit "succeeded with 'went on,woken'"`])
    expect(await ends(handing("at once"))).toEqual([`exit "succeeded with 'woken,went on'"`])
  })

  it("is not between a wake-up and an interruption: who waited to offer knows that it did", async () => {
    const offering = of(
      () =>
        Effect.gen(function* () {
          const offered: Array<number> = []
          const queue = yield* Queue.bounded<number>(1)
          const offer = (n: number) => Effect.map(Queue.offer(queue, n), () => offered.push(n))
          yield* offer(1)
          const second = yield* Effect.forkChild(offer(2))
          yield* Effect.yieldNow
          const taken = [yield* Queue.take(queue)]
          yield* Fiber.interrupt(second)
          return { offered, taken: [...taken, ...(yield* Queue.clear(queue))] }
        }),
      {
        check: (exit: Exit.Exit<{ offered: object; taken: object }>) =>
          Exit.isSuccess(exit) && expect(exit.value.taken).toEqual(exit.value.offered),
      },
    )
    const { finals } = await survey(offering.entry.program(), "dfs")
    expect(finals.size).toBe(2)
    await executions(offering)
  })

  /** The log of a program, as today's runtime has it and as it can be. */
  const logs = async (program: (log: Array<string>) => Effect.Effect<unknown, unknown>) => {
    const logging = effectProgram({
      id: "logging",
      program: () => {
        const log: Array<string> = []
        return Effect.map(program(log), () => log.join())
      },
    })
    const { finals } = await survey(logging.entry.program(), "dfs")
    return [...finals].map((final) => /'(.*)'/.exec(final)?.[1]).sort()
  }
  const write = (log: Array<string>, text: string) => Effect.sync(() => log.push(text))

  it("is not before a fiber that another runtime starts", async () => {
    const starting = (log: Array<string>) =>
      Effect.map(Effect.context<never>(), (context) => {
        Effect.runForkWith(context)(Effect.andThen(write(log, "begun"), Effect.andThen(Effect.yieldNow, Effect.never)))
        log.push("started")
      })
    expect(await logs(starting)).toEqual(["begun,started"])
  })

  it("is where an iteration starts its fibers, or not, as today", async () => {
    const iterating = (log: Array<string>) =>
      Effect.forEach(
        ["a", "b"],
        (name) => {
          log.push(`makes ${name}`)
          return write(log, name)
        },
        together,
      )
    expect(await logs(iterating)).toEqual(["makes a,a,makes b,b", "makes a,makes b,a,b", "makes a,makes b,b,a"])
  })

  it("is before a fiber that was forked, and where fibers are not to yield", async () => {
    const forking = (log: Array<string>) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(write(log, "child"))
        yield* write(log, "parent")
        yield* Effect.yieldNow
        yield* write(log, "again")
        yield* Fiber.join(fiber)
      }).pipe(Effect.provideService(References.PreventSchedulerYield, true))
    expect(await logs(forking)).toEqual(["parent,again,child", "parent,child,again"])
  })

  it("is not within what runs synchronously, which leaves nothing behind", async () => {
    const offering = (log: Array<string>) =>
      Effect.gen(function* () {
        const context = yield* Effect.context<never>()
        const queue = yield* Queue.unbounded<number>()
        const taker = yield* Effect.forkChild(Effect.andThen(Queue.take(queue), write(log, "taken")))
        yield* Effect.yieldNow
        Effect.runSyncWith(context)(Effect.andThen(write(log, "now"), write(log, "then")))
        yield* Queue.offer(queue, 1)
        yield* write(log, "offered")
        yield* Fiber.join(taker)
      })
    // The taker may come after the offer, too.
    expect(await logs(offering)).toEqual(["now,then,offered,taken"])
  })

  it("is nowhere on a scheduler of the program's own, which is refused", async () => {
    const task = (run: () => void) => run()
    const scheduler: Scheduler.Scheduler = {
      executionMode: "sync",
      shouldYield: () => false,
      makeDispatcher: () => ({ scheduleTask: task, flush: () => undefined }),
    }
    const eager = Effect.provideService(yielding(2), Scheduler.Scheduler, scheduler)
    for (const program of [eager, Effect.flatMap(Effect.forkChild(eager), Fiber.join)]) {
      expect(ruleBroken(await run(of(() => program).entry.program(), "dfs"))).toContain("a scheduler of its own")
    }
  })

  it("is not before a fiber that starts immediately", async () => {
    const starting = (startImmediately: boolean) =>
      of(() =>
        Effect.gen(function* () {
          const log: Array<string> = []
          yield* Effect.forkChild(
            Effect.sync(() => log.push("child")),
            { startImmediately },
          )
          log.push("parent")
          yield* Effect.yieldNow
          return log.join()
        }),
      )
    const ends = async (program: EffectProgram) => [...(await survey(program.entry.program(), "dfs")).finals].sort()
    expect(await ends(starting(true))).toEqual([`exit "succeeded with 'child,parent'"`])
    expect(await ends(starting(false))).toEqual([
      `exit "succeeded with 'parent'"`,
      `exit "succeeded with 'parent,child'"`,
    ])
  })
})
