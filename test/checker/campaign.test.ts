/** Explorations by several threads, and taken up again, against the same ones by one thread in one go. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import fc from "fast-check"
import { afterAll, describe, expect, it } from "vitest"
import { type CampaignResult, campaign, type Resources } from "../../checker/campaign/campaign.ts"
import { identityOf, readCheckpoint, type Subject, saveCheckpoint } from "../../checker/campaign/checkpoint.ts"
import { elsewhere } from "../../checker/campaign/elsewhere.ts"
import { MemoryGuard } from "../../checker/campaign/memory.ts"
import { Pool } from "../../checker/campaign/pool.ts"
import { segmentBytes, Visited } from "../../checker/explore/visited.ts"
import { type Budget, builtIn, type Cell, type SearchOptions, type Survey } from "../../checker/index.ts"
import { long } from "../long.ts"
import { randomProgram, symmetricProgram } from "./programArbitrary.ts"
import { forever, over, promise, set } from "./promising.ts"
import type { RandomProgram } from "./randomProgram.ts"
import { type Argument, program, sourceOf } from "./sources.ts"
import { defaults, run, survey, unconfirmed, withoutWriters } from "./support.ts"

/** One pool for all tests: its threads are used again and again. */
const runtime = ManagedRuntime.make(Layer.mergeAll(Pool.layer, NodeServices.layer))
const directory = mkdtempSync(join(tmpdir(), "shootdown-"))
afterAll(async () => {
  await runtime.dispose()
  rmSync(directory, { recursive: true, force: true })
})

/** Checkpoints that go nowhere: with them, workers explore from the beginning. */
const fromTheStart: Pick<Resources, "checkpoints"> = { checkpoints: { every: 1_000_000, save: () => Effect.void } }

const explored = (
  argument: Argument,
  resources: Partial<Resources>,
  options: Partial<SearchOptions> = {},
  budget: Budget = {},
): Promise<CampaignResult> =>
  runtime.runPromise(
    campaign(
      program(argument),
      { ...defaults, ...options },
      { workers: 2, source: sourceOf(argument), ...resources },
      budget,
    ),
  )

/** What must not depend on who explores, in which order, and in how many goes. */
const totals = ({
  outcome,
  statistics,
  exercised,
  steps,
}: Pick<CampaignResult, "outcome" | "statistics" | "exercised" | "steps">) => ({
  outcome,
  states: statistics.states,
  transitions: statistics.transitions,
  exercised: exercised.map(({ id, times }) => ({ id, times })),
  steps: Object.fromEntries(steps),
})

/** Both fibers wait for what nobody does. */
const stuckFromTheStart: RandomProgram = {
  fibers: [[{ op: "await", at: 0, value: 1, reads: 0 }], [{ op: "await", at: 0, value: 1, reads: 0 }]],
  limits: { sum: 9, selector: 1, one: 1, other: 1, final: 9 },
}

const grid: Argument = { kind: "grid", fibers: 5, to: 7 }
const gridTotals = { outcome: "holds", states: 8 ** 5, transitions: 5 * 7 * 8 ** 4 }

/** Programs are compared until there are so many; `SHOOTDOWN_LONG=1` compares more. */
const wanted = long ? 20_000 : 32

describe("several workers", () => {
  it.each([1, 2, 3])("%i find the same", async (workers) => {
    const result = await explored(grid, { workers, ...fromTheStart })
    expect(totals(result)).toMatchObject(gridTotals)
    expect(totals(result).exercised).toEqual(totals(await run(program(grid), "states")).exercised)
    expect(result.workers).toBe(workers)
    expect(result.peakMemory).toBeGreaterThan(1e6)
  })

  it.each([1, 2, 3])("%i find the same where fibers wait for each other", async (workers) => {
    const waiting: Argument = { kind: "grid", fibers: 5, to: 7, ahead: 2 }
    const result = await explored(waiting, { workers, ...fromTheStart })
    expect(totals(result)).toEqual(totals(await run(program(waiting), "states")))
    expect(result.outcome).toBe("holds")
  })

  it("take over from the thread that began", async () => {
    const large: Argument = { kind: "grid", fibers: 6, to: 9 }
    const result = await explored(large, { handover: 0 })
    expect(totals(result)).toMatchObject({ outcome: "holds", states: 10 ** 6, transitions: 6 * 9 * 10 ** 5 })
    expect(result.workers).toBe(2)
  })

  it("leave a violation of the first state alone", async () => {
    const stuck: Argument = { kind: "random", program: stuckFromTheStart }
    const { outcome, violation, moves } = await explored(stuck, fromTheStart)
    expect(outcome).toBe("violated")
    expect(violation?.property).toBe("deadlock")
    expect(moves).toEqual([])
  })

  it("agree with one on random programs", { timeout: 7_200_000 }, async () => {
    const seen = { holding: 0, broken: 0 }
    const compare = async (random: Parameters<typeof program>[0] & { kind: "random" }) => {
      const alone = await survey(program(random), "states")
      const violations = new Set<string>()
      const finals = new Set<string>()
      const found: Survey = {
        violation: ({ property, message }) => void violations.add(`${property}: ${withoutWriters(message)}`),
        final: (cells, deadlocked) => void finals.add(deadlocked ? `${cells}\ndeadlocked` : cells),
      }
      const together = await explored(random, fromTheStart, { survey: found })
      expect(totals(together)).toEqual(totals(alone.result))
      expect(violations).toEqual(alone.violations)
      expect(finals).toEqual(alone.finals)
      const first = await explored(random, fromTheStart)
      expect(first.outcome).toBe(alone.broken.size > 0 ? "violated" : "holds")
      if (first.outcome === "violated") expect(unconfirmed(program(random), first)).toBeUndefined()
      seen[first.outcome === "violated" ? "broken" : "holding"]++
    }
    const programs = randomProgram.map((each): Argument & { kind: "random" } => ({ kind: "random", program: each }))
    await fc.assert(fc.asyncProperty(programs, compare), { seed: 20_26, numRuns: wanted })
    expect(seen.holding).toBeGreaterThan(wanted / 10)
    expect(seen.broken).toBeGreaterThan(wanted / 10)
  })

  it("agree with one on programs with interchangeable fibers", { timeout: 7_200_000 }, async () => {
    const compare = async (random: Argument) => {
      const alone = await run(program(random), "states")
      const together = await explored(random, fromTheStart)
      expect(together.outcome).toBe(alone.outcome)
      if (alone.outcome === "holds") expect(totals(together)).toEqual(totals(alone))
    }
    const programs = symmetricProgram.map((each): Argument => ({ kind: "random", program: each }))
    await fc.assert(fc.asyncProperty(programs, compare), { seed: 20_26, numRuns: wanted / 4 })
  })

  it("report a violation that plain re-execution confirms", async () => {
    const broken: Argument = { kind: "grid", fibers: 5, to: 7, limit: 31 }
    const result = await explored(broken, fromTheStart)
    expect(result).toMatchObject({ outcome: "violated", violation: { property: "limited" } })
    expect(unconfirmed(program(broken), result)).toBeUndefined()
  })

  it("keep the real world out", async () => {
    const result = await explored({ kind: "grid", fibers: 3, to: 2, last: "looks at the clock" }, fromTheStart)
    expect(result).toMatchObject({ outcome: "violated", violation: { property: builtIn.rules } })
    expect(result.violation?.message).toMatch(/fiber f0, in count\(2\): Date.now\(\) is the real world's/)
  })

  it("are stopped when a program does not come back", async () => {
    const endless: Argument = { kind: "grid", fibers: 3, to: 2, last: "loops" }
    const result = await explored(endless, fromTheStart, {}, { stallMilliseconds: 700 })
    expect(result.violation?.message).toContain("fiber f0, in count(2), has run for 0.7 s without an end")
  })

  it("are told of a module that has no program", async () => {
    const source = { module: new URL("./support.ts", import.meta.url).href, argument: null }
    const failed = runtime.runPromise(
      Effect.flip(campaign(program(grid), defaults, { workers: 2, source, ...fromTheStart })),
    )
    expect(await failed).toMatchObject({ _tag: "WorkersFailed", message: /exports no function called program/ })
  })

  it("stop when their time is over", async () => {
    const large: Argument = { kind: "grid", fibers: 9, to: 9 }
    const result = await explored(large, fromTheStart, {}, { milliseconds: 1500 })
    expect(result).toMatchObject({ outcome: "inconclusive", reason: "the time of 1.5 s ran out" })
    expect(result.statistics.states).toBeLessThan(10 ** 9)
  })
})

describe("another thread alone", () => {
  const elsewhereOf = (
    argument: Argument,
    { memory = new MemoryGuard(), budget = {}, source = sourceOf(argument) }: Partial<Errand> = {},
  ) =>
    runtime.runPromise(
      Effect.scoped(elsewhere({ source, options: defaults, budget, memory, onProgress: () => Effect.void })),
    )
  type Errand = Parameters<typeof elsewhere>[0]

  it("comes to the same", async () => {
    expect(totals(await elsewhereOf(grid))).toMatchObject(gridTotals)
    const seen = { holding: 0, broken: 0 }
    const compare = async (random: RandomProgram) => {
      const argument: Argument = { kind: "random", program: random }
      const [alone, apart] = [await run(program(argument), "states"), await elsewhereOf(argument)]
      expect({ ...apart, seconds: 0, workers: 0, peakMemory: 0 }).toEqual({
        ...alone,
        seconds: 0,
        workers: 0,
        peakMemory: 0,
      })
      if (apart.outcome === "violated") expect(unconfirmed(program(argument), apart)).toBeUndefined()
      seen[apart.outcome === "violated" ? "broken" : "holding"]++
    }
    await fc.assert(fc.asyncProperty(randomProgram, compare), {
      seed: 20_26,
      numRuns: 60,
    })
    expect(seen.holding).toBeGreaterThan(6)
    expect(seen.broken).toBeGreaterThan(6)
  })

  it.skipIf(!long)("carries out many within the same memory, and says where it is full", async () => {
    const large: Argument = { kind: "grid", fibers: 6, to: 9 }
    const limit = process.memoryUsage.rss() + 200e6
    for (let i = 0; i < 5; i++) {
      const memory = new MemoryGuard(limit)
      const result = await elsewhereOf(large, { memory })
      expect(totals(result)).toMatchObject({ outcome: "holds", states: 10 ** 6 })
      expect(memory.peak).toBeGreaterThan(1e6)
    }
    const full = await elsewhereOf(large, { memory: new MemoryGuard(1e6) })
    expect(full).toMatchObject({ outcome: "inconclusive", reason: /the memory that may be used is full/ })
  })

  it("stops when its time is over, or a step does not return", async () => {
    const endless: Argument = { kind: "grid", fibers: 9, to: 9 }
    const late = await elsewhereOf(endless, { budget: { milliseconds: 500 } })
    expect(late).toMatchObject({ outcome: "inconclusive", reason: "the time of 0.5 s ran out" })
    const looping: Argument = { kind: "grid", fibers: 2, to: 2, last: "loops" }
    const stalled = await elsewhereOf(looping, { budget: { stallMilliseconds: 300 } })
    expect(stalled).toMatchObject({ outcome: "violated", violation: { message: /has run for 0.3 s without an end/ } })
  })

  it("says why it cannot have the program", async () => {
    const none = { module: new URL("./support.ts", import.meta.url).href, argument: null }
    await expect(elsewhereOf(grid, { source: none })).rejects.toMatchObject({
      _tag: "WorkersFailed",
      message: /exports no function called program/,
    })
  })
})

describe("memory", () => {
  const large: Argument = { kind: "grid", fibers: 7, to: 9 }

  /** Allows so many segments more. */
  const segments = (count: number): MemoryGuard => {
    const left = { count }
    return { limit: 0, peak: 0, room: (bytes) => (bytes === 0 ? count >= 0 : left.count-- > 0) }
  }

  it.each([
    ["one thread", { workers: 1 }],
    ["two workers", { workers: 2, ...fromTheStart }],
    ["this thread and a worker", { workers: 2, handover: 0 }],
  ])("that runs out ends a search by %s with what it covered", async (_, resources) => {
    const result = await explored(large, { ...resources, memory: segments(3) })
    expect(result.outcome).toBe("inconclusive")
    expect(result.reason).toContain("the memory that may be used is full")
    const room = (4 * segmentBytes) / 8
    expect(result.statistics.states).toBeGreaterThan(room / 3)
    expect(result.statistics.states).toBeLessThan(room)
  })

  it("that runs out while promises are decided ends the search too", async () => {
    const seen = { promise: false }
    const counting = (at: Cell<number>) => Array.from({ length: 60 }, (_, value) => set(at, value))
    const memory: MemoryGuard = { limit: 0, peak: 0, room: () => !seen.promise }
    const promising = over(
      ({ x, y }) => ({ a: forever(...counting(x)), b: forever(...counting(y)) }),
      promise(({ x, y }) => {
        seen.promise = true // told nobody but the guard of the memory
        return x.value + y.value > 0
      }),
    )
    const result = await runtime.runPromise(campaign(promising, defaults, { workers: 1, memory }))
    expect(result).toMatchObject({
      outcome: "inconclusive",
      reason: /what is promised was not decided: the memory that may be used is full/,
    })
  })

  it("that is in use already leaves none for the search", async () => {
    const result = await explored(large, { workers: 1, memory: segments(-1) })
    expect(result).toMatchObject({ outcome: "inconclusive", reason: /the memory that may be used is full/ })
  })
})

describe("checkpoints", () => {
  const subject = (argument: Argument): Subject => ({
    tool: { name: "test", version: "0" },
    scenario: "test",
    bound: {},
    options: defaults,
    identity: identityOf(program(argument)),
  })

  it("can be taken up again, each of them, by any number of workers", async () => {
    const file = join(directory, "running")
    const copies: Array<string> = []
    const save: NonNullable<Resources<never, never>["checkpoints"]>["save"] = (remainder) =>
      saveCheckpoint(file, subject(grid), remainder).pipe(
        Effect.andThen(
          Effect.sync(() => {
            const copy = join(directory, `copy${copies.length}`)
            copyFileSync(file, copy)
            copies.push(copy)
          }),
        ),
        Effect.orDie,
        Effect.provide(NodeServices.layer),
      )
    const whole = await explored(grid, { checkpoints: { every: 0, save } })
    expect(totals(whole)).toMatchObject(gridTotals)
    expect(copies.length).toBeGreaterThan(2)
    const states = []
    for (const [position, copy] of copies.slice(0, 6).entries()) {
      const from = await runtime.runPromise(readCheckpoint(copy, copy, new Visited()))
      states.push(from.statistics.states)
      const rest = await explored(grid, { workers: 1 + (position % 2), from })
      expect(totals(rest)).toEqual(totals(whole))
      expect(rest.seconds).toBeGreaterThan(from.seconds)
    }
    expect(states[0]).toBe(1)
    expect(Math.max(...states)).toBeGreaterThan(1)
  })

  it("are refused where they are damaged, each in a sentence of its own", async () => {
    const sound = join(directory, "sound")
    const save: NonNullable<Resources<never, never>["checkpoints"]>["save"] = (remainder) =>
      saveCheckpoint(sound, subject(grid), remainder).pipe(Effect.orDie, Effect.provide(NodeServices.layer))
    await explored(grid, { checkpoints: { every: 0, save } })
    const bytes = readFileSync(sound)
    const flipped = Buffer.from(bytes)
    flipped.writeUInt8(flipped.readUInt8(bytes.length - 40) ^ 1, bytes.length - 40)
    const newer = Buffer.from(bytes.toString("latin1").replace('"formatVersion":1', '"formatVersion":9'), "latin1")
    const reasonOf = async (content: string | Uint8Array) => {
      const damaged = join(directory, "damaged")
      writeFileSync(damaged, content)
      return (await runtime.runPromise(Effect.flip(readCheckpoint(damaged, "it", new Visited())))).message
    }
    expect(await reasonOf("")).toBe("it is not a checkpoint")
    expect(await reasonOf("{}".repeat(100))).toBe("it is not a checkpoint")
    expect(await reasonOf(bytes.subarray(0, 100))).toBe("it is truncated")
    expect(await reasonOf(bytes.subarray(0, bytes.length - 9))).toBe("it is truncated")
    expect(await reasonOf(Buffer.concat([bytes, bytes]))).toBe("it is damaged: it is longer than it should be")
    expect(await reasonOf(flipped)).toBe("it is damaged: its checksum is wrong")
    expect(await reasonOf(newer)).toBe("it has format version 9; this version of Shootdown reads version 1")
  })

  it("tell a changed program", () => {
    expect(identityOf(program(grid))).toBe(identityOf(program(grid)))
    expect(identityOf(program(grid))).not.toBe(identityOf(program({ ...grid, fibers: 4 })))
  })
})
