/** `docs`: pages whose links resolve and whose figures are those of the run that they cite, and the guide that is tested as written. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import * as Schema from "effect/Schema"
import { chromium as browsers } from "playwright-core"
import { beforeAll, describe, expect, it } from "vitest"
import { MutationReport, Report } from "../../checker/index.ts"
import { bugZoo, zooKey } from "../../spec/bugZoo.ts"
import { blocks } from "../../spec/lease/blocks/index.ts"
import { pnfsStateids } from "../../spec/lease/client/index.ts"
import { chromium } from "./browser.ts"
import { repository, scratch, shootdown, shootdownInTurn } from "./run.ts"

const put = scratch()
const inTurn = shootdownInTurn()
const directory = join(put.directory, "pages")
const document = join(put.directory, "report.json")
const pages = ["lease/client", "lease/blocks", "guide/bug-zoo", "comparison/read-faults", "guide/new-protocol"]

/** The same command line with few protocols. */
const small = shootdownInTurn(join(repository, "test/cli/smallHandbook.ts"))

const read = (name: string): string => readFileSync(join(directory, name), "utf8")
const reported = (): Report => Schema.decodeUnknownSync(Report)(JSON.parse(readFileSync(document, "utf8")))
const figure = (value: number): string => value.toLocaleString("en-US")

/** The cells of the row of a Markdown table that begins with some text. */
const row = (page: string, first: string): ReadonlyArray<string> => {
  const line = read(page)
    .split("\n")
    .find((each) => each.startsWith(`| ${first} |`))
  if (line === undefined) throw new Error(`${page} has no row ${first}`)
  return line
    .split(" | ")
    .map((cell) => cell.replace(/^\| | \|$/g, "").trim())
    .slice(1)
}

beforeAll(async () => {
  const ran = await shootdown(["docs", ...pages, "--out", directory, "--json", document, "--workers", "1"])
  expect(ran.stderr).toBe("")
  expect(ran.status).toBe(0)
  expect(ran.stdout).toContain("6 pages")
})

describe("the handbook", () => {
  it("has a page for all that was asked for, as Markdown and as HTML", () => {
    const names = [
      "comparison-read-faults",
      "guide-bug-zoo",
      "guide-new-protocol",
      "index",
      "lease-blocks",
      "lease-client",
    ]
    const expected = [...names.flatMap((name) => [`${name}.html`, `${name}.md`]), "handbook.json", "style.css"]
    expect(readdirSync(directory).sort()).toEqual(expected.sort())
  })

  it("has no link that leads nowhere, in either form", () => {
    const ids = (name: string) => new Set([...read(name).matchAll(/\bid="([^"]*)"/g)].map(([, id]) => id))
    let links = 0
    for (const name of readdirSync(directory).filter((each) => each.endsWith(".html"))) {
      for (const [, href = ""] of read(name).matchAll(/\bhref="([^"]*)"/g)) {
        if (href === "data:,") continue
        links++
        const [file = "", anchor] = href.split("#")
        expect(existsSync(join(directory, file || name)), `${name}: ${href}`).toBe(true)
        if (anchor !== undefined) expect(ids(file || name), `${name}: ${href}`).toContain(anchor)
      }
    }
    for (const name of readdirSync(directory).filter((each) => each.endsWith(".md"))) {
      const prose = read(name).replace(/^```.*?^```/gms, "")
      for (const [, file = ""] of prose.matchAll(/(?<!\\)\]\(([^)#]+)[^)]*\)/g)) {
        links++
        expect(existsSync(join(directory, file)), `${name}: ${file}`).toBe(true)
      }
    }
    expect(links).toBeGreaterThan(20)
  })

  it("has the figures of the run that it cites", () => {
    const { scenarios } = reported()
    const exercised = new Map<string, number>()
    const taken = new Map<string, number>()
    expect(scenarios.length).toBeGreaterThan(5)
    for (const report of scenarios) {
      const page = `${report.id.split("/").slice(0, 2).join("-")}.md`
      const { states, transitions, maxDepth } = report
      if (report.mutant !== null) {
        const link = `[\`${report.mutant}\`](#${report.mutant})`
        const steps = report.counterexample?.schedule.length ?? Number.NaN
        const expected = [`\`${report.property}\``, `${figure(states)} states`, figure(steps), `${report.preemptions}`]
        expect(row(page, link)).toEqual(expected)
        continue
      }
      const cells = row(page, `\`${report.id}\``)
      expect(cells.slice(-4)).toEqual([report.outcome, ...[states, transitions, maxDepth].map(figure)])
      const add = (to: Map<string, number>, times: { readonly [name: string]: number }) => {
        for (const [name, more] of Object.entries(times)) {
          to.set(`${page} ${name}`, (to.get(`${page} ${name}`) ?? 0) + more)
        }
      }
      add(exercised, report.exercised)
      add(taken, report.steps)
    }
    for (const [key, times] of exercised) {
      const [page = "", id = ""] = key.split(" ")
      expect(row(page, `\`${id}\``), key).toContain(figure(times))
    }
    expect(taken.size).toBeGreaterThan(10)
    for (const [key, times] of taken) {
      const [page = "", ...name] = key.split(" ")
      expect(row(page, `\`${name.join(" ")}\``)[0], key).toBe(figure(times))
    }
  })

  it("shows each seeded bug with the shortest run, laid out", () => {
    const page = read("lease-client.md")
    expect(page).toContain("nfs4_proc_layoutreturn(2)")
    expect(page).toContain("* changed by layout-stateid-forgotten-with-get-in-flight")
  })

  it("lists every entry of the bug zoo, with the seeded bugs that are it and what the run has of them", () => {
    const { scenarios } = Schema.decodeUnknownSync(Report)(JSON.parse(readFileSync(document, "utf8")))
    for (const [key, , title] of bugZoo) expect(row("guide-bug-zoo.md", zooKey(key))[0]).toBe(title)
    const listed = [...pnfsStateids.bugs, ...blocks.bugs].filter(({ references = [] }) =>
      references.some((name) => name.startsWith(zooKey(""))),
    )
    expect(listed.length).toBeGreaterThan(1)
    for (const { id, references = [], breaks } of listed) {
      const states = scenarios.find(({ mutant }) => mutant === id)?.states
      const cell = row("guide-bug-zoo.md", references[0] ?? "").at(-1)
      expect(cell).toMatch(
        new RegExp(`#${id}\\) breaks \`${breaks}\`: found after ${states?.toLocaleString("en-US")} state`),
      )
    }
    expect(row("guide-bug-zoo.md", zooKey(13)).at(-1)).toMatch(/^`dirty-cow` of `mm` breaks /)
  })

  it("is the same, byte for byte, from the document of that run", async () => {
    const again = join(put.directory, "again")
    const ran = await shootdown(["docs", ...pages, "--from", document, "--out", again])
    expect([ran.status, ran.stderr]).toEqual([0, ""])
    for (const name of readdirSync(directory)) {
      expect(readFileSync(join(again, name), "utf8"), name).toBe(read(name))
    }
  })

  it("has the runs of a comparison in the document, and on its page with their bounds", () => {
    const { comparisons: [compared = expect.fail(), ...others] = [] } = reported()
    expect([compared.comparison, others]).toEqual(["comparison/read-faults", []])
    const ids = ["for-writing", "read-only", "as-allowed"].map((way) => `device/seed003/faults-${way}`)
    expect(compared.runs.map(({ id }) => id)).toEqual(ids)
    for (const { id, states, outcome } of compared.runs) {
      expect(outcome).toBe("holds")
      expect(row("comparison-read-faults.md", `\`${id}\``).slice(-2)).toEqual(["holds", figure(states)])
      expect(compared.rows.flatMap(({ cells }) => cells).flatMap(({ outcome: [first] }) => first)).toContain(
        `\`${id}\`: holds in all ${figure(states)} states`,
      )
    }
  })

  it("takes comparisons from the document, and explores for those that it does not have", async () => {
    const { comparisons: [compared = expect.fail()] = [], ...rest } = reported()
    const runs = compared.runs.map((run) => ({ ...run, states: 4_711 }))
    const out = join(put.directory, "compared")
    const pageFrom = async (comparisons: Report["comparisons"]) => {
      const from = put(
        "compared.json",
        JSON.stringify({ ...rest, ...(comparisons === undefined ? {} : { comparisons }) }),
      )
      const ran = await small(["docs", "comparison/read-faults", "--from", from, "--out", out])
      const page = join(out, "comparison-read-faults.md")
      return { ...ran, page: existsSync(page) ? readFileSync(page, "utf8") : "" }
    }
    expect((await pageFrom([{ ...compared, runs }])).page).toContain("| holds | 4,711 |")
    expect((await pageFrom(undefined)).page).toBe(read("comparison-read-faults.md"))
    const [first = expect.fail()] = compared.rows
    const short = await pageFrom([{ ...compared, rows: [{ ...first, cells: first.cells.slice(1) }] }])
    expect([short.status, short.stderr]).toEqual([
      2,
      expect.stringMatching(
        /compared\.json has another table of comparison\/read-faults: not every row has 3 cells\n$/,
      ),
    ])
  })

  it("says what became of mutants, by the document of their run", async () => {
    const [mutants, out] = [join(put.directory, "mutants.json"), join(put.directory, "mutants")]
    await small(["mutants", "lease/client", "--json", mutants])
    const ran = await small(["docs", "lease/*", "--from", document, "--mutants", mutants, "--out", out])
    expect([ran.status, ran.stderr]).toEqual([0, ""])
    const [{ counts, mutants: made } = expect.fail()] = Schema.decodeUnknownSync(MutationReport)(
      JSON.parse(readFileSync(mutants, "utf8")),
    ).protocols
    const page = readFileSync(join(out, "lease-client.md"), "utf8")
    expect(page).toContain(`: ${counts.mutants} mutants: ${counts.killed} killed, ${counts.equivalent} equivalent`)
    for (const { id } of made) expect(page).toContain(`\`${id.replaceAll("|", "\\|")}\``)
    const splits = made.filter(({ operator }) => operator === "split")
    const killed = splits.filter(({ verdict }) => verdict === "killed").length
    expect(page).toMatch(new RegExp(`\\| \`split\`: .* \\| ${splits.length} \\| ${killed} \\|`))
    for (const { property } of made) if (property !== undefined) expect(page).toContain(`| \`${property}\` | `)
    expect(readFileSync(join(out, "index.md"), "utf8")).toMatch(
      /lease\/client.* \d+ of \d+ \|\n.*lease\/blocks.* not made \|/,
    )
    const elsewhere = join(put.directory, "elsewhere")
    const others = await small(["docs", "lease/blocks", "--from", document, "--mutants", mutants, "--out", elsewhere])
    expect([others.status, others.stdout]).toEqual([2, ""])
    expect(others.stderr).toMatch(/mutants\.json is of none of the protocols that have a page\n$/)
    const wrong = await small(["docs", "lease/*", "--mutants", document, "--out", out])
    expect(wrong.status).toBe(2)
    expect(wrong.stderr).toMatch(/report\.json is not a document of mutants --json: [^\n]*\n$/)
  })

  it("replaces an earlier one, unless that has pages which would be lost", async () => {
    const out = join(put.directory, "again")
    const before = readdirSync(out)
    const ran = await small(["docs", "guide/new-protocol", "--out", out])
    expect([ran.status, ran.stdout]).toEqual([2, ""])
    expect(ran.stderr).toMatch(
      /^shootdown: --out \S*again has a handbook with lease-client\.md and 3 other pages, which this one would not have; name another directory\n$/,
    )
    expect(readdirSync(out)).toEqual(before)
    const stale = ["protocol-that-was.md", "protocol-that-was.html"]
    const manifest = JSON.parse(readFileSync(join(out, "handbook.json"), "utf8"))
    for (const name of stale) put(`again/${name}`, "")
    put("again/handbook.json", JSON.stringify({ ...manifest, files: [...manifest.files, ...stale] }))
    expect((await small(["docs", ...pages, "--from", document, "--out", out])).status).toBe(0)
    expect(readdirSync(out)).toEqual(before)
  })

  it.skipIf(!existsSync("/proc/self")).each([
    ["--out", "/proc/handbook", "/proc/handbook cannot take a handbook: nothing can be made in /proc: NotFound"],
    ["--out", "/proc/a/b", "/proc/a/b cannot take a handbook: nothing can be made in /proc: NotFound"],
    ["--json", "/proc/a.json", "/proc/a.json cannot be written: nothing can be made there: NotFound"],
  ])("says before it checks anything that nothing can be written: %s %s", async (flag, place, sentence) => {
    const ran = await small(["docs", "lease/client", ...(flag === "--out" ? [] : ["--out", directory]), flag, place])
    expect(ran).toEqual({ status: 2, stdout: "", stderr: `shootdown: ${flag} ${sentence}\n` })
  })

  it("makes the directories on the way, and leaves none behind where it fails", async () => {
    const out = join(put.directory, "far/away")
    expect((await small(["docs", "guide/new-protocol", "--out", out, "--from", "/nowhere.json"])).status).toBe(2)
    expect(existsSync(dirname(out))).toBe(false)
    expect((await small(["docs", "guide/new-protocol", "--out", out])).status).toBe(0)
    expect(readdirSync(out)).toContain("guide-new-protocol.html")
  })

  it("says when it is interrupted that nothing was written, and what was explored for comparisons", async () => {
    const out = join(put.directory, "interrupted")
    const script = join(repository, "test/cli/endlessHandbook.ts")
    const ran = await shootdown(["docs", "--out", out], { script, signal: "SIGINT" })
    expect(ran.status).toBe(130)
    expect(ran.stdout).toMatch(
      /^\ninterrupted in counters: [\d,]+ states, .*, and no violation; 0 explorations for comparisons done\nno page was written to \S*interrupted\n$/,
    )
    expect(existsSync(out)).toBe(false)
  })

  it("goes into no directory that has something else", async () => {
    const mine = put("mine/notes.txt", "mine")
    const ran = await inTurn(["docs", "--out", dirname(mine)])
    expect(ran.status).toBe(2)
    expect(ran.stderr).toMatch(
      /^shootdown: --out .* cannot take a handbook: it has files that are no handbook's: notes\.txt; name another directory\n$/,
    )
    expect(readdirSync(dirname(mine))).toEqual(["notes.txt"])
  })

  it.each([
    ["truncated", '{"formatVersion": 1, "scenarios": [', "is truncated: the JSON ends in the middle"],
    [
      "another's",
      '{"formatVersion": 1, "protocols": []}',
      "is not a document of --json: its field protocols is not one of the format's",
    ],
  ])("says in one sentence what is wrong with a document: %s", async (_, text, sentence) => {
    const ran = await inTurn(["docs", "--from", put("bad.json", text), "--out", join(put.directory, "never")])
    expect(ran.status).toBe(2)
    expect(ran.stderr).toMatch(/^shootdown: [^\n]*\n$/)
    expect(ran.stderr).toContain(`bad.json ${sentence}`)
    expect(existsSync(join(put.directory, "never"))).toBe(false)
  })

  const seen = chromium === undefined ? " (skipped: CHROMIUM names no browser, and none is in PATH)" : ""
  it.skipIf(chromium === undefined).each([1280, 390])(`can be read at a width of %i pixels${seen}`, async (width) => {
    const browser = await browsers.launch({ executablePath: chromium ?? "", args: ["--no-sandbox"] })
    try {
      for (const colorScheme of ["light", "dark"] as const) {
        const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme })
        const troubles: Array<string> = []
        page.on("console", (message) => void troubles.push(message.text()))
        page.on("pageerror", (error) => void troubles.push(error.message))
        page.on("requestfailed", (request) => void troubles.push(request.url()))
        for (const name of readdirSync(directory).filter((each) => each.endsWith(".html"))) {
          await page.goto(pathToFileURL(join(directory, name)).href)
          const overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
          expect(await page.evaluate(overflow), name).toBe(0)
          expect(await page.locator("h1").count(), name).toBe(1)
          expect(await page.locator("main h2").count(), name).toBeGreaterThan(0)
          const wide = ".scrolling > table, .scrolling > pre"
          expect(await page.locator("main table, main pre").count()).toBe(await page.locator(wide).count())
          await page.keyboard.press("Tab")
          expect(await page.evaluate("document.activeElement.textContent"), name).toBe("Skip to the content")
          const background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
          expect(background === "rgb(255, 255, 255)", name).toBe(colorScheme === "light")
        }
        expect(troubles).toEqual([])
        await page.close()
      }
    } finally {
      await browser.close()
    }
  })
})

describe("the guide to a new protocol", () => {
  const markdown = readFileSync(join(repository, "spec/handbook/newProtocol.md"), "utf8")
  const blocks = [...markdown.matchAll(/^```(\w+)\n(.*?)\n```$/gms)].map(([, kind = "", text = ""]) => ({ kind, text }))
  const timeless = (text: string) => text.replace(/\d+\.\d s/g, "0.0 s").trim()

  it("does what it says, as written", async () => {
    const program = blocks.flatMap(({ kind, text }) => (kind === "ts" ? [text] : [])).join("\n\n")
    const file = put("guide/grabber.ts", `${program}\n`)
    const said = blocks.filter(({ kind }) => kind !== "ts")
    expect(said.map(({ kind }) => kind)).toEqual(["sh", "text", "sh", "text", "sh", "text"])
    for (const [position, { kind, text }] of said.entries()) {
      if (kind !== "sh") continue
      const [, args = ""] = /^npm run check -- (.*)$/.exec(text) ?? []
      const ran = await inTurn(args.split(" ").map((arg) => (arg === "grabber.ts" ? file : arg.replaceAll("'", ""))))
      // Of what takes long it is said there how far it is.
      expect(ran.stderr.replaceAll(/^grabber: .*\n/gm, "")).toBe("")
      expect(timeless(ran.stdout)).toBe(timeless(said[position + 1]?.text ?? ""))
      expect(ran.status).toBe(args.includes("mutant") ? 1 : 0)
    }
  })
})
