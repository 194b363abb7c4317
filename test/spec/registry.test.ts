/** What the command line knows: each thing once, and for each seeded bug a counterexample that replays. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { replay } from "../../checker/index.ts"
import { registry } from "../../spec/registry.ts"
import { repository } from "../cli/run.ts"
import { recordOf, scenariosIn } from "./support.ts"

const repeated = (ids: ReadonlyArray<string>) => ids.filter((id, position) => ids.indexOf(id) !== position)

const readme = readFileSync(join(repository, "README.md"), "utf8")

describe("the registry", () => {
  it("has every protocol, scenario and seeded bug once", () => {
    expect(repeated(registry.map(({ id }) => id))).toEqual([])
    expect(repeated(registry.flatMap(({ scenarios }) => scenarios.map(({ id }) => id)))).toEqual([])
    expect(repeated(registry.flatMap(({ bugs }) => bugs.map(({ id }) => id)))).toEqual([])
  })

  it("says of every property and seeded bug where it is known from", () => {
    const said = registry.flatMap(({ scenarios, bugs }) => [
      ...scenarios.flatMap(({ properties }) => properties.flatMap(({ statement, source }) => [statement, source])),
      ...bugs.flatMap(({ title, source }) => [title, source]),
    ])
    expect(said.filter((text) => text.trim() === "")).toEqual([])
    const numbersOfNoList = /\b(mutants?|seed|zoo|row|section) \d|\bof the reference\b|\bthe reference's\b/
    expect(said.filter((text) => numbersOfNoList.test(text))).toEqual([])
  })

  it("says of every protocol what it is for, and what its model leaves out", () => {
    for (const { id, about } of registry) {
      expect(about?.purpose, id).toMatch(/^\S.{80,}\.$/)
      expect(about?.notModelled.length, id).toBeGreaterThan(0)
      for (const said of about?.notModelled ?? []) expect(said, id).toMatch(/^\S.*\.$/)
    }
  })

  it("is what the README's table says, with as many scenarios in each row", () => {
    const [, table = ""] = /^## What is modelled\n+\| \| \|\n\| --- \| --- \|\n((?:\|.*\n)+)/m.exec(readme) ?? []
    const rows = [...table.matchAll(/^\| (.*?) \|(.*)\|$/gm)].map(([, names = "", text = ""]) => ({
      names,
      // `mm/pairs/A+B` and `mm/races/...` stand for all that begins so.
      beginnings: [...names.matchAll(/`([^`]*?)(?:\/A\+B|\/\.\.\.)?`/g)].map(([, name]) => `${name}/`),
      said: [...(/((?:\d+(?: and )?)+) scenarios?\b/.exec(text)?.[1] ?? "").matchAll(/\d+/g)].map(Number),
    }))
    const ids = registry.flatMap(({ scenarios }) => scenarios.map(({ id }) => id))
    for (const { names, beginnings, said } of rows) {
      const counts = beginnings.map((beginning) => ids.filter((id) => id.startsWith(beginning)).length)
      const sum = counts.reduce((all, count) => all + count, 0)
      expect(said, names).toEqual(said.length === 1 ? [sum] : counts)
    }
    const beginnings = rows.flatMap((row) => row.beginnings)
    expect(ids.filter((id) => beginnings.filter((beginning) => id.startsWith(beginning)).length !== 1)).toEqual([])
  })

  it("has a counterexample saved for each seeded bug, and nothing else", () => {
    const saved = readdirSync(join(repository, "counterexamples")).map((file) => file.replace(/\.json$/, ""))
    expect(saved.sort()).toEqual(registry.flatMap(({ bugs }) => bugs.map(({ id }) => id)).sort())
  })

  it.each(registry.filter(({ bugs }) => bugs.length > 0))(
    "has $id break as recorded, and not without the bug",
    async (protocol) => {
      for (const { id, scenario, breaks } of protocol.bugs) {
        const saved = await recordOf(id)
        expect(saved, id).toMatchObject({ scenario, mutant: id, property: breaks })
        const { program } = scenariosIn([protocol])(scenario)
        const replayed = replay(program(saved.bound, id), saved)
        expect(replayed, id).toMatchObject({ kind: "reproduced", brokenAfter: undefined })
        expect(replay(program(saved.bound), saved).kind, id).not.toBe("reproduced")
      }
    },
  )
})
