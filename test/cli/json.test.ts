/** The documents of `--json`, against their exported schemas. */
import { execFileSync } from "node:child_process"
import { readFileSync, statSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { Counterexample, Listing, Report } from "../../checker/index.ts"
import * as programs from "./programs.ts"
import { scratch, shootdown, shootdownAlone, shootdownInTurn } from "./run.ts"

const put = scratch()
const inTurn = shootdownInTurn()
const strict = { onExcessProperty: "error" } as const
const report = (text: string) => Schema.decodeUnknownSync(Report, strict)(JSON.parse(text))

describe.concurrent("--json", () => {
  it("- : standard output has the document and nothing else", async () => {
    const ran = await shootdownAlone(["explore", put("lost.ts", programs.lostUpdate), "--json", "-"])
    const [scenario, ...others] = report(ran.stdout).scenarios
    expect(others).toEqual([])
    expect(scenario).toMatchObject({
      id: "lost-update",
      strategy: "states",
      bound: { fibers: 2 },
      mutant: null,
      outcome: "violated",
      property: "no-lost-update",
      message: "the counter is 1",
      preemptions: 1,
    })
    expect(scenario?.counterexample?.schedule).toHaveLength(4)
    expect(ran.stderr).toContain("no-lost-update is broken")
    expect(ran.status).toBe(1)
  })

  it("- : what the program prints itself moves to standard error", async () => {
    const ran = await shootdownAlone(["explore", put("speaks.ts", programs.speaks), "--json", "-"])
    expect(report(ran.stdout).scenarios[0]?.outcome).toBe("holds")
    expect(ran.stderr).toContain("loading")
  })

  it("FILE : a document beside the report, whose counterexample replays", async () => {
    const program = put("file/lost.ts", programs.lostUpdate)
    const file = join(put.directory, "file/report.json")
    const ran = await inTurn(["explore", program, "--json", file, "--save"])
    expect(ran.stdout).toContain("no-lost-update is broken")
    const [scenario] = report(readFileSync(file, "utf8")).scenarios
    expect(scenario?.file).toBe(join(put.directory, "file/lost-update--no-lost-update.json"))
    const inline = Schema.decodeUnknownSync(Counterexample, strict)(scenario?.counterexample)
    const saved = put("file/inline.json", JSON.stringify(inline))
    expect((await inTurn(["replay", saved, "--program", program])).status).toBe(0)
  })

  it("counts what was exercised, and gives the reason of what is inconclusive", async () => {
    const program = put("locked.ts", programs.lockedUpdate)
    const random = ["--strategy", "random", "--executions", "5"]
    const ran = await inTurn(["explore", program, "--json", "-", ...random])
    const [scenario] = report(ran.stdout).scenarios
    expect(scenario).toMatchObject({
      outcome: "inconclusive",
      executions: 5,
      seed: 1,
      exercised: { "no-lost-update": 5, idle: 0 },
    })
    expect(scenario?.reason).toContain("5 schedules were taken by random")
    expect(ran.status).toBe(3)
  })

  it("lists what there is to check", async () => {
    const ran = await shootdown(["list", "--json", "-"])
    const { formatVersion, protocols } = Schema.decodeUnknownSync(Listing, strict)(JSON.parse(ran.stdout))
    expect(formatVersion).toBe(1)
    expect(protocols[0]?.properties.map(({ kind }) => kind)).toContain("leadsTo")
    const known = protocols.find(({ id }) => id === "mm")?.mutants.find(({ id }) => id === "dirty-cow")
    expect(known?.references).toEqual(["bug zoo 13", "commit 19be0eaffa3a", "CVE-2016-5195"])
    expect(ran.stderr).toBe("")
    expect(ran.status).toBe(0)
  })
})

it("lists the protocols that are named, programs of one's own among them", async () => {
  const listed = async (...targets: ReadonlyArray<string>) => {
    const ran = await shootdown(["list", ...targets, "--json", "-"])
    expect([ran.status, ran.stderr]).toEqual([0, ""])
    return Schema.decodeUnknownSync(Listing)(JSON.parse(ran.stdout)).protocols.map(({ id }) => id)
  }
  expect(await listed("lease/cl*", put("own.ts", programs.lockedUpdate), "lease/client")).toEqual([
    "lease/client",
    "locked-update",
  ])
  const unknown = await inTurn(["list", "lease/nobody"])
  expect([unknown.status, unknown.stdout]).toEqual([2, ""])
  expect(unknown.stderr).toMatch(/^shootdown: there is no protocol lease\/nobody; /)
})

it("goes into a device or a pipe, which is not replaced by a file", async () => {
  const pipe = join(put.directory, "pipe")
  execFileSync("mkfifo", [pipe])
  const [ran, text] = await Promise.all([
    shootdownAlone(["explore", put("into-pipe.ts", programs.lockedUpdate), "--json", pipe]),
    readFile(pipe, "utf8"),
  ])
  expect(ran.status).toBe(0)
  expect(Schema.decodeUnknownSync(Report)(JSON.parse(text)).scenarios).toHaveLength(1)
  expect(statSync(pipe).isFIFO()).toBe(true)
})
