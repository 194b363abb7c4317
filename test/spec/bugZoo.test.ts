/** The bug zoo: each of its entries is a seeded bug, and each reference to it names an entry. */
import { describe, expect, it } from "vitest"
import { bugZoo, zooKey } from "../../spec/bugZoo.ts"
import { registry } from "../../spec/registry.ts"

const bugs = registry.flatMap(({ bugs }) => bugs)
const bugsOf = (key: number | string) => bugs.filter(({ references }) => references?.includes(zooKey(key)))

describe("the bug zoo", () => {
  it("has 70 bugs of Linux and 8 that only rules forbid, each once", () => {
    const keys = bugZoo.map(([key]) => key)
    expect(new Set(keys).size).toBe(keys.length)
    expect(new Set(bugZoo.map(([, id]) => id)).size).toBe(70 + 1)
    expect(keys.filter((key) => typeof key === "number")).toHaveLength(70)
    expect(bugZoo.filter(([, id]) => id === "synthetic")).toHaveLength(8)
  })

  it("says of each bug by what else it is known: a commit, a CVE, or where it was posted", () => {
    for (const [key, id, title, ...known] of bugZoo) {
      expect(title, id).toMatch(/^\w.* .*[^.]$/)
      if (id === "synthetic") continue
      expect(known, id).not.toEqual([])
      for (const name of known)
        expect(name, `${key}`).toMatch(/^commit [0-9a-f]{12}$|^CVE-\d{4}-\d+$|^(stable|linux-mm)/)
    }
  })

  it("has a seeded bug for each entry", () => {
    expect(bugZoo.filter(([key]) => bugsOf(key).length === 0).map(([key, id]) => `${key} ${id}`)).toEqual([])
  })

  it("is referred to by its entries only, with all by which an entry is known", () => {
    const entries = new Map(bugZoo.map(([key, , , ...known]) => [zooKey(key), known]))
    for (const { id, references = [] } of bugs) {
      const known = references
        .filter((name) => name.startsWith("zoo "))
        .flatMap((name) => entries.get(name) ?? [`no ${name}`])
      expect(references, id).toEqual(expect.arrayContaining(known))
    }
  })
})
