/**
 * The counterexamples of the bug zoo are as simple as can be: shrinking one changes nothing, and without one of those who
 * act in it there is none. `SHOOTDOWN_LONG=1` asks the second of all of them, and the first of every saved counterexample.
 */
import { describe, expect, it } from "vitest"
import { type BugEntry, type Protocol, replay, runMoves, shrink, withoutFiber } from "../../checker/index.ts"
import { zooKey } from "../../spec/bugZoo.ts"
import { registry } from "../../spec/registry.ts"
import { long } from "../long.ts"
import { explored, recordOf, scenariosIn } from "./support.ts"

const isOfZoo = ({ references = [] }: BugEntry) => references.some((name) => name.startsWith(zooKey("")))
const all = registry.flatMap((protocol) => protocol.bugs.map((bug) => [bug.id, protocol, bug] as const))
const zoo = all.filter(([, , bug]) => isOfZoo(bug))
/** What takes half a minute to shrink, for its scenario is large. */
const slow = ["userptr-callback-lock-inversion"]
const quick = zoo.filter(([id]) => !slow.includes(id))
const sample = `interval-remove-unlocked-seq memslot-changes-between-start-and-end
  unshare-drops-walked-table setlease-vs-open`.split(/\s+/)
const inSample = all.filter(([id]) => sample.includes(id))

/** Who only ends: what breaks is asked when all have. */
const onlyEnds = new Set(["grant-path-leaks-inode-lock without client0-cb"])

const saved = async (protocol: Protocol, { id, scenario }: BugEntry) => {
  const file = await recordOf(id)
  const entry = scenariosIn([protocol])(scenario)
  const program = entry.program(file.bound, id)
  const replayed = replay(program, file)
  if (replayed.kind !== "reproduced") throw new Error(`${id} is ${replayed.kind}`)
  return { file, entry, program, replayed }
}

describe("shrinking", () => {
  it.each(long ? all : quick)("leaves %s as it is", async (_, protocol, bug) => {
    const { file, entry, program, replayed } = await saved(protocol, bug)
    const shrunk = shrink(entry, program, bug.breaks, replayed.moves, file.cycle)
    expect(shrunk.program.bound).toEqual(file.bound)
    expect(shrunk.cycle).toEqual(file.cycle)
    expect(shrunk.preemptions).toBe(replayed.preemptions)
    expect(runMoves(shrunk.program, shrunk.moves, shrunk.cycle).steps).toEqual(replayed.steps)
  })
})

describe("a counterexample of the bug zoo", () => {
  it.each(long ? zoo : inSample)("needs all who act in %s", async (id, protocol, bug) => {
    const { file, entry, program, replayed } = await saved(protocol, bug)
    // `init` only starts the others.
    const acting = new Set(replayed.steps.map(({ fiber }) => fiber).filter((fiber) => fiber !== "init"))
    expect(acting.size).toBeGreaterThan(0)
    for (const fiber of acting) {
      if (onlyEnds.has(`${id} without ${fiber}`)) continue
      const { outcome } = await explored(withoutFiber(program, fiber), { target: bug.breaks })
      if (outcome === "holds") continue
      // One for whom others wait, bug or no bug, is needed for another reason.
      const correct = await explored(withoutFiber(entry.program(file.bound), fiber), { target: bug.breaks })
      expect(correct.violation?.property, `${id} without ${fiber}`).toBe(bug.breaks)
    }
  })
})
