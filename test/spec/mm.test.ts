/** The memory-management core. `SHOOTDOWN_LONG=1` explores all of the matrix. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { explore, replay, runMoves, type SearchOptions, shrink, strategies } from "../../checker/index.ts"
import { memoryManagement } from "../../spec/mm/index.ts"
import { canMeet, operations } from "../../spec/mm/operations.ts"
import { pairs } from "../../spec/mm/pairs.ts"
import { races } from "../../spec/mm/scenarios/index.ts"

const long = process.env.SHOOTDOWN_LONG !== undefined
const options: SearchOptions = { maxSteps: 10_000, seed: 1 }
const strategy = (name: string) => {
  const found = strategies.find((candidate) => candidate.name === name)
  if (found === undefined) throw new Error(`no strategy ${name}`)
  return found
}
const scenario = (id: string) => {
  const found = memoryManagement.scenarios.find((candidate) => candidate.id === id)
  if (found === undefined) throw new Error(`no scenario ${id}`)
  return found
}
const cellOf = (a: string, b: string) => `mm/pairs/${a}+${b}`

/** A cell for each operation: with itself where it can meet itself. */
const sample = operations.map(({ id }) => {
  const own = pairs.find((cell) => cell.id === cellOf(id, id))
  const cell = own ?? pairs.find((candidate) => candidate.id.includes(id))
  if (cell === undefined) throw new Error(`${id} is in no cell of the matrix`)
  return cell.id
})

describe("the memory-management core", () => {
  it("races every two operations that can meet on a page, each pair once", () => {
    const met = operations.flatMap((a, position) =>
      operations
        .slice(position)
        .filter((b) => canMeet(a, b) && a.pages.some((kind) => b.pages.includes(kind)))
        .map((b) => cellOf(a.id, b.id)),
    )
    expect(pairs.map(({ id }) => id)).toEqual(met)
    expect(new Set(met).size).toBe(met.length)
    expect(met.length).toBeGreaterThan(200)
  })

  it("leaves out only pairs that cannot be", () => {
    const ids = new Set(pairs.map(({ id }) => id))
    const missing = operations.flatMap((a, position) =>
      operations.slice(position).flatMap((b) => (ids.has(cellOf(a.id, b.id)) ? [] : [[a, b] as const])),
    )
    for (const [a, b] of missing) {
      const share = a.pages.some((kind) => b.pages.includes(kind))
      const lastThread = [a, b].some(({ id }) => id === "exit" || id === "child-exit")
      expect(!share || lastThread || (a.id === "fork" && b.id === "fork"), `${a.id} and ${b.id}`).toBe(true)
    }
  })

  it.each(long ? pairs.map(({ id }) => id) : [...new Set(sample)])(
    "holds in %s, every state visited",
    { timeout: 120_000 },
    async (id) => {
      const bound = long ? {} : { devices: 0 }
      const result = await Effect.runPromise(explore(scenario(id).program(bound), strategy("states"), options))
      expect(result.violation).toBeUndefined()
      expect(result.outcome).toBe("holds")
      expect(result.statistics.states).toBeGreaterThan(20)
    },
  )

  it.each(races.map(({ id }) => id))("holds in %s, every state visited", { timeout: 120_000 }, async (id) => {
    const result = await Effect.runPromise(explore(scenario(id).program(), strategy("states"), options))
    expect(result.violation).toBeUndefined()
    expect(result.outcome).toBe("holds")
  })

  it("holds with a device that mirrors the process", { timeout: 60_000 }, async () => {
    for (const id of [cellOf("munmap", "mremap"), cellOf("fork", "migrate"), cellOf("exit", "oom-reap")]) {
      const result = await Effect.runPromise(explore(scenario(id).program(), strategy("states"), options))
      expect(result.outcome, id).toBe("holds")
    }
  })

  it("keeps to the rules of the language of programs, as far as they can be checked", {
    timeout: 120_000,
  }, async () => {
    const program = scenario(cellOf("mprotect", "migrate")).program({ devices: 0 })
    const plain = await Effect.runPromise(explore(program, strategy("states"), options))
    const checked = await Effect.runPromise(explore(program, strategy("states"), { ...options, paranoid: true }))
    expect(checked.violation).toBeUndefined()
    expect(checked.statistics).toEqual(plain.statistics)
    expect(checked.exercised).toEqual(plain.exercised)
  })

  it("gives each property a sentence and a source", () => {
    for (const { id, statement, source } of memoryManagement.scenarios.flatMap(({ properties }) => properties)) {
      expect(statement, id).toMatch(/^\w.* .*\.$/)
      expect(source, id).not.toBe("")
    }
  })

  it("states the invariants of the reference", () => {
    const ids = new Set(memoryManagement.scenarios.flatMap(({ properties }) => properties.map(({ id }) => id)))
    const wanted = `COW-AE-SINGLE COW-WRITABLE-AE COW-PIN-AE COW-PIN-STAYS COW-NO-LEAK COW-OLD-RMAP-LAST
      COW-CONTENT-BEFORE-MAP COW-ZERO-RO COW-NO-REPLACE-UNSEEN COW-UPGRADE-SAME REF-GE-MAP FREE-IFF-ZERO
      FORK-NO-W-SHARED FORK-PIN-COPIED FORK-GUPFAST GUP-UNMAP-DEKKER GUP-LT-POLICY GUP-LT-FILE GUP-FAIL-CLEAN
      GUP-HASPINNED-FIRST ZAP-IN-WINDOW ZAP-TLB-BEFORE-FREE ZAP-DIRTY-KEPT PROT-LAZY-WINDOW PROT-PRIV-RO MOVE-OLD-ONLY
      MOVE-ATOMIC RECLAIM-FREEZE RECLAIM-SWAP-AE MIG-EXACT-REF MIG-SPECULATIVE-HARMLESS MIG-ENTRY-LOCKED MIG-RESTORE
      OOM-UNSTABLE OOM-NONBLOCK EXIT-RSS-ZERO EXIT-NO-DPTE RSS-BALANCE MEMCG-BALANCE
      TRUNC-NO-MAP TRUNC-NO-CACHE`.split(/\s+/)
    expect(wanted.filter((id) => !ids.has(id))).toEqual([])
  })

  describe.each(memoryManagement.bugs.map((bug) => [bug.id, bug] as const))("with %s", (_, bug) => {
    it("breaks what it is meant to break, by the default strategy, and replays", { timeout: 60_000 }, async () => {
      const entry = scenario(bug.scenario)
      const program = entry.program(bug.bound, bug.id)
      const result = await Effect.runPromise(explore(program, strategy("states"), { ...options, target: bug.breaks }))
      expect(result.violation?.property).toBe(bug.breaks)
      const shrunk = shrink(entry, program, bug.breaks, result.moves ?? [], result.cycle)
      const { cycle } = shrunk
      const run = runMoves(shrunk.program, shrunk.moves, cycle)
      expect(run.violations.map(({ property }) => property)).toContain(bug.breaks)
      const schedule = run.steps.map(({ fiber, label, choice }) =>
        choice === undefined ? { fiber, label } : { fiber, label, choice },
      )
      const file = { schedule, property: bug.breaks, ...(cycle === undefined ? {} : { cycle }) }
      expect(replay(shrunk.program, file).kind).toBe("reproduced")
      expect(replay(entry.program(shrunk.program.bound), file).kind).not.toBe("reproduced")
    })
  })
})
