/** `it.check` as a user meets it: vitest run on files outside the repository, its output and exit status. */
import { spawn } from "node:child_process"
import { readdirSync, readFileSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { blockAfter } from "../cli/readmeBlocks.ts"
import { repository, scratch } from "../cli/run.ts"

const put = scratch()
const { directory } = put

/** A package that depends on this one, with files of tests in it. */
const install = () => {
  put("package.json", `{ "type": "module" }`)
  put("node_modules/.keep", "")
  symlinkSync(repository, join(directory, "node_modules/shootdown"))
  for (const name of ["effect", "vitest"]) {
    symlinkSync(join(repository, "node_modules", name), join(directory, "node_modules", name))
  }
}

const vitest = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  new Promise<{ readonly status: number | null; readonly output: string }>((done, failed) => {
    const script = join(repository, "node_modules/vitest/vitest.mjs")
    const { CI: _ci, FORCE_COLOR: _colour, VITEST: _vitest, VITEST_MODE: _mode, ...environment } = process.env
    const child = spawn(process.execPath, [script, "run", "--no-file-parallelism", ...args], {
      cwd: directory,
      env: { ...environment, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk))
    child.on("error", failed)
    child.on("close", (status) => done({ status, output }))
  })

const tests = `
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import { cell, effectProgram, scenario, step } from "shootdown"
import { it } from "shootdown/vitest"
import { afterAll, beforeAll, describe, expect, vi } from "vitest"

const counting = (id, increment) => effectProgram({
  id,
  program: () => Effect.gen(function* () {
    const counter = yield* Ref.make(0)
    yield* Effect.all([increment(counter), increment(counter)], { concurrency: "unbounded" })
    return yield* Ref.get(counter)
  }),
  check: (exit) => { expect(exit).toEqual(Exit.succeed(2)) },
})
const forking = effectProgram({
  id: "few",
  program: () => Effect.gen(function* () {
    const counter = yield* Ref.make(0)
    const fibers = yield* Effect.forEach([1, 2], () => Effect.forkChild(careless(counter)))
    yield* Effect.forEach(fibers, Fiber.join)
    return yield* Ref.get(counter)
  }),
  check: (exit) => { expect(exit).toEqual(Exit.succeed(2)) },
})
const atomic = (counter) => Ref.update(counter, (n) => n + 1)
const careless = (counter) => Effect.gen(function* () {
  const seen = yield* Ref.get(counter)
  yield* Effect.yieldNow
  yield* Ref.set(counter, seen + 1)
})
const steps = (at) => scenario({
  id: "steps",
  summary: "two fibers increment a counter",
  setup: () => {
    const counter = cell("counter", 0)
    const increment = Effect.gen(function* () {
      const seen = yield* step("read", () => counter.value)
      yield* step("write", () => { counter.value = seen + 1 })
    })
    return { world: { counter }, fibers: { alice: increment, bob: increment } }
  },
  properties: [{ kind: "atEnd", id: "counts", statement: "Each increment counts.", source: "counters",
    premise: ({ counter }) => counter.value > at, holds: ({ counter }) => counter.value <= at || counter.value === 2 }],
})

const now = Date.now
const telling = (id, time) => effectProgram({ id, program: () => Effect.sync(() => { time() }) })
it.check("kept clock", telling("kept", now))
it.check("replaced timers", telling("replaced", () => { setTimeout(() => {}, 1) }))
beforeAll(() => { globalThis.setTimeout = () => 0 })
describe("later", () => {
  beforeAll(() => { vi.useFakeTimers() })
  afterAll(() => { vi.useRealTimers() })
  it.check("fake timers", telling("fake", () => {}))
})

it.check("careless", counting("careless", careless))
it.check("mending", counting("mending", process.env.MENDED ? atomic : careless))
it.check("atomic", counting("atomic", atomic))
it.check("bounded", forking, { preemptions: 0 })
it.check("sample", counting("sample", atomic), { strategy: "random", executions: 20 })
it.check("too little time", counting("slow", atomic), { strategy: "random", time: 1 })
it.check("steps", steps(0), { directory: "elsewhere" })
it.check("idle", steps(5))
it.check("no such bound", steps(5), { bound: { fibers: 2 } })
it.check("odd", counting("odd", atomic), { strategy: "states" })
it.check("no such option", steps(5), { preemptions: 1 })
it.check.skip("skipped", counting("skipped", careless))
it("ordinary", () => { expect(1).toBe(1) })
`

const only = `
import * as Effect from "effect/Effect"
import { effectProgram } from "shootdown"
import { it } from "shootdown/vitest"

const failing = effectProgram({ id: "failing", program: () => Effect.fail("no") })
it.check("left out", failing)
it.check.only("the only one", effectProgram({ id: "fine", program: () => Effect.void }))
`

/** What vitest says of a test: from its title in the list of failures on. */
const failureOf = (output: string, test: string) =>
  output.split(/ FAIL {2}/).find((part) => part.includes(`> ${test}\n`)) ?? ""

const saved = (folder: string) => readdirSync(join(directory, folder)).sort()

it("explores, saves what breaks, and replays it the next time", async () => {
  install()
  put("checks.test.ts", tests)
  put("only.test.ts", only)
  put("last-item.ts", blockAfter("Put this into `last-item.ts`"))
  put("last-item.test.ts", blockAfter("into `last-item.test.ts`"))

  const first = await vitest([])
  expect(first.status).toBe(1)
  expect(first.output).toContain("12 failed | 5 passed | 2 skipped (19)")
  expect(failureOf(first.output, "careless")).toContain(`CheckFailed: careless: check is violated, after 1 execution

  main                 main/1            main/2
  ----                 ------            ------
  woken = at once
  start -> Effect.all
                       yieldNow -> done
                                         yieldNow -> done
`)
  expect(failureOf(first.output, "careless")).toMatch(
    /4 steps with 0 preemptions, as few as possible\n {2}saved as counterexamples\/careless--check.json\n.*checks.test.ts:\d+/,
  )
  expect(first.output).toContain("few: holds in every schedule of at most 0 preemptions")
  expect(first.output).toContain(
    "sample: no violation, and nothing is proved: 20 schedules were taken by random (seed 1)",
  )
  expect(failureOf(first.output, "too little time")).toContain("slow: inconclusive: the time of 0.001 s ran out")
  expect(failureOf(first.output, "steps")).toContain("saved as elsewhere/steps--counts.json")
  expect(failureOf(first.output, "kept clock")).toContain("Date.now() is the real world's")
  expect(failureOf(first.output, "replaced timers")).toContain("setTimeout is the real world's")
  expect(failureOf(first.output, "fake timers")).toContain("CheckFailed: fake timers are on")
  expect(failureOf(first.output, "idle")).toContain("these properties never said anything: counts")
  expect(failureOf(first.output, "odd")).toMatch(/^CheckFailed: strategy states needs a program written in steps/m)
  expect(failureOf(first.output, "no such bound")).toContain("CheckFailed: scenario steps has no parameter fibers")
  expect(failureOf(first.output, "no such option")).toContain("preemptions is for")
  expect(failureOf(first.output, "the last item is sold once")).toContain(blockAfter("fails with").replace(/^.*\n/, ""))
  expect(saved("counterexamples")).toEqual([
    "careless--check.json",
    "kept--rules.json",
    "last-item--check.json",
    "mending--check.json",
    "replaced--rules.json",
  ])
  expect(saved("elsewhere")).toEqual(["steps--counts.json"])
  const file = () => readFileSync(join(directory, "counterexamples/careless--check.json"), "utf8")
  const before = file()

  const second = await vitest(["checks", "-t", "careless|mending"], { MENDED: "1" })
  expect(second.status).toBe(1)
  expect(failureOf(second.output, "careless")).toMatch(
    /CheckFailed: careless: check is violated as before\n.*It was saved before, as counterexamples\/careless--check.json/s,
  )
  expect(failureOf(second.output, "careless")).not.toContain("executions")
  expect(second.output).toContain("counterexamples/mending--check.json is stale: step 3 was main/1 at yieldNow")
  expect(second.output).toContain("1 failed | 1 passed")
  expect(file()).toBe(before)
})
