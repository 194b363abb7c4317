/** What a check reports of a seeded bug: the steps of the counterexample that is saved of it, as long as that shows it. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { Counterexample, formatVersion, Report } from "../../checker/index.ts"
import { repository, scratch, shootdown } from "./run.ts"

const put = scratch()

/** A script with two scenarios and two seeded bugs that are alike but for their names. */
const script = (name: string): string =>
  put(
    `${name}/check.ts`,
    `import * as Effect from "${repository}/node_modules/effect/dist/Effect.js"
     import { main } from "${repository}/checker/cli/main.ts"
     import * as S from "${repository}/checker/index.ts"
     const ends = (id, holds) => ({ kind: "atEnd", id, statement: "It is so.", source: "the test", holds })
     const counter = (id) => S.scenario({
       id,
       summary: "two fibers increment",
       setup: () => {
         const a = S.cell("a", 0)
         const lock = S.cell("lock", 0)
         const increment = Effect.gen(function* () {
           yield* S.guardedStep("lock", () => lock.value === 0, () => { lock.value = 1 })
           const seen = yield* S.step("load", () => a.value)
           yield* S.step("store", () => { a.value = seen + 1 })
           yield* S.step("unlock", () => { lock.value = 0 })
         })
         return { world: a, fibers: { alice: increment, bob: increment } }
       },
       properties: [ends("no-lost-update", (a) => a.value === 2), ends("even", (a) => a.value % 2 === 0)],
     })
     const bug = (id, scenario) => ({
       id, scenario, title: "the lock is not taken", source: "the test", breaks: "no-lost-update",
       at: () => ({ lock: S.leaveOut() }),
     })
     const scenarios = [counter("counter/one"), counter("counter/two")]
     const bugs = [bug("no-lock", "counter/one"), bug("no-twin", "counter/two")]
     main([S.protocol({ id: "counter", title: "counters", scenarios, bugs })], { saved: "${join(put.directory, name, "saved")}" })`,
  )

/** Breaks both properties, with more preemptions than it takes. */
const roundabout: Counterexample = {
  formatVersion,
  scenario: "counter/one",
  mutant: "no-lock",
  bound: {},
  strategy: "states",
  seed: 1,
  property: "no-lost-update",
  message: "",
  schedule: ["load", "store", "unlock"].flatMap((label) => [
    { fiber: "alice", label },
    { fiber: "bob", label },
  ]),
  tool: { name: "shootdown", version: "0" },
}

/** What is reported of no-lock in a check beside the saved files. */
const checkBeside = async (name: string, files: Readonly<Record<string, Partial<Counterexample>>>) => {
  for (const [file, change] of Object.entries(files)) {
    put(`${name}/saved/${file}.json`, JSON.stringify({ ...roundabout, ...change }))
  }
  const { stdout, status } = await shootdown(["--json", "-"], { script: script(name) })
  const { scenarios } = Schema.decodeUnknownSync(Report)(JSON.parse(stdout))
  const [found] = scenarios.filter(({ mutant }) => mutant === "no-lock")
  return { status, found }
}

describe.concurrent("a replay", () => {
  it("says where the property was broken before the last step", async () => {
    const name = "odp2014-registers-without-lock"
    const saved = Schema.decodeUnknownSync(Counterexample)(
      JSON.parse(await readFile(join(repository, "counterexamples", `${name}.json`), "utf8")),
    )
    const needless = [
      { fiber: "cpu0", label: "syscall", choice: 0 },
      { fiber: "cpu0", label: "mmap_read_lock(mm)" },
      { fiber: "cpu0", label: "MADV_DONTNEED(mm, 0, 1)" },
      { fiber: "cpu0", label: "ib_ucontext_notifier_start_account(0, 1)" },
      { fiber: "cpu0", label: "down_read: umem_rwsem(0, 1)" },
    ]
    const longer = put("longer.json", JSON.stringify({ ...saved, schedule: [...saved.schedule, ...needless] }))
    const { stdout, status } = await shootdown(["replay", longer, "--json", "-"])
    const { replays } = Schema.decodeUnknownSync(Report)(JSON.parse(stdout))
    expect(replays).toMatchObject([{ outcome: "reproduced", brokenAfter: 1 }])
    expect((await shootdown(["replay", longer])).stdout).toContain(
      "LOCKDEP-HELD, broken after 1 step already: save it anew",
    )
    expect(status).toBe(0)
  })
})

describe.concurrent("a check", () => {
  it("reports the steps of a saved counterexample, be it among others", async () => {
    const others = { a: { property: "even" }, b: { scenario: "counter/two" }, c: { mutant: "no-twin" } }
    const { status, found } = await checkBeside("good", { ...others, d: {} })
    expect(found).toMatchObject({ outcome: "violated", property: "no-lost-update", preemptions: 4 })
    expect(found?.counterexample).toMatchObject({ scenario: "counter/one", schedule: roundabout.schedule })
    expect(status).toBe(0)
  })

  it("shrinks anew where what is saved is of something else, or does not show it any more", async () => {
    const { status, found } = await checkBeside("bad", {
      ofAnotherProperty: { property: "even" },
      ofAnotherScenario: { scenario: "counter/two" },
      ofAnotherBug: { mutant: "no-twin" },
      stale: { schedule: [{ fiber: "alice", label: "trylock" }] },
      healed: { schedule: roundabout.schedule.slice(0, 5) },
    })
    expect(found).toMatchObject({ outcome: "violated", property: "no-lost-update", preemptions: 1 })
    expect(found?.counterexample).toMatchObject({ scenario: "counter/one", mutant: "no-lock" })
    expect(status).toBe(1) // of the two that do not replay
  })
})
