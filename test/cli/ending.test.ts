/** How runs end when somebody else ends them, or when the fault is ours. */
import { join } from "node:path"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { Report } from "../../checker/index.ts"
import * as programs from "./programs.ts"
import { npmRunCheck, repository, scratch, shootdown, shootdownAlone } from "./run.ts"

const put = scratch()

const signalled = join(repository, "test/cli/signalled.ts")
const Heard = Schema.Struct({ within: Schema.Number, between: Schema.Number })

describe.concurrent("endings", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("%s: 130, with what was reached", async (signal) => {
    const file = put(`${signal}.ts`, programs.big)
    const ran = await shootdownAlone(["explore", file, "--json", "-"], { signal })
    expect(ran.stderr).toMatch(/interrupted in big: [\d,]+ states, [\d,]+ transitions, depth \d+, \d+\.\d s/)
    const document = Schema.decodeUnknownSync(Report)(JSON.parse(ran.stdout))
    expect(document).toMatchObject({ interrupted: true, scenarios: [{ id: "big", outcome: "inconclusive" }] })
    expect(document.scenarios[0]?.states).toBeGreaterThan(0)
    expect(ran.status).toBe(130)
  })

  it("SIGINT while shrinking: 130, with the violation that was found", async () => {
    const file = put("shrinking.ts", programs.slowToShrink)
    const args = ["explore", file, "--strategy", "random", "--json", "-"]
    const ran = await shootdownAlone(args, { signal: "SIGINT" })
    expect(ran.stderr).toMatch(/interrupted while shrinking in slow-to-shrink: few-switches broke after \d+ execution/)
    expect(ran.stderr).toContain("\n  they took turns\n")
    const document = Schema.decodeUnknownSync(Report)(JSON.parse(ran.stdout))
    expect(document).toMatchObject({
      interrupted: true,
      scenarios: [{ outcome: "violated", property: "few-switches", message: "they took turns" }],
    })
    const counterexample = document.scenarios[0]?.counterexample
    expect(counterexample?.schedule.length).toBeGreaterThanOrEqual(20)
    const saved = put("shrinking.json", JSON.stringify(counterexample))
    expect((await shootdownAlone(["replay", saved, "--program", file])).status).toBe(0)
    expect(ran.status).toBe(130)
  })

  it("a program that ends the process while it is loaded: 70, and it is said", async () => {
    const ran = await shootdownAlone(["explore", put("exits.ts", programs.exitsAtOnce)])
    expect(ran.stderr).toBe("shootdown: the process was ended from within: by a program's process.exit, it seems\n")
    expect(ran.status).toBe(70)
  })

  it("SIGINT ends a program that never comes back, at once", async () => {
    const ran = await shootdownAlone(["explore", put("never.ts", programs.neverReturns)], { signal: "SIGINT" })
    expect(ran.stdout).toMatch(/interrupted in never-returns: /)
    expect(ran.status).toBe(130)
  })

  it("no SIGINT falls between two stretches: each interrupts, and none ends the process", async () => {
    const ran = await shootdown([], { script: signalled, signal: "SIGINT", times: 200 })
    expect(ran.status, ran.stderr).toBe(0)
    const heard = Schema.decodeUnknownSync(Heard)(JSON.parse(ran.stdout))
    // How many are sent before the last one was heard is the machine's affair.
    expect(heard.within).toBeGreaterThan(0)
    expect(heard.between).toBeGreaterThan(0)
  })

  it("a closed pipe ends the run in silence", async () => {
    const files = ["a", "b"].map((name) => put(`pipe/${name}.ts`, programs.lostUpdate.replace("lost-update", name)))
    const ran = await shootdownAlone(["explore", ...files, put("pipe/big.ts", programs.big)], {
      closeOutput: true,
      signal: "SIGINT",
    })
    expect(ran.stderr.replaceAll("started\n", "")).toBe("")
    expect(ran.status).toBe(141)
  })

  it("npm passes the status on", async () => {
    const lost = await npmRunCheck(["explore", put("npm/lost.ts", programs.lostUpdate)])
    expect(lost.status).toBe(1)
    expect((await npmRunCheck(["explore", "nowhere"])).status).toBe(2)
  })

  it("a fault of ours is called one: 70", async () => {
    const script = put(
      "fault.ts",
      `import { main } from "${repository}/checker/cli/main.ts"
       const scenario = { id: "x", summary: "", parameters: {}, requires: () => undefined, properties: [], bugs: [],
         program: () => { throw new TypeError("unforeseen") } }
       main([{ id: "p", title: "", scenarios: [scenario], bugs: [] }])`,
    )
    const ran = await shootdownAlone(["explore", "x"], { script })
    expect(ran.stderr).toContain("this is a bug in Shootdown")
    expect(ran.stderr).toContain("unforeseen")
    expect(ran.status).toBe(70)
  })

  it("helps and tells its version", async () => {
    const help = await shootdownAlone(["--help"])
    expect(help.stdout).toContain("npm run check -- <subcommand>")
    expect(help.stdout).toContain("Exit status")
    expect(help.stdout).not.toContain("--wizard")
    expect(help.status).toBe(0)
    expect((await shootdownAlone(["--version"])).stdout).toMatch(/^shootdown v\d+\.\d+\.\d+\n$/)
  })
})
