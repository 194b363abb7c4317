/** Pages of a handbook: whatever specs and documents say is what is read, and nothing else comes of it. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { type About, cell, protocol, scenario, step } from "../../checker/index.ts"
import { comparisonPage } from "../../checker/report/handbook/comparisonPage.ts"
import { handbookPages } from "../../checker/report/handbook/pages.ts"
import { htmlPage } from "../../checker/report/handbook/site.ts"
import { fieldsText, stateKinds } from "../../checker/report/handbook/state.ts"
import { filesOf, groupSteps, type Made, sourcesOf } from "../../checker/report/handbook/stepSources.ts"
import type { ProtocolSubject } from "../../checker/report/handbook/subject.ts"

const nasty = "a|b <script>alert(1)</script> *c* _d_ [e](javascript:f) `g|h` &amp; ~~i~~ ![j](k) www.l.m"

const subject = protocol({
  id: "nasty/one",
  title: nasty,
  about: { purpose: nasty, notModelled: [nasty, "1. one"] },
  scenarios: [
    scenario({
      id: "nasty/one/scenario",
      summary: nasty,
      setup: () => {
        const shared = cell("shared", 0)
        return { world: {}, fibers: { one: step("read", () => shared.value) } }
      },
      properties: [{ kind: "atEnd", id: "P|Q", statement: nasty, source: nasty, holds: () => true }],
    }),
  ],
  bugs: [
    {
      id: "bug",
      title: nasty,
      source: nasty,
      references: [nasty],
      scenario: "nasty/one/scenario",
      breaks: "P|Q",
      at: () => ({}),
    },
  ],
})

const [index, page] = handbookPages({
  run: { tool: { name: nasty, version: "1" } },
  protocols: [
    {
      protocol: subject,
      explorations: [],
      hunts: [{ bug: subject.bugs[0] ?? expect.fail(), trace: ["```", "</code></pre><b>", nasty] }],
      actors: [{ name: "fiber`|", scenarios: ["nasty/one/scenario"] }],
      cells: ["a|b.c", "alone"],
      operations: [],
      seen: { states: 0, touches: new Map() },
    },
  ],
  comparisons: [],
  registry: [],
  catalogues: [],
  chapters: [],
}).map(htmlPage)

describe("a page", () => {
  it("calls a table by the heading above it", () => {
    const markdown = "## Locks & *waits*\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    const html = htmlPage({ name: "locks", title: "Locks", markdown })
    expect(html).toContain('aria-label="Locks &amp; waits"')
  })

  it("has no more HTML than is the handbook's", () => {
    for (const html of [index ?? "", page ?? ""]) {
      const tags = new Set([...html.matchAll(/<\/?([a-z0-9!]+)/g)].map(([, tag]) => tag))
      const own =
        "!doctype html head meta title link body a header nav ul li main h1 h2 h3 p code pre div table thead tbody tr th td"
      expect([...tags].filter((tag) => !own.split(" ").includes(tag ?? ""))).toEqual([])
      expect(html).toContain("&lt;script&gt;alert(1)&lt;/script&gt;")
      expect(html).not.toMatch(/href="(?!#|[a-z-]+\.(html|css)|data:,")/)
    }
  })

  it("has as many cells in each row as there are columns", () => {
    for (const [table] of (page ?? "").matchAll(/<table>.*?<\/table>/gs)) {
      const columns = table.split("<th ").length - 1
      for (const [row] of table.matchAll(/<tr><td.*?<\/tr>/gs)) expect(row.split("<td").length - 1).toBe(columns)
    }
  })

  it("leaves no row of the shared state without cells", () => {
    expect(page).toMatch(/<code>alone<\/code><\/td><td>one cell<\/td>/)
  })

  it("says what specs say, in tables and outside", () => {
    const words =
      "a|b &lt;script&gt;alert(1)&lt;/script&gt; *c* _d_ [e](javascript:f) <code>g|h</code> &amp;amp; ~~i~~ ![j](k) www.l.m"
    expect((page ?? "").split(words).length).toBeGreaterThan(6)
    expect(page).not.toContain("\\")
  })

  it("has a trace as it was, whatever is in it", () => {
    expect(page).toContain(`<pre><code>\`\`\`\n&lt;/code&gt;&lt;/pre&gt;&lt;b&gt;\n`)
  })
})

describe("what a protocol says of its parts", () => {
  const parts = {
    actors: { cpuN: "A thread.", kswapd: "It reclaims | takes." },
    state: { lock: "A lock." },
    monitors: { seenN: "What was seen." },
    operations: { store: "A thread stores." },
  }
  const setup = () => ({ world: {}, fibers: { one: step("read", () => 0) } })
  const devices = { description: "devices that fault", default: 1, min: 0, max: 2 }
  const scenarios = ["a", "b"].map((id) =>
    scenario({ id: `p/${id}`, summary: id, parameters: { devices }, setup, properties: [] }),
  )
  const markdownOf = (
    about: Partial<About>,
    asked = scenarios,
    seen: Partial<Pick<ProtocolSubject, "operations" | "seen">> = {},
  ) =>
    handbookPages({
      run: { tool: { name: "tool", version: "1" } },
      protocols: [
        {
          protocol: protocol({
            id: "p",
            title: "P",
            about: { purpose: "", notModelled: [], ...about },
            scenarios: asked,
          }),
          explorations: [],
          hunts: [],
          actors: [
            { name: "cpu0", scenarios: ["p/a", "p/b"] },
            { name: "cpu1", scenarios: ["p/b"] },
            { name: "kswapd", scenarios: ["p/a"] },
          ],
          cells: ["lock", "seen0.at", "seen1.at"],
          operations: [],
          seen: { states: 0, touches: new Map() },
          ...seen,
        },
      ],
      registry: [],
      catalogues: [],
      comparisons: [],
      chapters: [],
    })[1]?.markdown.split("\n") ?? []
  const rows = (about: Partial<About>) => markdownOf(about).filter((line) => line.startsWith("| `"))

  it("is beside each of them: fibers by family, monitors by themselves", () => {
    expect(rows(parts)).toEqual([
      "| `cpu0`, `cpu1` | A thread. | 2 |",
      "| `kswapd` | It reclaims \\| takes. | 1 |",
      "| `lock` | A lock. | one cell |",
      "| `seen0`, `seen1` | What was seen. | `at` |",
      "| `p/a` | a |  | not in this run |  |  |  |",
      "| `p/b` | b |  | not in this run |  |  |  |",
      "| `devices` | devices that fault | 0 to 2 |",
      "| `store` | A thread stores. |",
    ])
    const lines = markdownOf(parts)
    const monitors = lines.findIndex((line) => line.startsWith("Monitors watch from outside"))
    expect(monitors).toBeGreaterThan(lines.findIndex((line) => line.startsWith("| `lock`")))
    expect(monitors).toBeLessThan(lines.findIndex((line) => line.startsWith("| `seen0`")))
  })

  it("tells of steps who takes them, and what they wait for, read and change", () => {
    const touches = new Map([
      [
        "store",
        {
          by: new Set(["cpu0", "cpu1", "gpu0"]),
          guards: new Set(["lock.holder"]),
          reads: new Set(["lock.holder", "mm.pte0", "mm.pte1"]),
          writes: new Set(["folio0.dirty", "folio3.content", "mm.pte1"]),
        },
      ],
    ])
    const operations = [
      ...["store", "seldom"].map((name) => ({ name, kind: "step" as const, files: [] })),
      { name: "store", kind: "choice" as const, files: [] },
    ]
    const page = markdownOf({}, scenarios, { operations, seen: { states: 1000, touches } })
    const begin = page.findIndex((line) => line.startsWith("| step |"))
    expect(page.slice(begin, begin + 4)).toEqual([
      "| step | taken | by | waits for | reads | writes |",
      "| --- | ---: | --- | --- | --- | --- |",
      "| `store` | 0 as choice and step | `cpuN`, `gpuN` | `lock`: `holder` | `mm`: `pteN` | `folioN`: `dirty`, `content`; `mm`: `pteN` |",
      "| `seldom` | 0 |  |  |  |  |",
    ])
    expect(page.join("\n")).toContain("the first 1,000 states of each scenario")
    expect(page).toContain("| choice | taken | made in |")
    expect(markdownOf({}, scenarios, { operations })).toContain("| step | taken |")
  })

  it("may be missing", () => {
    expect(rows({}).slice(0, 5)).toEqual([
      "| `cpu0` | 2 |",
      "| `cpu1` | 1 |",
      "| `kswapd` | 1 |",
      "| `lock` | one cell |",
      "| `seen0`, `seen1` | `at` |",
    ])
    expect(markdownOf({}).join("\n")).toContain("those of monitors among them")
  })

  it("is given once for a bound that several scenarios have, with all of its ranges", () => {
    const other = scenario({
      id: "p/c",
      summary: "c",
      parameters: { devices: { ...devices, max: 3 } },
      setup,
      properties: [],
    })
    const page = markdownOf({}, [...scenarios, other])
    expect(page.filter((line) => line.startsWith("| `devices`"))).toEqual([
      "| `devices` | devices that fault | 0 to 2; 0 to 3 |",
    ])
    const differ = "`list` says which is whose"
    expect([page, markdownOf({})].map((lines) => lines.join("\n").includes(differ))).toEqual([true, false])
  })
})

describe("the page of a comparison", () => {
  const made = comparisonPage(
    {
      comparison: {
        id: "comparison/nasty",
        title: nasty,
        question: nasty,
        source: nasty,
        designs: ["one", "two"],
        rows: Effect.succeed([]),
        conclusion: [nasty],
      },
      rows: [
        {
          point: nasty,
          cells: [
            { outcome: ["`nasty/one/scenario` with `bug`: violated, `P|Q`", nasty], finding: "as `bug` shows" },
            { outcome: ["`other`: holds"] },
          ],
        },
      ],
      runs: [],
      tool: { name: "shootdown", version: "1.2.3" },
    },
    [subject],
  )

  it("leads to the seeded bugs and scenarios that its cells name, where they have a page", () => {
    expect(made.markdown).toContain(
      "[`nasty/one/scenario`](nasty-one.md#scenarios) with [`bug`](nasty-one.md#bug): violated, `P\\|Q`<br>",
    )
    expect(made.markdown).toContain("*as [`bug`](nasty-one.md#bug) shows*")
    expect(made.markdown).toContain("| `other`: holds |")
    expect(made.markdown).toContain("by shootdown 1.2.3.")
    expect(htmlPage(made)).toContain('<a href="nasty-one.html#bug"><code>bug</code></a>')
  })
})

describe("what a page is made of", () => {
  it("groups cells by their objects, and numbers", () => {
    expect(stateKinds(["gpu0.pte0", "gpu0.pte1", "gpu1.pte0", "gpu1.lock.holder", "count"])).toEqual([
      { name: "gpuN", objects: ["gpu0", "gpu1"], fields: ["pteN", "lock.holder"] },
      { name: "count", objects: ["count"], fields: [] },
    ])
  })

  it("says once which fields an object has for each of several names", () => {
    expect(fieldsText(["cpuN.start", "cpuN.end", "gpuN.start", "gpuN.end"])).toBe(
      "`start`, `end` of each of `cpuN`, `gpuN`",
    )
    expect(fieldsText(["cpuN.start", "cpuN.end", "gpuN.start"])).toBe("`cpuN.start`, `cpuN.end`, `gpuN.start`")
    expect(fieldsText(["cpuN", "gpuN"])).toBe("`cpuN`, `gpuN`")
    expect(fieldsText(["lock.holder"])).toBe("`lock.holder`")
    expect(fieldsText([])).toBe("one cell")
  })

  const importing = (what: string, path: string) => `import ${what} from "${path}"\n`
  const steps = (...names: ReadonlyArray<string>) => names.map((name) => `step("${name}", f)\n`).join("")
  const files = [
    { path: "model/a.ts", text: `/** What a is (mm/a.c).\n *\n * More. */\n${steps("one", "both")}` },
    { path: "model/b.ts", text: `/** B. */\n${importing("{ a }", "./a.ts")}${steps("two", "both", "three")}` },
    { path: "model/c.ts", text: steps("one") },
    {
      path: "spec/p.ts",
      text: `${importing("type { C }", "../model/c.ts")}${importing("{\n  b,\n}", "../model/b.ts")}protocol({\n  id: "p" })`,
    },
  ]

  it("finds the files that a protocol's definition imports, but for types", () => {
    expect(filesOf("p", files).map(({ path }) => path)).toEqual(["spec/p.ts", "model/b.ts", "model/a.ts"])
    expect(filesOf("q", files)).toEqual(files)
  })

  const made = (kind: Made["kind"], name: string, ...through: ReadonlyArray<string>): Made => ({ kind, name, through })
  const where = (names: ReadonlyArray<string>, met: ReadonlyArray<Made>, all = files) =>
    sourcesOf(names, met, all).map((source) => [source.kind, source.name, ...source.files.map(({ path }) => path)])

  it("finds where an operation is made that was met, and in which file its name is written", () => {
    const lock = { path: "model/lock.ts", text: "export const lock = (by) => step(by, f)\n" }
    const made2 = {
      path: "model/d.ts",
      text: `${importing("{ lock }", "./lock.ts")}// lock("said")\nlock("handed")\nstep(\`gpu_\${what}\`)\nstep(\`\${what}: end\`)`,
    }
    const others = {
      path: "model/e.ts",
      text: '/** `said` */\nother("handed")\nchoose("one", ["said"])\nstep("said", f)',
    }
    const all = [...files, others, lock, made2]
    const met = [
      made("step", "one", "model/a.ts"),
      made("choice", "one", "model/e.ts"),
      made("step", "two", lock.path, "model/b.ts"),
      made("step", "two: tail", "model/b.ts"),
      made("step", "both", "model/a.ts"),
      made("step", "both", "model/b.ts"),
      made("step", "handed", lock.path),
      made("step", "handed: end", lock.path),
      made("step", "gpu_load", made2.path),
      made("fork", "fork", "model/c.ts", "spec/p.ts"),
    ]
    const names = ["one", "two", "two: tail", "both", "handed", "handed: end", "gpu_load", "fork"]
    expect(where(names, met, all)).toEqual([
      ["step", "one", "model/a.ts"],
      ["choice", "one", "model/e.ts"],
      ["step", "two", "model/b.ts"],
      ["step", "two: tail", "model/b.ts"],
      ["step", "both", "model/a.ts", "model/b.ts"],
      ["step", "handed", made2.path],
      ["step", "handed: end", made2.path],
      ["step", "gpu_load", made2.path],
      ["fork", "fork", "model/c.ts"],
    ])
  })

  it("finds the calls that make an operation that was not met, and no comment or other text", () => {
    const text = [
      '/** `told`, "told" */',
      'const names = ["listed"] // step("told")',
      'choose("page", ["option"])',
      'guardedStep(\n  "waits",',
      'underLock(lockOf(mm), "locked", [mm], f)',
      'other("one")',
    ]
    const all = [...files, { path: "model/f.ts", text: text.join("\n") }]
    expect(where(["told", "listed", "page", "waits", "locked", "locked: rest", "one"], [], all)).toEqual([
      ["step", "told"],
      ["step", "listed"],
      ["choice", "page", "model/f.ts"],
      ["step", "waits", "model/f.ts"],
      ["step", "locked", "model/f.ts"],
      ["step", "locked: rest", "model/f.ts"],
      ["step", "one", "model/a.ts", "model/c.ts"],
    ])
  })

  it("groups steps by the files in which they are made, and says where else", () => {
    const met = ["one", "both", "three", "two"].flatMap((name) =>
      files.flatMap(({ path, text }) =>
        text.includes(`"${name}"`) && path !== "model/c.ts" ? [made("step", name, path)] : [],
      ),
    )
    const sources = sourcesOf(["both", "made: up", "one", "three", "two"], met, filesOf("p", files))
    expect(groupSteps(sources)).toEqual([
      { file: { path: "model/a.ts", says: "What a is (mm/a.c)." }, steps: [{ name: "one", alsoIn: [] }] },
      {
        file: { path: "model/b.ts", says: "B." },
        steps: [
          { name: "both", alsoIn: ["model/a.ts"] },
          { name: "three", alsoIn: [] },
          { name: "two", alsoIn: [] },
        ],
      },
      { steps: [{ name: "made: up", alsoIn: [] }] },
    ])
  })
})
