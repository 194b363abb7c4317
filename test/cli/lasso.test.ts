/** Lassos as a user meets them: printed, saved, replayed, shrunk, and in the document. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { Report } from "../../checker/index.ts"
import * as programs from "./programs.ts"
import { scratch, shootdownAlone, shootdownInTurn } from "./run.ts"

const put = scratch()
const inTurn = shootdownInTurn()

describe.concurrent("a lasso", () => {
  it("prints with a line where it begins to repeat, at the smallest bound", async () => {
    const file = put("print/starvation.ts", programs.starvation)
    const { status, stdout } = await inTurn(["explore", file])
    expect(status).toBe(1)
    expect(stdout).toMatch(/^starvation {2}fibers=2\n {2}violated: reader-gets-through after /)
    expect(stdout).toContain(`
  reader                 alice
  ------                 -----
  prepare
  == for ever: ==
                         test_and_set -> true
  test_and_set -> false
                         unlock

  reader-gets-through is broken
    It does not: from step 2 on these 3 steps of reader and alice repeat for
    ever
    It says: The reader gets the lock.
    Source: the test

  4 steps, the last 3 of which repeat for ever, with 3 preemptions; there may be
  a simpler schedule, at the smaller bound fibers=1`)
  })

  it("is saved, the same bytes each time, and replays", async () => {
    const file = put("save/starvation.ts", programs.starvation)
    const saved = join(put.directory, "save/starvation--reader-gets-through.json")
    const first = await shootdownAlone(["explore", file, "--save", "--json", "-"])
    const bytes = readFileSync(saved, "utf8")
    const [report] = Schema.decodeUnknownSync(Report)(JSON.parse(first.stdout)).scenarios
    expect(report?.counterexample).toEqual(JSON.parse(bytes))
    expect(report?.counterexample?.cycle).toBe(1)
    expect(report?.exercised).toEqual({ "reader-gets-through": 1 })
    await inTurn(["explore", file, "--save"])
    expect(readFileSync(saved, "utf8")).toBe(bytes)

    const replayed = await inTurn(["replay", saved, "--program", file])
    expect(replayed.stdout).toContain("replayed")
    expect(replayed.stdout).toContain("\n  prepare\n  == for ever: ==\n")
    expect(replayed.status).toBe(0)

    const broken = put("save/broken.json", bytes.replace('"cycle": 1', '"cycle": 2'))
    const none = await inTurn(["replay", broken, "--program", file])
    expect(none.stdout).toContain("the state after step 4 is not the one before step 3: the cycle does not close")
    expect(none.status).toBe(1)

    const renamed = put("save/renamed.ts", programs.starvation.replace('step("unlock"', 'step("release"'))
    const stale = await inTurn(["replay", saved, "--program", renamed])
    expect(stale.stdout).toContain("step 4 was alice at unlock; now it is offered: alice at release")
    const open = put("save/open.ts", programs.starvation.replace("return free })", "return true })"))
    const healed = await inTurn(["replay", saved, "--program", open])
    expect(healed.stdout).toMatch(/^healed .* the cycle does not close/)
    expect(healed.status).toBe(1)
  })

  it("is what states finds: dfs and random do not end", async () => {
    const file = put("others/starvation.ts", programs.starvation)
    for (const strategy of ["dfs", "random"]) {
      const { status, stdout } = await inTurn(["explore", file, "--strategy", strategy, "--steps", "100"])
      expect(stdout).toContain("inconclusive: an execution went on beyond 100 steps")
      expect(status).toBe(3)
    }
  })
})

it("a promise must be one", async () => {
  const bad = put("bad.ts", programs.starvation.replace("to: (_", "towards: (_"))
  const { status, stderr } = await inTurn(["explore", bad])
  expect(stderr).toContain("must be a scenario")
  expect(status).toBe(2)
})
