/** What a seeded bug leaves out is shown where it would have been taken. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  assert,
  changeBody,
  choose,
  enterLoop,
  fork,
  guardedStep,
  interrupt,
  join,
  leaveOut,
  moveBehind,
  procedure,
  protocol,
  type Replacements,
  replay,
  runMoves,
  scenario,
  step,
  traceLines,
} from "../../checker/index.ts"
import { run } from "./support.ts"

const nothing = () => undefined
const act = (name: string) => step(name, nothing)
const acts = (...names: ReadonlyArray<string>) => Effect.forEach(names, act, { discard: true })

type Fibers = Readonly<Record<string, Effect.Effect<unknown>>>

const entryOf = (fibers: Fibers, replacements: (fiber: string) => Replacements) => {
  const test = scenario({
    id: "test",
    summary: "a test",
    setup: () => ({ world: {}, fibers }),
    properties: [{ kind: "atEnd", id: "never", statement: "It is never so.", source: "test", holds: () => false }],
  })
  const bug = { id: "bug", title: "a bug", source: "test", scenario: "test", breaks: "never" }
  const at = (_: unknown, fiber: string) => replacements(fiber)
  const [entry] = protocol({ id: "test", title: "a test", scenarios: [test], bugs: [{ ...bug, at }] }).scenarios
  if (entry === undefined) throw new Error("a protocol of one scenario has none")
  return entry
}

/** The trace of a schedule such as `cpu0 zap, gpu read`, below its header. */
const traceOf = (fibers: Fibers, replacements: Replacements, schedule: string, property = "never") => {
  const steps = schedule.split(", ").map((step) => {
    const [fiber = "", label = ""] = step.split(" ")
    return { fiber, label }
  })
  const program = entryOf(fibers, () => replacements).program({}, "bug")
  const replayed = replay(program, { schedule: steps, property })
  if (replayed.kind !== "reproduced") throw new Error(JSON.stringify(replayed))
  expect(replayed.steps).toHaveLength(steps.length)
  expect(runMoves(program, replayed.moves)).toMatchObject({ steps: replayed.steps, leftOut: replayed.leftOut })
  return traceLines(replayed.steps, 80, { leftOut: replayed.leftOut }).slice(2)
}

describe("a step that is left out", () => {
  it("is shown between the steps around it, where the fiber reaches it", () => {
    const fibers = { cpu0: acts("zap", "flush", "free"), gpu: acts("read") }
    const leavingOut = { flush: leaveOut() }
    expect(traceOf(fibers, leavingOut, "cpu0 zap, gpu read, cpu0 free")).toEqual([
      "zap",
      "(no flush)*",
      "             read",
      "free",
    ])
  })
  it("is shown as the first thing that a fiber does, and as the last", () => {
    const fibers = { cpu0: acts("lock", "zap", "unlock"), gpu: acts("read") }
    const leavingOut = { lock: leaveOut(), unlock: leaveOut() }
    expect(traceOf(fibers, leavingOut, "gpu read, cpu0 zap")).toEqual([
      "      (no lock)*",
      "read",
      "      zap",
      "      (no unlock)*",
    ])
  })
  it("is shown once for each time, two in a row and in a loop", () => {
    const loop = Effect.gen(function* () {
      const head = yield* enterLoop("loop")
      for (let round = 0; round < 2; round++) {
        yield* head(round)
        yield* step("zap", [round], nothing)
        yield* step("inc", [round], nothing)
        yield* step("flush", [round], nothing)
      }
    })
    expect(traceOf({ cpu0: loop }, { inc: leaveOut(), flush: leaveOut() }, "cpu0 zap(0), cpu0 zap(1)")).toEqual([
      "zap(0)",
      "(no inc(0))*",
      "(no flush(0))*",
      "zap(1)",
      "(no inc(1))*",
      "(no flush(1))*",
    ])
  })
  it("is shown inside a procedure, also where that does nothing else", () => {
    const flush = procedure(function* () {
      yield* act("flush")
    })
    const unmap = procedure(function* () {
      yield* act("zap")
      yield* flush()
      yield* act("free")
    })
    expect(traceOf({ cpu0: unmap() }, { flush: leaveOut() }, "cpu0 zap, cpu0 free")).toEqual([
      "zap",
      "(no flush)*",
      "free",
    ])
  })
  it("is shown beside a step that is changed", () => {
    const replacements = { flush: leaveOut(), free: changeBody(() => "twice") }
    const fibers = { cpu0: acts("zap", "flush", "free") }
    expect(traceOf(fibers, replacements, "cpu0 zap, cpu0 free")).toEqual(["zap", "(no flush)*", "free* -> twice"])
  })
  it("is shown whoever wrote what happens instead, and whatever is left out", () => {
    const cpu0 = Effect.gen(function* () {
      yield* act("zap")
      yield* choose("slow", [false, true])
      yield* guardedStep("wait", ["idle"], () => false, nothing)
      yield* fork("gpu", act("read"))
      yield* act("free")
    })
    const replacements: Replacements = {
      slow: () => Effect.succeed(false),
      wait: () => Effect.sync(nothing),
      fork: () => Effect.void,
      free: (original) => Effect.catch(Effect.fail("refused"), () => original),
    }
    expect(traceOf({ cpu0 }, replacements, "cpu0 zap, cpu0 free")).toEqual([
      "zap",
      "(no slow)*",
      "(no wait(idle))*",
      "(no fork(gpu))*",
      "free*",
    ])
  })
  it("is shown where the fiber is refused what it asks for", () => {
    const cpu0 = Effect.andThen(
      Effect.catch(act("alloc"), () => act("retry")),
      act("free"),
    )
    const refused = { alloc: () => Effect.fail("ENOMEM") }
    expect(traceOf({ cpu0 }, refused, "cpu0 retry, cpu0 free")).toEqual(["(no alloc)*", "retry", "free"])
  })
  it("is shown before a step that fails, once", () => {
    const fails = step("free", () => assert(false, "it is in use"))
    const fibers = { cpu0: Effect.andThen(acts("zap", "flush"), fails) }
    const leavingOut = { flush: leaveOut() }
    expect(traceOf(fibers, leavingOut, "cpu0 zap, cpu0 free", "assertion")).toEqual(["zap", "(no flush)*", "free"])
  })
  it("is not one in whose place something else is done", () => {
    const replacements: Replacements = {
      zap: () => act("zap_all"),
      flush: (original) => Effect.andThen(act("delay"), original),
    }
    const fibers = { cpu0: acts("zap", "flush", "free") }
    expect(traceOf(fibers, replacements, "cpu0 zap_all, cpu0 delay, cpu0 flush, cpu0 free")).toEqual([
      "zap_all*",
      "delay*",
      "flush*",
      "free",
    ])
  })
  it("is shown at its own place where it is moved to another", () => {
    const fibers = { cpu0: acts("zap", "flush", "free", "end") }
    expect(traceOf(fibers, moveBehind("flush", "free"), "cpu0 zap, cpu0 free, cpu0 flush, cpu0 end")).toEqual([
      "zap",
      "(no flush)*",
      "free*",
      "flush*",
      "end",
    ])
  })
  it("is shown in a fiber that is forked, and in one that is interrupted", () => {
    const child = Effect.onInterrupt(acts("lock", "read", "write"), () => acts("unlock", "end"))
    const cpu0 = Effect.gen(function* () {
      const gpu = yield* fork("gpu", child)
      yield* interrupt(gpu)
      yield* join(gpu)
    })
    const schedule = "cpu0 fork(gpu), gpu read, cpu0 interrupt(gpu), gpu end, cpu0 join(gpu)"
    expect(traceOf({ cpu0 }, { lock: leaveOut(), unlock: leaveOut() }, schedule)).toEqual([
      "fork(gpu) -> {fiber: gpu}",
      "                           (no lock)*",
      "                           read",
      "interrupt(gpu)",
      "                           (no unlock)*",
      "                           end",
      "join(gpu)",
    ])
  })
  it("is shown in a fiber that takes no step at all", () => {
    const fibers = { cpu0: acts("zap", "free"), flusher: acts("flush") }
    expect(traceOf(fibers, { flush: leaveOut() }, "cpu0 zap, cpu0 free")).toEqual(["      (no flush)*", "zap", "free"])
  })
  it("is not said of fibers that the bug leaves as they are, nor without it", async () => {
    const fibers = { cpu0: acts("zap", "flush"), cpu1: acts("zap", "flush") }
    const entry = entryOf(fibers, (fiber) => (fiber === "cpu1" ? { flush: leaveOut() } : {}))
    const leftOutIn = async (mutant: string | undefined) => {
      const program = entry.program({}, mutant)
      const { moves = [] } = await run(program, "dfs")
      return runMoves(program, moves).leftOut
    }
    expect(await leftOutIn("bug")).toEqual([{ fiber: "cpu1", label: "flush", after: 3 }])
    expect(await leftOutIn(undefined)).toEqual([])
  })
})
