/** Bad usage and bad input: exit status 2 and one clear sentence, never a stack trace. */
import { mkdirSync, truncateSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { type Counterexample, formatVersion } from "../../checker/index.ts"
import * as programs from "./programs.ts"
import { type Ran, scratch, shootdown, shootdownAlone, shootdownInTurn } from "./run.ts"

const put = scratch()
const inTurn = shootdownInTurn()

const expectSentence = ({ status, stdout, stderr }: Ran, ...parts: ReadonlyArray<string>): void => {
  for (const part of parts) expect(stderr).toContain(part)
  expect(stderr.trimEnd().split("\n")).toHaveLength(1)
  expect(stderr).not.toMatch(/\bat .*:\d+:\d+\)?$/m)
  expect(stdout).toBe("")
  expect(status).toBe(2)
}

describe.concurrent("usage", () => {
  const program = put("lost.ts", programs.lostUpdate)
  it.each<[ReadonlyArray<string>, ...Array<string>]>([
    [["exlpore"], "no subcommand exlpore", "did you mean explore?"],
    [["explore", program, "--stratgy", "dfs"], "no flag --stratgy", "did you mean --strategy?"],
    [["explore", program, "--strategy", "bfs"], "--strategy bfs", "states, optimal, auto, bounded, dfs"],
    [["explore"], "name what to explore"],
    [["explore", "lost-updte"], "no scenario lost-updte"],
    [["explore", "nowhere/*"], "no scenario matches nowhere/*; npm run check -- list"],
    [
      ["mutants", put("locked.ts", programs.lockedUpdate), "--only", "swp *"],
      "--only swp * matches no mutant",
      "leave-out",
      "swap",
    ],
    [["explore", program, "--mutant", "x"], "no mutant x of lost-update"],
    [["explore", program, "--preemptions", "2"], "--preemptions", "dfs"],
    [["explore", program, "--paranoid", "--strategy", "dfs"], "--paranoid is for states, optimal,", "not for dfs"],
    [["explore", program, "--workers", "2", "--breadth-first"], "--workers and --breadth-first"],
    [["explore", program, "--strategy", "dfs", "--breadth-first"], "--breadth-first is for states, not for dfs"],
    [["explore", program, "--workers", "2", "--strategy", "dfs"], "--workers is for states, not for dfs"],
    [["explore", program, "--executions", "2"], "--executions", "states"],
    [["explore", program, "--strategy", "bounded", "--delays", "1", "--preemptions", "1"], "two bounds"],
    [["explore", program, "--strategy", "random", "--depth", "2"], "--depth is for pct, not for random"],
    [["explore", program, "--time", "soon"], "--time soon", "60s"],
    [["explore", program, "--seed", "1.5"], "--seed 1.5", "whole number"],
    [["explore", program, "--json", "/no/such/directory/x.json"], "--json", "directory does not exist"],
    [["replay", "--program", "x.txt"], "--program", "x.txt"],
  ])("%j", async (args, ...parts) => expectSentence(await inTurn(args), ...parts))

  it.each<[ReadonlyArray<string>, ...Array<string>]>([
    [["explore", "notifier/interval"], "those below it are 'notifier/interval/**'"],
    [["docs", "nowhere"], "no page nowhere", "npm run check -- list", "comparison/read-faults", "guide/new-protocol"],
  ])("%j of the repository", async (args, ...parts) => expectSentence(await shootdown(args), ...parts))

  it("are the same to a process of their own", async () => {
    for (const args of [["exlpore"], ["explore", program, "--set", "fibers=0"]]) {
      expect(await shootdownAlone(args)).toEqual(await inTurn(args))
    }
  })

  it.each(["0", "-1", "abc", "1e9", "", "2.0", "99999999999999999999"])("--set fibers=%s", async (value) => {
    const ran = await inTurn(["explore", program, "--set", `fibers=${value}`])
    expectSentence(ran, `--set fibers=${value}`, "fibers of lost-update", "a whole number from 1 to 4")
  })
  it.each(["=", "=3", "fibres=2", "constructor=1"])("--set %s", async (setting) => {
    expectSentence(await inTurn(["explore", program, "--set", setting]), `--set ${setting}`, "fibers (1 to 4)")
  })
})

describe.concurrent("programs", () => {
  it.each([
    ["syntax", "const a = {\n  b: 1\n  c: 2 }\n", "syntax.ts:3:2"],
    ["throws", "\nthrow new Error('no such device')\n", "throws.ts:2"],
    ["imports", 'import "no-such-package"\n', "no-such-package"],
    ["nothing", "export const a = 1\n", "must be a scenario"],
    ["number", "export default 5\n", "not the number 5"],
    ["setup", programs.throwsInSetup, "setup of scenario throws failed: Error: no such device"],
  ])("%s", async (name, text, part) => {
    expectSentence(await inTurn(["explore", put(`bad/${name}.ts`, text)]), part)
  })
  it("a file that is not there", async () => {
    expectSentence(await inTurn(["explore", join(put.directory, "absent.ts")]), "absent.ts does not exist")
  })
})

describe.concurrent("counterexample files", () => {
  const good: Counterexample = {
    formatVersion,
    scenario: "lost-update",
    bound: { fibers: 2 },
    strategy: "states",
    seed: 1,
    property: "no-lost-update",
    message: "",
    schedule: [{ fiber: "alice", label: "load" }],
    tool: { name: "shootdown", version: "0" },
  }
  const text = JSON.stringify(good)
  const changed = (change: object) => JSON.stringify({ ...good, ...change })
  const program = put("replay/lost.ts", programs.lostUpdate)
  const replay = (file: string) => inTurn(["replay", file, "--program", program])

  const cases: ReadonlyArray<readonly [name: string, content: string, ...parts: ReadonlyArray<string>]> = [
    ["cycle", changed({ cycle: 1 }), "cycle must be less than the number of steps of the schedule, not 1"],
    ["empty", "", "is empty"],
    ["truncated", text.slice(0, -20), "is truncated"],
    ["not-json", "once upon a time", "is not JSON"],
    ["version", changed({ formatVersion: 2 }), "format version 2", "reads version 1"],
    ["no-version", changed({ formatVersion: undefined }), "field formatVersion is missing"],
    ["array", "[]", "must be of type object"],
    ["field", changed({ seed: "x" }), "field seed", "number", '"x"'],
    ["step", changed({ schedule: [{ fiber: 5, label: "load" }] }), "schedule.0.fiber", "string", "5"],
    ["strange", changed({ code: "process.exit(0)" }), "field code"],
    ["nested", "[".repeat(400_000), "levels deep"],
    ["scenario", changed({ scenario: "lost-updte" }), "no scenario lost-updte", "did you mean lost-update?"],
    ["mutant", changed({ mutant: "x" }), "no mutant x"],
    ["bound", changed({ bound: { fibers: 9 } }), "from 1 to 4", "9"],
    ["parameter", changed({ bound: { constructor: 1 } }), "no parameter constructor"],
    ["escapes", changed({ scenario: "\u001b[2J\u202e" }), "\\u{1b}[2J\\u{202e}"],
  ]

  it("each that will not do gets a sentence of its own", async () => {
    const files = cases.map(([name, content]) => put(`files/${name}.json`, content))
    const ran = await inTurn(["replay", ...files, "--program", program])
    const lines = ran.stderr.trimEnd().split("\n")
    expect(lines).toHaveLength(cases.length)
    for (const [position, [name, , ...parts]] of cases.entries()) {
      for (const part of [`${name}.json`, ...parts]) expect(lines[position]).toContain(part)
    }
    expect(ran.stderr).not.toContain("\u001b")
    expect(ran.stdout).toBe("")
    expect(ran.status).toBe(2)
  })
  it("one alone is enough", async () => expectSentence(await replay(put("files/alone.json", "{")), "is truncated"))
  it("one that is not there", async () => {
    expectSentence(await replay(join(put.directory, "absent.json")), "absent.json does not exist")
  })
  it("a directory", async () => {
    mkdirSync(join(put.directory, "directory.json"))
    const ran = await replay(join(put.directory, "directory.json"))
    expectSentence(ran, "is a directory, not a file with a counterexample")
  })
  it("100 MB, which are not read", async () => {
    const file = put("files/huge.json", text)
    truncateSync(file, 100_000_000)
    expectSentence(await replay(file), "has 100000000 bytes")
  })
  it("of a program that was not named: no code is loaded", async () => {
    expectSentence(await inTurn(["replay", put("files/own.json", text)]), "--program FILE.ts")
  })
})
