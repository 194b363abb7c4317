/** The memory-management core. `SHOOTDOWN_LONG=1` explores all of the matrix and hunts all seeded bugs. */
import { describe, expect, it } from "vitest"
import { runMoves, shrink } from "../../checker/index.ts"
import { memoryManagement } from "../../spec/mm/index.ts"
import { canMeet, operations } from "../../spec/mm/operations.ts"
import { pairs } from "../../spec/mm/pairs.ts"
import { races } from "../../spec/mm/scenarios/index.ts"
import { long } from "../long.ts"
import { bugIn, expectSourced, explored, holds, missingFrom, scenariosIn, statedIn } from "./support.ts"

const scenario = scenariosIn([memoryManagement])
const cellOf = (a: string, b: string) => `mm/pairs/${a}+${b}`

/** A cell for each operation: with itself where it can meet itself. */
const sample = operations.map(({ id }) => {
  const own = pairs.find((cell) => cell.id === cellOf(id, id))
  const cell = own ?? pairs.find((candidate) => candidate.id.slice("mm/pairs/".length).split("+").includes(id))
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
    expect(met.length).toBe(324)
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

  it.each(long ? pairs.map(({ id }) => id) : [...new Set(sample)])("holds in %s, every state visited", async (id) => {
    const bound = long ? {} : { devices: 0 }
    const result = await holds(scenario(id).program(bound))
    expect(result.statistics.states).toBeGreaterThan(20)
  })

  // So does `npm run check`.
  it.skipIf(!long).each(races.map(({ id }) => id))("holds in %s, every state visited", async (id) => {
    await holds(scenario(id).program())
  })

  it("holds with a device that mirrors the process", async () => {
    await holds(scenario(cellOf("munmap", "mremap")).program())
  })

  it("keeps to the rules of the language of programs, as far as they can be checked", async () => {
    const program = scenario(cellOf("mprotect", "migrate")).program({ devices: 0 })
    const plain = await explored(program)
    const checked = await explored(program, { paranoid: true })
    expect(checked.violation).toBeUndefined()
    expect(checked.statistics).toEqual(plain.statistics)
    expect(checked.exercised).toEqual(plain.exercised)
    expect(checked.steps).toEqual(plain.steps)
  })

  it("gives each property a sentence and a source", () => {
    expectSourced(memoryManagement)
  })

  it("states the invariants of the protocol", () => {
    const wanted = `COW-AE-SINGLE COW-WRITABLE-AE COW-PIN-AE COW-PIN-STAYS COW-NO-LEAK COW-OLD-RMAP-LAST
      COW-CONTENT-BEFORE-MAP COW-ZERO-RO COW-NO-REPLACE-UNSEEN COW-UPGRADE-SAME REF-GE-MAP FREE-IFF-ZERO
      FORK-NO-W-SHARED FORK-PIN-COPIED FORK-GUPFAST GUP-UNMAP-DEKKER GUP-LT-POLICY GUP-LT-FILE GUP-FAIL-CLEAN
      GUP-HASPINNED-FIRST ZAP-IN-WINDOW ZAP-TLB-BEFORE-FREE ZAP-DIRTY-KEPT PROT-LAZY-WINDOW PROT-PRIV-RO MOVE-OLD-ONLY
      MOVE-ATOMIC RECLAIM-FREEZE RECLAIM-SWAP-AE MIG-EXACT-REF MIG-SPECULATIVE-HARMLESS MIG-ENTRY-LOCKED MIG-RESTORE
      OOM-UNSTABLE OOM-NONBLOCK EXIT-RSS-ZERO EXIT-NO-DPTE RSS-BALANCE MEMCG-BALANCE
      TRUNC-NO-MAP TRUNC-NO-CACHE`.split(/\s+/)
    expect(missingFrom(statedIn(memoryManagement), wanted)).toEqual([])
  })

  /** What is found of a seeded bug, shrunk. */
  const hunt = async ({ scenario: id, bound, breaks, ...bug }: (typeof memoryManagement.bugs)[number]) => {
    const entry = scenario(id)
    const program = entry.program(bound, bug.id)
    const result = await explored(program, { target: breaks })
    expect(result.violation?.property).toBe(breaks)
    return { seconds: result.seconds, ...shrink(entry, program, breaks, result.moves ?? [], result.cycle) }
  }

  it.each([
    // CVE-2016-5195
    [
      "dirty-cow",
      "follow_page_pte(parent, 0, get write)",
      "wp_page_copy: set_pte_at(parent, 0)",
      "MADV_DONTNEED(parent, 0, 1)",
      "zap_pte_range(parent, 0)",
      "follow_page_pte(parent, 0, get read)",
      "__access_remote_vm: copy_to_user_page(0, ptrace0)",
    ],
    // CVE-2018-18281
    [
      "mremap-flush-after-dst-unlock",
      "move_ptes(parent, 0, 1)",
      "pte_unmap_unlock(parent, 0, 1)",
      "zap_pte_range(parent, 1)",
      "truncate_inode_folio(0)",
    ],
    // CVE-2020-29374
    [
      "cow-breaks-either-way",
      "follow_page_pte(child, 0, get read)",
      "zap_pte_range(child, 0)",
      "do_wp_page(parent, 0)",
      "user_store(parent, 0, cpu1)",
    ],
    [
      "gup-fast-vs-fork",
      "copy_page_range(parent, 0, 1)",
      "gup_fast: local_irq_save(parent)",
      "gup_fast_pte_range: try_grab_folio_fast(0)",
      "gup_fast: read_seqcount_retry(parent, 0, 0)",
      "copy_present_ptes: ptep_set_wrprotect(parent, 0)",
      "do_wp_page(parent, 0)",
      "wp_page_copy: ptep_clear_flush(parent, 0)",
    ],
  ])("finds %s within ten seconds, as a kernel developer tells it", async (id, ...told) => {
    const { seconds, program, moves } = await hunt(bugIn(memoryManagement, id))
    expect(seconds).toBeLessThan(10)
    const labels = runMoves(program, moves).steps.map(({ label }) => label)
    let from = 0
    for (const label of told) {
      const at = labels.indexOf(label, from)
      expect(at, `${label} in\n${labels.join("\n")}`).toBeGreaterThanOrEqual(0)
      from = at + 1
    }
  })

  // So does `npm run check`.
  it.runIf(long).each(memoryManagement.bugs.map((bug) => [bug.id, bug] as const))(
    "finds %s by the default strategy, and shrinks it",
    async (_, bug) => {
      const { program, moves, cycle } = await hunt(bug)
      const { violations } = runMoves(program, moves, cycle)
      expect(violations.map(({ property }) => property)).toContain(bug.breaks)
    },
  )
})
