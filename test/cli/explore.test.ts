/** Programs from outside the repository, explored. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import * as programs from "./programs.ts"
import { scratch, shootdownAlone, shootdownInTurn } from "./run.ts"

const put = scratch()
const inTurn = shootdownInTurn()
const escapeCharacter = String.fromCharCode(27)

describe.concurrent("explore FILE.ts", () => {
  it("prints the trace of a lost update, in a directory without a package", async () => {
    const { status, stdout, stderr } = await shootdownAlone(["explore", put("plain/lost.ts", programs.lostUpdate)])
    expect(stdout).toContain(
      [
        "  alice      bob",
        "  -----      ---",
        "  load -> 0",
        "             load -> 0",
        "             store",
        "  store",
        "",
        "  no-lost-update is broken",
        "    the counter is 1",
        "    It says: Every increment counts.",
        "    Source: arithmetic",
      ].join("\n"),
    )
    expect(stdout).toContain("4 steps with 1 preemption")
    expect(stdout).not.toContain(escapeCharacter)
    expect(stderr).toBe("")
    expect(status).toBe(1)
  })

  it("uses this copy of shootdown and effect in a CommonJS package with copies of its own", async () => {
    put("cjs/package.json", '{ "type": "commonjs" }')
    for (const name of ["effect", "shootdown"]) {
      put(`cjs/node_modules/${name}/package.json`, `{ "name": "${name}", "main": "index.js" }`)
      put(`cjs/node_modules/${name}/index.js`, `throw new Error("the wrong ${name}")`)
    }
    put("cjs/helper.ts", `export const two: number = 2`)
    const program = put("cjs/lost.ts", `import { two } from "./helper.ts"\nvoid two\n${programs.lostUpdate}`)
    const { status, stdout, stderr } = await shootdownAlone(["explore", program])
    expect(stderr).toBe("")
    expect(stdout).toContain("no-lost-update is broken")
    expect(status).toBe(1)
  })

  it("resolves the file from the directory in which npm was called", async () => {
    put("from/lost.ts", programs.lostUpdate)
    const env = { INIT_CWD: join(put.directory, "from"), npm_lifecycle_event: "check" }
    expect((await shootdownAlone(["explore", "lost.ts"], { env })).status).toBe(1)
  })

  it("says that a correct program holds, and what was never exercised", async () => {
    const { status, stdout } = await inTurn(["explore", put("locked.ts", programs.lockedUpdate)])
    expect(stdout).toMatch(/holds in every state within the bound: \d+ states/)
    expect(stdout).toContain("the odds that a state was missed")
    expect(stdout).toContain("never exercised: idle")
    expect(status).toBe(0)
  })

  it("checks the rules on the way with --paranoid, and names what breaks them", async () => {
    const honest = await inTurn(["explore", put("paranoid/locked.ts", programs.lockedUpdate), "--paranoid"])
    expect(honest.stdout).toMatch(
      /holds .*\n(.*\n)* {2}paranoid: \d+ fibers run again, \d+ steps compared, \d+ paths taken/,
    )
    expect(honest.status).toBe(0)
    const file = put("paranoid/forgets.ts", programs.forgetful)
    expect((await inTurn(["explore", file])).status).toBe(0)
    const { stdout, status } = await inTurn(["explore", file, "--paranoid"])
    expect(stdout).toContain("violated: rules")
    expect(stdout.replaceAll(/\s+/g, " ")).toContain("checkpoint forget does not name a value that is still needed")
    expect(status).toBe(1)
  })

  it("explores every schedule with dfs, within a bound of preemptions", async () => {
    const file = put("dfs.ts", programs.lockedUpdate)
    const bounded = await inTurn(["explore", file, "--strategy", "dfs", "--preemptions", "0"])
    expect(bounded.stdout).toContain("holds in every schedule of at most 0 preemptions")
    expect(bounded.status).toBe(0)
    const lost = put("dfs-lost.ts", programs.lostUpdate)
    expect((await inTurn(["explore", lost, "--strategy", "dfs", "--preemptions", "0"])).status).toBe(0)
    expect((await inTurn(["explore", lost, "--strategy", "dfs", "--preemptions", "1"])).status).toBe(1)
    const one = await inTurn(["explore", file, "--strategy", "dfs", "--preemptions", "1"])
    expect(one.stdout).toContain("holds in every schedule of at most 1 preemption:")
  })

  it("explores schedules with few preemptions, or delays, first", async () => {
    const lost = put("bounded-lost.ts", programs.lostUpdate)
    for (const by of ["--preemptions", "--delays"]) {
      const none = await inTurn(["explore", lost, "--strategy", "bounded", by, "0"])
      expect(none.stdout).toContain(`holds in every schedule of at most 0 ${by.slice(2)}: `)
      expect(none.status).toBe(0)
    }
    const ran = await inTurn(["explore", lost, "--strategy", "bounded", "--json", "-"])
    expect(JSON.parse(ran.stdout).scenarios[0]).toMatchObject({ within: { preemptions: 0 }, preemptions: 1 })
    expect(ran.status).toBe(1)
    const big = put("bounded-big.ts", programs.big)
    const cut = await inTurn(["explore", big, "--strategy", "bounded", "--executions", "100"])
    expect(cut.stdout).toMatch(
      /inconclusive: 100 executions were run.*\n {2}every schedule of at most \d+ preemptions? was run\n/,
    )
    expect(cut.status).toBe(3)
  })

  it("finds a violation of the fewest steps first, breadth first", async () => {
    const ran = await inTurn(["explore", put("wide.ts", programs.lostUpdate), "--breadth-first"])
    expect(ran.stdout).toMatch(/violated: no-lost-update after \d+ states, \d+ transitions, depth 4, /)
    expect(ran.status).toBe(1)
    const holds = await inTurn(["explore", put("wide-locked.ts", programs.lockedUpdate), "--breadth-first"])
    expect(holds.stdout).toContain("holds in every state within the bound")
    expect(holds.status).toBe(0)
  })

  it("ends with 3 when a sample finds nothing", async () => {
    const file = put("random.ts", programs.lockedUpdate)
    const { status, stdout } = await inTurn(["explore", file, "--strategy", "random", "--executions", "7"])
    expect(stdout).toContain("7 schedules were taken by random (seed 1)")
    expect(status).toBe(3)
  })

  it("ends with 3 when a loop does not end, and names its step", async () => {
    const { status, stdout } = await inTurn(["explore", put("endless.ts", programs.endless), "--steps", "50"])
    expect(stdout).toContain("inconclusive")
    expect(stdout.replace(/\s+/g, " ")).toContain("beyond 50 steps, at spin of fiber cpu0")
    expect(status).toBe(3)
  })

  it("ends with 3 when the time is up", async () => {
    const { status, stdout } = await inTurn(["explore", put("timed.ts", programs.big), "--time", "200ms"])
    expect(stdout).toContain("the time of 0.2 s ran out")
    expect(status).toBe(3)
  })

  it("prints who waits for what in a deadlock, a fiber a line", async () => {
    const { status, stdout } = await inTurn(["explore", put("deadlock.ts", programs.deadlock)])
    expect(stdout).toContain("\n    cpu0 waits in lock_b for b (is 1, last written by cpu1 in lock_b);\n")
    expect(stdout).toContain("\n    cpu1 waits in lock_a for a (is 1, last written by cpu0 in lock_a);\n")
    expect(stdout).toContain("\n    cpu0 waits for cpu1, cpu1 waits for cpu0\n")
    expect(status).toBe(1)
  })

  it("shows the option that was chosen", async () => {
    const { status, stdout } = await inTurn(["explore", put("choice.ts", programs.choice)])
    expect(stdout).toContain("  alloc_page = ENOMEM\n  use\n")
    expect(status).toBe(1)
  })

  it.each([
    ["sleeps", programs.sleeps, "Clock is the real world's"],
    ["waits", programs.waitsForPromise, "setTimeout is the real world's"],
    ["touches", programs.touchesOutside, "cell a is written outside a step"],
    ["promises", programs.returnsPromise, "a promise is kept by the real world"],
    ["exits", programs.exits, "process.exit() would end the checker"],
    ["reads", programs.readsFile, "fs.readFileSync() is the real world's"],
    ["saved-clock", programs.savedClock, "Date.now() is the real world's"],
    ["circular", programs.failsCircularly, "failed with <ref *1> { n: 1n, self: [Circular *1] }"],
  ])("names the fiber that breaks the rules: %s", async (name, program, what) => {
    // Two of them reach for the process, which is then their own.
    const ask = name === "promises" || name === "exits" ? shootdownAlone : inTurn
    const { status, stdout, stderr } = await ask(["explore", put(`${name}.ts`, program)])
    const text = stdout.replace(/\s+/g, " ")
    expect(text).toContain("fiber cpu0")
    expect(text).toContain(what)
    expect(stderr).toBe("")
    expect(status).toBe(1)
  })

  it("shows names without what a terminal would obey in them", async () => {
    const { status, stdout } = await inTurn(["explore", put("escapes.ts", programs.escapes)])
    expect(stdout).toContain("  cpu\\u{1b}[2J\n")
    expect(stdout).toContain("  store\\u{1b}[2J\n")
    expect(stdout).toContain("violated: zero\\u{1b}[2J after")
    expect(stdout).toContain("It says: It is\\u{1b}[2J zero.")
    expect(stdout).not.toContain(escapeCharacter)
    expect(status).toBe(1)
  })

  it("is not ended by a promise that fails behind a step's back, but names it", async () => {
    // It fails in the next turn of the event loop, where Node would end the process: while the report is written.
    const ran = await shootdownAlone(["explore", put("floats.ts", programs.floatingPromise)])
    expect(ran.stdout.replace(/\s+/g, " ")).toContain("fiber cpu0, in load: a promise is kept by the real world")
    expect(ran.stderr).toBe("")
    expect(ran.status).toBe(1)
  })

  it("reports a variable that fibers share, and is not thrown by it", async () => {
    const { status, stdout, stderr } = await inTurn(["explore", put("hidden.ts", programs.hiddenVariable)])
    expect(stdout).toContain("violated")
    expect(stderr).toBe("")
    expect(status).toBe(1)
  })

  it("takes the bound from --set and shrinks it", async () => {
    const file = put("bound.ts", programs.lostUpdate)
    const { status, stdout } = await inTurn(["explore", file, "--set", "fibers=3"])
    expect(stdout).toContain("lost-update  fibers=3")
    expect(stdout).toContain("at the smaller bound fibers=2")
    expect(status).toBe(1)
  })
})

describe.concurrent("save and replay", () => {
  it("saves beside the program, the same bytes each time, and replays", async () => {
    const file = put("save/lost.ts", programs.lostUpdate)
    const saved = join(put.directory, "save/lost-update--no-lost-update.json")
    const first = await shootdownAlone(["explore", file, "--save"])
    const bytes = readFileSync(saved, "utf8")
    expect(first.stdout).toContain(saved)
    await inTurn(["explore", file, "--save", "--set", "fibers=3"])
    expect(readFileSync(saved, "utf8")).toBe(bytes)
    expect(readdirSync(join(put.directory, "save")).sort()).toEqual(["lost-update--no-lost-update.json", "lost.ts"])

    const replayed = await inTurn(["replay", saved, "--program", file])
    expect(replayed.stdout).toContain("replayed")
    expect(replayed.stdout).toContain("             load -> 0\n")
    expect(replayed.status).toBe(0)
  })

  it("calls a schedule stale that no longer fits, and names the step", async () => {
    const file = put("stale/lost.ts", programs.lostUpdate)
    await inTurn(["explore", file, "--save"])
    const changed = put("stale/changed.ts", programs.lostUpdate.replace('step("store"', 'step("write"'))
    const saved = join(put.directory, "stale/lost-update--no-lost-update.json")
    const { status, stdout } = await inTurn(["replay", saved, "--program", changed])
    expect(stdout).toContain("stale")
    expect(stdout).toContain("step 3 was bob at store; now it is offered: bob at write")
    expect(status).toBe(1)
  })

  it("says when a counterexample no longer breaks", async () => {
    const file = put("healed/lost.ts", programs.lostUpdate)
    await inTurn(["explore", file, "--save"])
    const changed = put("healed/changed.ts", programs.lostUpdate.replace("a.value === fibers", "a.value > 0"))
    const saved = join(put.directory, "healed/lost-update--no-lost-update.json")
    const { status, stdout } = await inTurn(["replay", saved, "--program", changed])
    expect(stdout).toContain("healed")
    expect(status).toBe(1)
  })
})
