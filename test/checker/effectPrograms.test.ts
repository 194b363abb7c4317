import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Tracer from "effect/Tracer"
import { describe, expect, it } from "vitest"
import {
  builtIn,
  Counterexample,
  countPreemptions,
  type EffectProgram,
  explore,
  replay,
  runMoves,
  shrink,
} from "../../checker/index.ts"
import { lostUpdate, mistakes } from "./effectPrograms.ts"
import { executions, of, together, yielding } from "./effectSupport.ts"
import { defaults, ruleBroken, run, strategyOf, survey, timeless, unconfirmed } from "./support.ts"

describe.each(mistakes.map(([program, property, correct]) => ({ program, property, correct })))(
  "$program.entry.id",
  ({ program: { entry }, property, correct }) => {
    it.each(["bounded", "dfs", "random", "pct"])("is found by %s, and confirmed", async (strategy) => {
      const result = await run(entry.program(), strategy)
      expect(result.violation?.property).toBe(property)
      expect(unconfirmed(entry.program(), result)).toBe(undefined)
      expect(timeless(await run(entry.program(), strategy))).toEqual(timeless(result))
    })

    it("is shrunk, and replays from a file", async () => {
      const found = await run(entry.program(), "random", { seed: 7 })
      const { moves, minimal, preemptions } = shrink(entry, entry.program(), property, found.moves ?? [])
      expect(minimal).toBe(true)
      expect(moves.length).toBeLessThanOrEqual(found.moves?.length ?? 0)
      expect(preemptions).toBeLessThanOrEqual(countPreemptions(entry.program(), found.moves ?? []))
      // What today's runtime does comes before what is only simpler.
      const first = await run(entry.program(), "bounded")
      expect(countPreemptions(entry.program(), first.moves ?? [])).toBeLessThanOrEqual(preemptions)

      const { steps, violations } = runMoves(entry.program(), moves)
      const file = Schema.decodeUnknownSync(Counterexample)({
        formatVersion: 1,
        scenario: entry.id,
        bound: {},
        strategy: "random",
        seed: 7,
        property,
        message: violations.find((violation) => violation.property === property)?.message,
        schedule: steps.map(({ fiber, label, choice }) => ({
          fiber,
          label,
          ...(choice === undefined ? {} : { choice }),
        })),
        tool: { name: "shootdown", version: "0" },
      })
      expect(replay(entry.program(), file)).toMatchObject({ kind: "reproduced", steps })
      expect(JSON.stringify(file)).not.toMatch(/#\d/)
    })

    it(`is not in ${correct.entry.id}, of which every schedule is run`, async () => {
      expect(await executions(correct)).toBe(await executions(correct, "bounded"))
    })
  },
)

it.each(mistakes.map(([program]) => program))("shows $entry.id as today's runtime does it", async ({ entry }) => {
  const { moves = [], violation } = await run(entry.program(), "random", { seed: 3 })
  const shrunk = shrink(entry, entry.program(), violation?.property ?? "", moves)
  expect(runMoves(entry.program(), shrunk.moves).steps[0]).toMatchObject({ label: "woken", result: "at once" })
})

it("runs as many schedules of the correct programs as there are", async () => {
  const counts: Record<string, number> = {}
  for (const [, , correct] of mistakes) counts[correct.entry.id] = await executions(correct)
  expect(counts).toEqual({
    "atomic-update": 8, // 4! / (2! 2!) later, 2 at once
    "kept-wake-up": 4,
    "scoped-holder": 6,
    "timeout-decided": 22,
    "semaphore-order": 23,
    "ended-queue": 10,
  })
})

it("refuses strategies that need steps, and names those that do not", async () => {
  const refused = explore(lostUpdate.entry.program(), strategyOf("states"), defaults)
  expect(await Effect.runPromise(Effect.flip(refused))).toMatchObject({
    _tag: "Unfit",
    message: expect.stringMatching(/lost-update is an Effect .*; .*dfs.* can explore it/),
  })
  const paranoid = explore(lostUpdate.entry.program(), strategyOf("random"), { ...defaults, paranoid: true })
  expect(await Effect.runPromise(Effect.flip(paranoid))).toMatchObject({ _tag: "Unfit" })
})

describe("a replay", () => {
  const recorded = async () => {
    const { moves = [], violation } = await run(lostUpdate.entry.program(), "bounded")
    const schedule = runMoves(lostUpdate.entry.program(), moves).steps.map(({ fiber, label, choice }) => ({
      fiber,
      label,
      ...(choice === undefined ? {} : { choice }),
    }))
    return { schedule, property: violation?.property ?? "" }
  }
  const counting = (increment: (counter: Ref.Ref<number>) => Effect.Effect<unknown>) =>
    of(
      () =>
        Effect.gen(function* () {
          const counter = yield* Ref.make(0)
          yield* Effect.all([increment(counter), increment(counter)], together)
          return yield* Ref.get(counter)
        }),
      { woken: "either" },
    ).entry.program()

  it("of a program that waits for something else is stale, and says where", async () => {
    const sleeping = counting(() => Effect.sleep("1 second"))
    expect(replay(sleeping, await recorded())).toEqual({
      kind: "stale",
      step: 3,
      expected: "main/1 at increment: yieldNow",
      offered: "main/1 at sleep(1000)",
    })
  })

  it("of a program with fewer fibers is stale", async () => {
    const alone = of(() => Effect.yieldNow, { woken: "either" }).entry.program()
    expect(replay(alone, await recorded())).toMatchObject({
      kind: "stale",
      step: 3,
      offered: "there is no fiber main/1; main at yieldNow",
    })
  })

  it("of a program without the mistake is healed", async () => {
    const mended = counting(
      Effect.fn("increment")(function* (counter) {
        yield* Effect.yieldNow
        yield* Ref.update(counter, (n) => n + 1)
      }),
    )
    expect(replay(mended, await recorded())).toMatchObject({ kind: "healed" })
  })
})

describe("how a program ends", () => {
  const verdict = async (program: EffectProgram) => (await run(program.entry.program(), "dfs")).violation

  it("a failure is a violation, unless a check looks at it", async () => {
    const failing = () => Effect.fail("no such page")
    expect(await verdict(of(failing))).toEqual({ property: "failure", message: "main failed with no such page" })
    expect(await verdict(of(failing, { check: Exit.isFailure }))).toBe(undefined)
  })

  it("a defect always is", async () => {
    const dying = () => Effect.die(new Error("boom"))
    const message = "main died of Error: boom"
    expect(await verdict(of(dying, { check: Exit.isFailure }))).toEqual({ property: "defect", message })
  })

  it("a check objects by throwing, and must be synchronous", async () => {
    const checked = (check: () => unknown) => verdict(of(() => Effect.succeed(1), { check }))
    const objecting = await checked(() => {
      throw new Error("it should be 2")
    })
    expect(objecting?.message).toBe("The program succeeded with 1. Error: it should be 2")
    expect((await checked(async () => true))?.message).toContain("must not be asynchronous")
    expect(await checked(() => undefined)).toBe(undefined)
  })

  it("is written the same every time, in a line", async () => {
    class Box {
      readonly content: unknown
      constructor(content: unknown) {
        this.content = content
      }
    }
    const ending = Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Effect.never)
      yield* Fiber.interrupt(fiber)
      const interrupted = yield* Fiber.await(fiber)
      const failed = yield* Effect.exit(Effect.fail(new Error("boom")))
      const all = [Option.some(fiber), new Map([[1, interrupted]]), new Set([failed]), new Box(new Error("lid"))]
      return { all, again: all, deep: [[[[Exit.succeed({ fiber })]]]] }
    })
    const all =
      "[ { _id: 'Option', _tag: 'Some', value: 'a fiber' }, Map(1) { 1 => [was interrupted] }, Set(1) { [failed with Error: boom] }, Box { content: [Error: lid] } ]"
    const { message } = (await verdict(of(() => ending, { check: () => false }))) ?? {}
    expect(message).toBe(
      `The program succeeded with { all: ${all}, again: ${all}, deep: [ [ [ [ [succeeded with { fiber: 'a fiber' }] ] ] ] ] }. The check returned false.`,
    )
    const { message: failure } = (await verdict(of(() => Effect.flatMap(Effect.exit(ending), Effect.fail)))) ?? {}
    expect(failure).not.toMatch(/fiberId|at /)
    expect(failure).toMatch(/^main failed with "\[succeeded with \{ all: /)
  })

  it("fibers that go on when the main fiber has ended are left", async () => {
    const leaving = of(() => Effect.forkDetach(Effect.forever(Effect.yieldNow)))
    expect(await executions(leaving)).toBe(1)
    const { finals } = await survey(leaving.entry.program(), "dfs")
    expect([...finals]).toEqual([`exit "succeeded with 'a fiber'"`])
  })

  it("says who waits for what", async () => {
    const stuck = of(() =>
      Effect.gen(function* () {
        const deferred = yield* Deferred.make<number>()
        const fiber = yield* Effect.forkChild(Effect.withSpan(Deferred.await(deferred), "reader"))
        return yield* Fiber.join(fiber)
      }),
    )
    expect(await verdict(stuck)).toEqual({
      property: builtIn.deadlock,
      message: "main waits in Fiber.join; main/1 waits in reader: Deferred.await",
    })
  })

  it.each<[string, Effect.Effect<unknown, unknown>]>([
    ["Effect.never", Effect.never],
    ["Effect.callback", Effect.callback(() => {})],
    ["Deferred.await", Effect.flatMap(Deferred.make(), Deferred.await)],
    ["Semaphore.take", Effect.flatMap(Semaphore.make(1), (semaphore) => semaphore.withPermits(2)(Effect.void))],
    ["Latch.await", Effect.flatMap(Latch.make(), ({ whenOpen }) => whenOpen(Effect.void))],
    ["Queue.take", Effect.flatMap(Queue.unbounded(), Queue.takeAll)],
    ["Queue.offer", Effect.flatMap(Queue.bounded<number>(0), (queue) => Queue.offer(queue, 1))],
    ["Queue.offerAll", Effect.flatMap(Queue.bounded<number>(1), (queue) => Queue.offerAll(queue, [1, 2]))],
    ["PubSub.take", Effect.scoped(Effect.flatMap(Effect.flatMap(PubSub.bounded(1), PubSub.subscribe), PubSub.take))],
    ["Effect.all", Effect.forEach([1, 2], () => Effect.never, { concurrency: 2 })],
    ["Effect.race", Effect.race(Effect.never, Effect.never)],
    ["Effect.raceFirst", Effect.raceFirst(Effect.never, Effect.never)],
  ])("calls a wait %s", async (name, effect) => {
    const { message = "" } = (await verdict(of(() => effect))) ?? {}
    expect(message.split("; ")[0]).toBe(`main waits in ${name}`)
  })

  it("an execution without an end leaves the search inconclusive", async () => {
    const { outcome, reason } = await run(of(() => Effect.forever(Effect.yieldNow)).entry.program(), "dfs")
    expect(outcome).toBe("inconclusive")
    expect(reason).toContain("went on beyond 500 steps, at yieldNow of fiber main")
  })
})

describe("the real world", () => {
  const broken = async (effect: Effect.Effect<unknown, unknown>) =>
    ruleBroken(await run(of(() => effect).entry.program(), "dfs"))

  it("is reported where a program reaches it", async () => {
    const slow = Effect.andThen(
      Effect.yieldNow,
      Effect.sync(() => Date.now()),
    )
    expect(await broken(slow)).toMatch(/^fiber main, after yieldNow: Date.now\(\) is the real world's/)
    expect(await broken(Effect.forkChild(Effect.sync(() => Math.random())).pipe(Effect.flatMap(Fiber.join)))).toMatch(
      /^fiber main\/1, after start: Math.random\(\)/,
    )
  })

  const promise = Effect.promise(() => Promise.resolve(1))
  it.each<[string, Effect.Effect<unknown, unknown>]>([
    ["is waited for", promise],
    ["loses a race against time", Effect.raceFirst(promise, Effect.sleep(1))],
    ["is given up", Effect.timeoutOption(promise, 1)],
    ["is waited for by a fiber that nobody waits for", Effect.andThen(Effect.forkChild(promise), Effect.yieldNow)],
    ["nobody waits for", Effect.sync(() => void Promise.resolve().then(() => 1))],
    ["an asynchronous function makes", Effect.sync(() => void (async () => 1)())],
    ["another runtime makes", Effect.sync(() => void Effect.runPromise(Effect.void))],
  ])("is reported where a promise %s", async (_, effect) => {
    expect(await broken(effect)).toMatch(
      /^fiber main(\/1)?, after start: a promise is kept by the real world, in its own time; give the program a service/,
    )
  })

  it("is told by what a promise is made for, where that is known", async () => {
    const timer = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 1)))
    expect(await broken(timer)).toMatch(/^fiber main, after start: setTimeout is the real world's/)
  })

  it("is reported where something waits that is like a promise", async () => {
    const never = new Proxy(Object.create(null), { get: () => () => undefined })
    expect(await broken(Effect.promise(() => never))).toMatch(
      /^fiber main waits in Effect.promise: a promise is kept by the real world/,
    )
  })

  it.each(["bounded", "dfs"])("is looked for by %s in what one execution leaves for the next", async (strategy) => {
    let turns = 0
    const left = Effect.forEach([1, 2], () =>
      Effect.suspend(() => (++turns % 3 === 0 ? Effect.sleep(1) : Effect.yieldNow)),
    )
    const { outcome, violation } = await run(of(() => Effect.all([left, left], together)).entry.program(), strategy)
    expect(outcome).toBe("violated")
    expect(violation).toMatchObject({ property: "rules", message: expect.stringContaining("finds another state") })
  })

  it.each(["bounded", "dfs", "random", "pct"])("is looked for by %s in what remains in the end", async (strategy) => {
    // It takes its turns the same way ever after: only what it ends with tells the first execution from the others.
    const cache = new Set<string>()
    const look = Effect.sync(() => {
      const isKnown = cache.has("page")
      cache.add("page")
      return isKnown
    })
    const caching = of(() => Effect.all([look, look], { concurrency: "unbounded" }), { check: () => true })
    const { outcome, violation } = await run(caching.entry.program(), strategy, { executions: 50 })
    expect(outcome).toBe("violated")
    expect(violation).toMatchObject({
      property: "rules",
      message: expect.stringContaining("something outlives an execution"),
    })
  })

  it("is kept out where a program brings a tracer of its own", async () => {
    const tracer = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })
    const { entry } = of(() =>
      Effect.provideService(Effect.all([yielding(1), yielding(1)], together), Tracer.Tracer, tracer),
    )
    const { outcome, statistics } = await run(entry.program(), "dfs")
    expect(outcome).toBe("holds")
    expect(statistics.executions).toBeGreaterThan(6)
  })

  it("is not reached by Effect's own services", async () => {
    const program = Effect.gen(function* () {
      yield* Console.log("silent")
      yield* Effect.log("silent")
      const before = yield* Clock.currentTimeMillis
      yield* Effect.sleep("1 minute")
      return [before, yield* Clock.currentTimeMillis, yield* Random.next, yield* Random.nextInt]
    }).pipe(Effect.withSpan("quiet"))
    const drawing = of(() => program)
    const { finals } = await survey(drawing.entry.program(), "dfs")
    const [only] = finals
    expect(finals.size).toBe(1)
    expect(only).toMatch(/\[ 0, 60000, 0\.\d+, -?\d+ \]/)
  })
})
