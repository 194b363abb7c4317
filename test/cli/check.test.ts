/** The bare command, over small registries of the tests' own. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { Report } from "../../checker/index.ts"
import { repository, scratch, shootdown, shootdownInTurn } from "./run.ts"

const put = scratch()

interface Registry {
  /** What the store of the locked counter adds. */
  readonly adds?: number
  /** The property that the seeded bug is said to break. */
  readonly breaks?: string
  /** The premise of a property that says nothing. */
  readonly premise?: string
  /** The step that the seeded bug leaves out. */
  readonly leftOut?: string
  /** The step that a monitor watches. */
  readonly watched?: string
}

/** A script with a registry of one protocol, whose counterexamples are in `saved/` beside it. */
const script = (
  name: string,
  {
    adds = 1,
    breaks = "no-lost-update",
    premise = "a.value === 1",
    leftOut = "lock",
    watched = "store",
  }: Registry = {},
): string =>
  put(
    `${name}/check.ts`,
    `import { isMainThread } from "node:worker_threads"
     import * as Effect from "${repository}/node_modules/effect/dist/Effect.js"
     import { begin } from "${repository}/test/cli/inTurn.ts"
     import * as S from "${repository}/checker/index.ts"
     const counter = S.scenario({
       id: "counter/locked",
       summary: "two fibers increment",
       setup: () => {
         const a = S.cell("a", 0)
         const lock = S.cell("lock", 0)
         const increment = Effect.gen(function* () {
           yield* S.guardedStep("lock", () => lock.value === 0, () => { lock.value = 1 })
           const seen = yield* S.step("load", () => a.value)
           yield* S.step("store", () => { a.value = seen + ${adds} })
           yield* S.step("unlock", () => { lock.value = 0 })
         })
         const monitors = [{ "${watched}": () => {} }]
         return { world: { a }, fibers: { alice: increment, bob: increment }, monitors }
       },
       properties: [
         { kind: "atEnd", id: "no-lost-update", statement: "Every increment counts.", source: "arithmetic", holds: ({ a }) => a.value === 2 },
         { kind: "invariant", id: "idle", statement: "It says nothing.", source: "nowhere", premise: ({ a }) => ${premise}, holds: () => true },
       ],
     })
     const bug = {
       id: "no-lock", title: "the lock is not taken", source: "the test", scenario: "counter/locked", breaks: "${breaks}",
       at: () => ({ "${leftOut}": S.leaveOut() }),
     }
     export const registry = [S.protocol({ id: "counter", title: "counters", scenarios: [counter], bugs: [bug] })]
     if (isMainThread) void begin(registry, { saved: "${join(put.directory, name, "saved")}", module: import.meta.url })`,
  )

describe.concurrent("the bare command", () => {
  const good = script("good")
  const inGood = shootdownInTurn(good)

  it("finds all as expected: 0, with a summary; --save keeps the bug, the same bytes each time", async () => {
    const first = await shootdown(["--save"], { script: good })
    expect(first.stdout).toMatch(/counter\/locked +states +\d+ +\d+ +holds/)
    expect(first.stdout).toMatch(/no-lock +found +\d+ states +\d+ +1 .*no-lost-update/)
    expect(first.stdout).toMatch(/1 scenario holds, 1 of 1 seeded bug found, 1 counterexample replayed: \d+\.\d s\n$/)
    expect(first.stderr).toBe("")
    expect(first.status).toBe(0)
    const saved = join(put.directory, "good/saved")
    expect(readdirSync(saved)).toEqual(["no-lock.json"])
    const bytes = readFileSync(join(saved, "no-lock.json"), "utf8")

    const second = await inGood(["--save", "--json", "-"])
    expect(readFileSync(join(saved, "no-lock.json"), "utf8")).toBe(bytes)
    expect(Schema.decodeUnknownSync(Report, { onExcessProperty: "error" })(JSON.parse(second.stdout))).toMatchObject({
      scenarios: [
        { id: "counter/locked", mutant: null, outcome: "holds" },
        { id: "counter/locked", mutant: "no-lock", outcome: "violated", property: "no-lost-update" },
      ],
      replays: [{ outcome: "reproduced", mutant: "no-lock" }],
      gaps: [],
    })

    const replayed = await inGood(["replay"])
    expect(replayed.stdout).toMatch(/^replayed .*no-lock\.json {2}no-lost-update\n$/)
    expect(replayed.status).toBe(0)
    const found = await inGood(["explore", "--mutant", "no-lock"])
    expect(found.stdout).toContain("counter/locked with no-lock")
    expect(found.stdout).toMatch(/^ +\(no lock\)\*\n.* load -> 0$/m)
    expect(found.stdout).toContain("  * changed by no-lock\n")
    expect(found.status).toBe(1)
  })

  it("comes to the same with any number of workers", async () => {
    const parted = script("parted")
    const reports = ["1", "2", "3"].map(async (workers) => {
      const ran = await shootdown(["--workers", workers, "--json", "-"], { script: parted })
      expect(ran.status).toBe(0)
      const { scenarios, ...rest } = Schema.decodeUnknownSync(Report)(JSON.parse(ran.stdout))
      return {
        ...rest,
        scenarios: scenarios.map(({ seconds: _, workers: __, peakMemory: ___, ...scenario }) => scenario),
        table: ran.stderr.replaceAll(/ +\d+\.\d s/g, ""),
      }
    })
    const [one, ...others] = await Promise.all(reports)
    expect(one?.scenarios).toHaveLength(2)
    for (const other of others) expect(other).toEqual(one)
  })

  const inMissed = shootdownInTurn(script("missed", { breaks: "idle" }))

  it("is loud about a seeded bug that is not found: 1", async () => {
    const ran = await inMissed([])
    expect(ran.stdout).toContain("MISSED")
    expect(ran.stdout).toContain("seeded bug no-lock was missed: idle did not break in counter/locked")
    expect(ran.stdout).toContain("0 of 1 seeded bug found")
    expect(ran.status).toBe(1)
    const explored = await inMissed(["explore", "counter/*", "--mutant", "no-lock"])
    expect(explored.stdout).toContain("seeded bug missed")
    expect(explored.status).toBe(1)
  })

  const inVacuous = shootdownInTurn(script("gaps", { premise: "a.value > 2", watched: "stoer" }))

  it("is loud about properties that were never exercised and steps that were never taken: 1", async () => {
    const file = join(put.directory, "gaps.json")
    const ran = await inVacuous(["--json", file])
    const text = ran.stdout.replace(/\s+/g, " ")
    expect(text).toContain("Never exercised in any scenario of counter: idle. ")
    expect(text).toContain("Never taken in any scenario of counter: stoer. ")
    expect(text).toContain("1 scenario holds, 1 of 1 seeded bug found, 0 counterexamples replayed, gaps in counter: ")
    expect(ran.status).toBe(1)
    const gaps = { neverExercised: ["idle"], neverTaken: ["stoer"] }
    expect(Schema.decodeUnknownSync(Report)(JSON.parse(readFileSync(file, "utf8")))).toMatchObject({
      scenarios: [{ outcome: "holds", ...gaps }, { mutant: "no-lock" }],
      gaps: [{ protocol: "counter", ...gaps }],
    })
    const explored = await inVacuous(["explore", "counter/*"])
    expect(explored.stdout).toContain("  never exercised: idle\n  never taken: stoer\n")
    expect(explored.status).toBe(0)
  })

  it("knows the steps that seeded bugs name, too, and the properties", async () => {
    const ran = await shootdown([], { script: script("typo", { leftOut: "lokc", breaks: "no-lost-updates" }) })
    expect(ran.stdout).toContain("Never taken in any scenario of counter: lokc. ")
    const missed = "counter/locked has no property no-lost-updates; did you mean no-lost-update?"
    expect(ran.stdout.replace(/\s+/g, " ")).toContain(`seeded bug no-lock was missed: ${missed}`)
    expect(ran.status).toBe(1)
  })

  it("prints the trace of a scenario that does not hold, and says nothing of coverage: 1", async () => {
    const ran = await shootdown([], { script: script("broken", { adds: 2, premise: "false" }) })
    expect(ran.stdout).toMatch(/counter\/locked .*violated/)
    expect(ran.stdout).toContain("no-lost-update is broken")
    expect(ran.stdout).toContain("0 of 1 scenario holds")
    expect(ran.stdout).not.toContain("Never ")
    expect(ran.status).toBe(1)
  })

  const inStale = shootdownInTurn(script("stale"))

  it("replays what is saved: 1 when stale, 2 when it cannot be read", async () => {
    const document = {
      formatVersion: 1,
      scenario: "counter/locked",
      bound: {},
      strategy: "states",
      seed: 1,
      property: "no-lost-update",
      message: "",
      schedule: [{ fiber: "alice", label: "trylock" }],
      tool: { name: "shootdown", version: "0" },
    }
    put("stale/saved/old.json", JSON.stringify(document))
    const ran = await inStale([])
    expect(ran.stdout).toContain("step 1 was alice at trylock; now it is offered: alice at lock")
    expect(ran.stdout).toContain("0 of 1 counterexample replayed")
    expect(ran.status).toBe(1)

    put("stale/saved/old.json", "{")
    const unreadable = await inStale([])
    expect(unreadable.stderr).toContain("old.json is truncated")
    expect(unreadable.stdout).toBe("")
    expect(unreadable.status).toBe(2)
  })
})
