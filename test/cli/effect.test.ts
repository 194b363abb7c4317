/** Effect programs without steps, as a user explores them from the command line. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Schema from "effect/Schema"
import { expect, it } from "vitest"
import { Report } from "../../checker/index.ts"
import { scratch, shootdownInTurn } from "./run.ts"

const put = scratch()
const inTurn = shootdownInTurn()

const program = (increment: string) => `
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Ref from "effect/Ref"
import { effectProgram } from "shootdown"

export default effectProgram({
  id: "effect/increments",
  summary: "fibers increment a counter",
  parameters: { fibers: { description: "how many", default: 3, min: 1, max: 4 } },
  program: ({ fibers }) => Effect.gen(function* () {
    const counter = yield* Ref.make(0)
    const increment = Effect.gen(function* () { ${increment} })
    yield* Effect.all(Array.from({ length: fibers }, () => increment), { concurrency: "unbounded" })
    return yield* Ref.get(counter)
  }),
  check: (exit, { fibers }) => Exit.isSuccess(exit) && exit.value === fibers,
})
`
const careless = program(`
      const seen = yield* Ref.get(counter)
      yield* Effect.yieldNow
      yield* Ref.set(counter, seen + 1)`)
const sleeping = program(`
      yield* Effect.sleep("1 second")
      yield* Ref.update(counter, (n) => n + 1)`)

const explore = async (file: string, ...args: ReadonlyArray<string>) => {
  const ran = await inTurn(["explore", file, ...args, "--json", "-"])
  const { scenarios } = Schema.decodeUnknownSync(Schema.fromJsonString(Report))(ran.stdout)
  return { ...ran, scenario: scenarios[0] }
}

it("explores, shrinks, saves and replays, and says when a file is stale", async () => {
  const file = put("increments.ts", careless)
  const { status, scenario } = await explore(file, "--save")
  expect(status).toBe(1)
  expect(scenario).toMatchObject({
    id: "effect/increments",
    strategy: "bounded",
    bound: { fibers: 3 },
    states: 0,
    outcome: "violated",
    property: "check",
    preemptions: 0,
    counterexample: { bound: { fibers: 2 } },
  })
  const saved = readdirSync(put.directory).find((name) => name.endsWith(".json")) ?? ""
  expect(saved).toBe("effect-increments--check.json")
  const schedule = scenario?.counterexample?.schedule.map(({ fiber, label }) => `${fiber}: ${label}`)
  expect(schedule).toEqual(["main: woken", "main: start", "main/1: yieldNow", "main/2: yieldNow"])
  expect(JSON.parse(readFileSync(join(put.directory, saved), "utf8"))).toEqual(scenario?.counterexample)

  const path = join(put.directory, saved)
  const replayed = await inTurn(["replay", path, "--program", file])
  expect(replayed.status).toBe(0)
  expect(replayed.stdout).toContain("yieldNow -> done")
  const stale = await inTurn(["replay", path, "--program", put("changed.ts", sleeping)])
  expect(stale.status).toBe(1)
  expect(stale.stdout).toContain("step 3 was main/1 at yieldNow; now it is offered: main/1 at sleep(1000)")
})

it("holds in every schedule, and refuses strategies that need steps", async () => {
  const file = put("sleeping.ts", sleeping)
  const { status, scenario } = await explore(file, "--set", "fibers=2", "--strategy", "dfs")
  expect(status).toBe(0)
  expect(scenario).toMatchObject({ outcome: "holds", executions: 8, exercised: { check: 8 }, missedStateOdds: 0 })
  const unchanged = await inTurn(["mutants", file])
  expect(unchanged.status).toBe(2)
  expect(unchanged.stderr).toMatch(/mutants are made by changing steps, and effect\/increments is an Effect/)
  const refused = await inTurn(["explore", file, "--strategy", "states"])
  expect(refused.status).toBe(2)
  expect(refused.stderr).toMatch(
    /strategy states needs a program written in steps, and effect\/increments is an Effect .*; bounded, dfs, .* can explore it/,
  )
})
