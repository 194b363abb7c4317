/** `mutants`, as a user meets it. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { MutationReport } from "../../checker/index.ts"
import { countMutants, countsText } from "../../checker/report/mutation.ts"
import { long } from "../long.ts"
import * as programs from "./programs.ts"
import { scratch, shootdown, shootdownAlone, shootdownInTurn } from "./run.ts"

const put = scratch()
const inTurn = shootdownInTurn()
const report = (text: string) =>
  Schema.decodeUnknownSync(MutationReport, { onExcessProperty: "error" })(JSON.parse(text))

/** A protocol of the locked counter without its property, whose survivors are explained by what is put in. */
const explained = (survivors: string, only = "unlock"): string =>
  programs.lockedUpdate
    .replace("import { cell", "import { protocol, cell")
    .replace("export default scenario", "const counter = scenario")
    .concat(`export default protocol({ id: "counter", title: "a counter", scenarios: [{ ...counter, properties: [] }],
      steps: ["${only}"], survivors: { ${survivors} } })`)

describe.concurrent("mutants", () => {
  it("of a program of one's own are made, explored and reported; the document keeps to its schema", async () => {
    const args = ["mutants", put("locked.ts", programs.lockedUpdate), "--workers", "2", "--json", "-"]
    const ran = await shootdownAlone(args)
    const { protocols, counts, killRate, operators } = report(ran.stdout)
    expect(protocols.map(({ protocol }) => protocol)).toEqual(["locked-update"])
    expect(protocols[0]?.mutants.map(({ id, verdict, property }) => [id, verdict, property])).toEqual([
      ["leave-out lock", "killed", "no-lost-update"],
      ["leave-out store", "killed", "no-lost-update"],
      ["leave-out unlock", "killed", "deadlock"],
      ["swap lock | load", "killed", "no-lost-update"],
      ["swap store | unlock", "killed", "no-lost-update"],
      ["split lock", "killed", "no-lost-update"],
      ["open-guard lock", "killed", "no-lost-update"],
    ])
    expect(counts).toMatchObject({ mutants: 7, killed: 7 })
    expect(killRate).toBe(1)
    expect(Object.keys(operators)).toContain("swap")
    expect(ran.stderr).toMatch(/locked-update {2}7 mutants: 7 killed, 0 equivalent, 0 survived; 100\.0 % killed/)
    expect(ran.stderr).toMatch(/^ {2}killed {8}leave-out unlock: deadlock in locked-update fibers=1$/m)
    expect(ran.status).toBe(0)
  })

  it("that survive are named, and are a failure unless the spec explains them: 1", async () => {
    const alone = ["--workers", "1"]
    const silent = await inTurn(["mutants", put("silent.ts", explained("", "store")), ...alone])
    expect(silent.stdout).toMatch(/^ {2}survived {6}leave-out store$/m)
    expect(silent.status).toBe(1)
    const why = `"leave-out store": "nobody looks", "swap store | unlock": "nobody looks"`
    const said = await inTurn(["mutants", put("said.ts", explained(why, "store")), ...alone])
    expect(said.stdout).toMatch(/2 mutants: 0 killed, 0 equivalent, 2 survived, 2 explained/)
    expect(said.stdout).toMatch(/^ {2}survived {6}leave-out store: nobody looks$/m)
    expect(said.status).toBe(0)
    const both = explained(`"leave-out unlock": "?", ${why}`, "{store,unlock}")
    const stale = await inTurn(["mutants", put("stale.ts", both), ...alone])
    expect(stale.stdout).toContain("the survivor leave-out unlock is explained, and it is killed")
    expect(stale.status).toBe(1)
  })

  it.skipIf(!long)("that a budget leaves undecided are named: 3", async () => {
    const ran = await inTurn(["mutants", put("large.ts", programs.big), "--states", "80", "--only", "split *"])
    expect(ran.stdout).toMatch(/^ {2}inconclusive {2}split add: big: the budget of 80 states ran out/m)
    expect(ran.status).toBe(3)
  })

  it("are told no rate where none could be killed", () => {
    const none = countMutants([])
    expect(countsText(none)).toBe("0 mutants: 0 killed, 0 equivalent, 0 survived")
    expect(countsText({ ...none, mutants: 1, killed: 1 })).toMatch(/; 100\.0 % killed of those that can be$/)
  })

  it("of an unknown protocol are refused, with a suggestion; help says what is changed: 2 and 0", async () => {
    const unknown = await shootdown(["mutants", "notifier/intervals"])
    expect(unknown.stderr).toBe("shootdown: there is no protocol notifier/intervals; did you mean notifier/interval?\n")
    expect(unknown.status).toBe(2)
    const help = await inTurn(["mutants", "--help"])
    expect(help.stdout).toMatch(/leave-out: A step that returns nothing is not taken/)
    expect(help.status).toBe(0)
  })

  it.skipIf(!long)("are reported as far as they are known when ctrl-C is pressed: 130", async () => {
    const json = join(put.directory, "cut.json")
    const ran = await shootdownAlone(["mutants", put("big.ts", programs.big), "--states", "4000000", "--json", json], {
      signal: "SIGINT",
    })
    expect(ran.stdout).toMatch(/interrupted in big \((being learnt|\d+ mutants?)\)/)
    expect(ran.status).toBe(130)
    expect(existsSync(json)).toBe(true)
    expect(report(readFileSync(json, "utf8")).interrupted).toBe(true)
  })
})
