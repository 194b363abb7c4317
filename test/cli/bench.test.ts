/** `bench`, as a process. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { boundedPrograms } from "../../checker/bench/programs/bounded.ts"
import { families } from "../../checker/bench/programs/index.ts"
import { BenchReport } from "../../checker/index.ts"
import { long } from "../long.ts"
import { repository, scratch, shootdown } from "./run.ts"

const put = scratch()
const decode = (text: string) => Schema.decodeUnknownSync(BenchReport, { onExcessProperty: "error" })(JSON.parse(text))

/** A script whose bench measures a scenario of two fibers that count to `rounds`. */
const script = (name: string, rounds: number, expected: string) =>
  put(
    `${name}.ts`,
    `import { writeSync } from "node:fs"
     import * as Effect from "${repository}/node_modules/effect/dist/Effect.js"
     import * as S from "${repository}/checker/index.ts"
     import { main } from "${repository}/checker/cli/main.ts"
     const counting = S.scenario({
       id: "counting",
       summary: "",
       setup: () => {
         writeSync(2, "started\\n")
         const a = S.cell("a", 0)
         const b = S.cell("b", 0)
         const count = (at) => Effect.gen(function* () {
           for (let i = 0; i < ${rounds}; i++) {
             yield* S.checkpoint("round", i)
             yield* S.step("count", () => { at.value++ })
           }
         })
         return { world: undefined, fibers: { alice: count(a), bob: count(b) } }
       },
       properties: [],
     })
     const [scenario] = S.protocolOf(counting).scenarios
     main([], { benchmarks: [{ scenario, size: "quick", ${expected} }] })`,
  )

// It counts for ten seconds, and on a loaded machine for minutes.
describe.concurrent("bench", () => {
  it("counts what is published and measures speeds, as a document", async () => {
    const ran = await shootdown(["bench", "--size", "quick", "--json", "-"])
    const report = decode(ran.stdout)
    const programs = families.flatMap((family) => family.programs)
    expect(report.programs.map(({ name }) => name)).toEqual(programs.map(({ name }) => name))
    for (const [position, program] of report.programs.entries()) {
      const { name, states, schedules, classes, deadlocked, verdict, differences } = program
      const published = programs[position]
      expect([states.expected, schedules.expected, classes.complete.expected], name).toEqual([
        published?.states ?? null,
        published?.schedules ?? null,
        published?.complete,
      ])
      expect(differences, name).toEqual([])
      if (deadlocked.expected !== null && deadlocked.states !== null) {
        expect(deadlocked.states, name).toBe(deadlocked.expected.states)
      }
      const counted = [states, schedules, classes.complete].filter(({ measured }) => measured !== null)
      for (const { expected, measured } of [...counted, classes.stuck]) {
        if (measured !== null) expect(measured, name).toBe(expected)
      }
      expect(verdict, name).toBe(counted.length === 0 ? "skipped" : "agrees")
    }
    expect(report.programs.filter(({ states }) => states.measured !== null).length).toBeGreaterThan(70)

    expect(report.bounded.map(({ name, by }) => `${name} ${by}`).sort()).toEqual(
      boundedPrograms.flatMap(({ name }) => [`${name} delays`, `${name} preemptions`]).sort(),
    )
    for (const { name, by, expected, measured, verdict } of report.bounded) {
      const counted = measured.filter((number) => number !== null)
      expect(counted, name).toEqual(expected.slice(0, counted.length))
      expect(boundedPrograms.find((program) => program.name === name)?.[by]).toEqual(expected)
      expect(verdict, name).toBe(counted.length === 0 ? "skipped" : "agrees")
    }
    expect(report.bounded.filter(({ verdict }) => verdict === "agrees").length).toBeGreaterThan(15)

    expect(report.speeds.length).toBeGreaterThan(0)
    for (const { expected, states, transitions } of report.speeds) expect(expected).toEqual({ states, transitions })
    const { twoFibers } = report.rates ?? {}
    const ratio = report.ratios.find(({ of }) => of.startsWith("random schedules"))?.ratio
    expect(ratio).toBeCloseTo((twoFibers?.random ?? 0) / (twoFibers?.fastCheck ?? 0))
    const { suspensions = 0, samplers = [] } = report.rates ?? {}
    expect(samplers.map(({ strategy, steps }) => `${strategy} ${steps}`)).toEqual(
      ["random", "pct", "pos", "surw"].flatMap((strategy) => [`${strategy} 15`, `${strategy} 150`]),
    )
    expect(report.rates?.optimal.map(({ steps }) => steps)).toEqual([15, 150])
    for (const { strategy, steps, rate } of samplers) {
      const found = report.ratios.find(({ of }) => of === `steps of ${strategy} on schedules of ${steps}`)
      expect(found?.ratio).toBeCloseTo(rate / suspensions)
    }
    expect(report.machine.node).toBe(process.version)

    expect(ran.stderr).toMatch(/readers\(2\) +13 +13 +8 +6 +6 +0 +4 +4 +as expected/)
    expect(ran.stderr).toMatch(/mutex_deadlock\(3\) +10 +10 +10 +3 +3 +3 +0 +0 +as expected/)
    expect(ran.stderr).toMatch(/IRIW +delays +1 +6 +17 +38 +67 +98 +- +- +as expected/)
    expect(ran.stderr).toMatch(/\/s {2}suspensions of a bare Effect fiber/)
    expect(ran.status).toBe(0)
  })

  // Each of these counts all programs anew: `npm run test:long`.
  it.skipIf(!long)("marks what is not as expected: 1", async () => {
    const ran = await shootdown(["bench", "--size", "quick"], {
      script: script("wrong", 3, "expected: { states: 16, transitions: 25 }"),
    })
    expect(ran.stdout).toMatch(/counting +16 +24 .* DIFFERS/)
    expect(ran.stdout).toContain("  24 transitions, 25 expected\n")
    expect(ran.stdout).toMatch(/1 of \d+ programs and scenarios differ/)
    expect(ran.status).toBe(1)
  })

  it("says what was measured when it is interrupted: 130", async () => {
    const file = join(put.directory, "interrupted.json")
    const ran = await shootdown(["bench", "--size", "quick", "--json", file], {
      script: script("endless", 4_000, ""),
      signal: "SIGINT",
    })
    expect(ran.status, ran.stderr).toBe(130)
    const report = decode(readFileSync(file, "utf8"))
    expect(report.interrupted).toBe(true)
    expect(report.programs.length).toBeGreaterThan(70)
    expect(report.speeds).toEqual([])
    expect(ran.stdout).toContain("interrupted; ")
  })

  // Half a minute of both cores: `npm run test:long`.
  it.skipIf(!long)("measures two workers beside one, and says so only where there were two", async () => {
    const from = (module: string) => `import { main } from "${repository}/checker/cli/main.ts"
     import { registry } from "${repository}/spec/registry.ts"
     const scenario = registry.flatMap((p) => p.scenarios).find(({ id }) => id === "notifier/interval/overlapping")
     const bound = { devices: 1, pages: 2, invalidations: 3, removals: 0 }
     const benchmarks = [{ scenario, bound, size: "quick", twoWorkers: 1.1 }]
     main(registry, { benchmarks, ${module} })`
    const measured = async (name: string, module: string) => {
      const ran = await shootdown(["bench", "--size", "quick", "--json", "-"], {
        script: put(`${name}.ts`, from(module)),
      })
      expect(ran.status).toBe(0)
      const { speeds, ratios } = decode(ran.stdout)
      expect(new Set(speeds.map(({ states, transitions }) => `${states} ${transitions}`)).size).toBe(1)
      return [speeds.map(({ workers }) => workers), ratios.filter(({ of }) => of.endsWith("by two workers")).length]
    }
    expect(await measured("two", `module: "file://${repository}/spec/registry.ts"`)).toEqual([[1, 2], 1])
    expect(await measured("alone", "")).toEqual([[1, 1], 0])
  })

  it("knows its sizes", async () => {
    const ran = await shootdown(["bench", "--size", "huge"])
    expect(ran.stderr).toContain("--size huge must be one of quick, usual, full")
    expect(ran.status).toBe(2)
  })
})
