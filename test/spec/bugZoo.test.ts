/** The bug zoo: each of its entries is a seeded bug, and each reference to it names an entry. */
import { describe, expect, it } from "vitest"
import { bugZoo, zooKey } from "../../spec/bugZoo.ts"
import { registry } from "../../spec/registry.ts"
import { interleavings } from "./bugZooInterleavings.ts"
import { interleavingsFrom52 } from "./bugZooInterleavingsFrom52.ts"
import { recordOf } from "./support.ts"

const bugs = registry.flatMap(({ bugs }) => bugs)
const bugsOf = (key: number | string) => bugs.filter(({ references }) => references?.includes(zooKey(key)))

describe("the bug zoo", () => {
  it("has 70 bugs of Linux and 8 that only rules forbid, each once", () => {
    const keys = bugZoo.map(([key]) => key)
    expect(new Set(keys).size).toBe(keys.length)
    expect(new Set(bugZoo.map(([, id]) => id)).size).toBe(70 + 8)
    expect(keys.filter((key) => typeof key === "number")).toHaveLength(70)
    expect(keys.filter((key) => typeof key === "string")).toHaveLength(8)
  })

  it("says of each bug by what else it is known: a commit, a CVE, or where it was posted", () => {
    for (const [key, id, title, ...known] of bugZoo) {
      expect(title, id).toMatch(/^\w.* .*[^.]$/)
      if (typeof key === "string") continue
      expect(known, id).not.toEqual([])
      for (const name of known)
        expect(name, `${key}`).toMatch(/^commit [0-9a-f]{12}$|^CVE-\d{4}-\d+$|^(stable|linux-mm)/)
    }
  })

  it("has a seeded bug of its id for each entry", () => {
    const missing = bugZoo.filter(([key, id]) => !bugsOf(key).some((bug) => bug.id === id))
    expect(missing.map(([key, id]) => `${key} ${id}`)).toEqual([])
  })

  it("is referred to by its entries only, with all by which an entry is known", () => {
    const entries = new Map(bugZoo.map(([key, , , ...known]) => [zooKey(key), known]))
    for (const { id, references = [] } of bugs) {
      const known = references
        .filter((name) => name.startsWith(zooKey("")))
        .flatMap((name) => entries.get(name) ?? [`no ${name}`])
      expect(references, id).toEqual(expect.arrayContaining(known))
    }
  })
})

/** An entry's interleaving, as its text says. */
interface Interleaving {
  readonly rank: number
  readonly bug: string
  /** The fibers by what the text calls them: the entry's actors, and those that are there besides. */
  readonly fibers: ReadonlyMap<string, string>
  readonly steps: ReadonlyArray<{ readonly number: number; readonly by: string; readonly label: string }>
  readonly differs: boolean
}

const parse = (paragraph: string): Interleaving => {
  const [head = "", ...lines] = paragraph.trim().split("\n")
  const [, rank, bug = "", cast = ""] = /^(\d+) ([\w-]+): (.*)$/.exec(head) ?? []
  const fibers = new Map(
    cast.split(/, (?![^(]*\))/).flatMap((part): ReadonlyArray<[string, string]> => {
      const [name = "", fiber] = part.split(" = ")
      if (fiber === undefined) return [[name.replace(/ \(.*\)$/, ""), name.replace(/ \(.*\)$/, "")]]
      return fiber.startsWith("(") ? [] : [[name, fiber]]
    }),
  )
  const names = [...fibers.keys()].sort((a, b) => b.length - a.length)
  const steps = lines
    .filter((line) => !line.startsWith("~"))
    .map((line) => {
      const [, number, rest = ""] = /^(\d) (.*)$/.exec(line) ?? []
      const by = names.find((name) => rest.startsWith(`${name} `))
      if (by === undefined) throw new Error(`${bug}: nobody takes "${line}"`)
      return { number: Number(number), by, label: rest.slice(by.length + 1) }
    })
  return { rank: Number(rank), bug, fibers, steps, differs: lines.some((line) => line.startsWith("~")) }
}

const told = `${interleavings}${interleavingsFrom52}`.trim().split(/\n\n+/).map(parse)

describe("the bad interleavings of the bug zoo", () => {
  it("are told of each bug of Linux", () => {
    const ranks = new Set(told.map(({ rank }) => rank))
    expect(bugZoo.filter(([key]) => typeof key === "number" && !ranks.has(key)).map(([key]) => key)).toEqual([])
    for (const { rank, bug } of told)
      expect(
        bugsOf(rank).map(({ id }) => id),
        bug,
      ).toContain(bug)
  })

  it.each(told.map((each) => [each.bug, each] as const))("are the saved counterexample of %s", async (bug, each) => {
    const { schedule } = await recordOf(bug)
    const acting = new Set(schedule.map(({ fiber }) => fiber).filter((fiber) => fiber !== "init"))
    expect([...acting].sort()).toEqual([...each.fibers.values()].sort())
    let from = 0
    for (const { by, label } of each.steps) {
      const at = schedule.findIndex(
        (step, position) => position >= from && step.fiber === each.fibers.get(by) && step.label.startsWith(label),
      )
      expect(at, `${by} ${label}`).toBeGreaterThanOrEqual(0)
      from = at + 1
    }
    const numbers = each.steps.map(({ number }) => number)
    const ascending = numbers.every((number, position) => position === 0 || number >= (numbers[position - 1] ?? 0))
    expect(ascending || each.differs, `the steps come in the order ${numbers.join(" ")}, and nothing says why`).toBe(
      true,
    )
  })
})
