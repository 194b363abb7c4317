/**
 * The counterexamples of the bug zoo are as simple as can be: shrinking one changes nothing, and without one of the fibers
 * that are there, those that are forked on the way included, there is none. Of those who act `SHOOTDOWN_LONG=1` asks the
 * second of all counterexamples, and the first of those beyond the zoo.
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

const saved = async (protocol: Protocol, { id, scenario }: BugEntry) => {
  const file = await recordOf(id)
  const entry = scenariosIn([protocol])(scenario)
  const program = entry.program(file.bound, id)
  const replayed = replay(program, file)
  if (replayed.kind !== "reproduced") throw new Error(`${id} is ${replayed.kind}`)
  return { file, entry, program, replayed }
}

type Saved = Awaited<ReturnType<typeof saved>>

/** Who is there in a run, whether it takes a step or not, but `init`, which only starts the others. */
const fibersIn = ({ file, program, replayed }: Saved) => {
  const names = new Set<string>()
  const noted = (name: string) => {
    if (name !== "init") names.add(name)
  }
  const start = () => {
    const instance = program.start()
    for (const { name } of instance.fibers) noted(name)
    return {
      ...instance,
      forked: (...[name, effect]: Parameters<typeof instance.forked>) => {
        noted(name)
        return instance.forked(name, effect)
      },
    }
  }
  runMoves({ ...program, start }, replayed.moves, file.cycle)
  return names
}

/** Whether the bug cannot break what it breaks without the fiber; or whether everything breaks there, bug or no bug. */
const needs = async ({ file, entry, program }: Saved, bug: BugEntry, fiber: string) => {
  const { outcome } = await explored(withoutFiber(program, fiber), { target: bug.breaks })
  if (outcome === "holds") return true
  // One for whom others wait, bug or no bug, is needed for another reason.
  const correct = await explored(withoutFiber(entry.program(file.bound), fiber), { target: bug.breaks })
  return correct.violation?.property === bug.breaks
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
  it.each(zoo)("needs whoever takes no step in %s", async (_, protocol, bug) => {
    const counterexample = await saved(protocol, bug)
    const acting = new Set(counterexample.replayed.steps.map(({ fiber }) => fiber))
    const present = [...fibersIn(counterexample)]
    expect(present.filter((fiber) => acting.has(fiber))).not.toEqual([])
    for (const fiber of present.filter((fiber) => !acting.has(fiber)))
      expect(await needs(counterexample, bug, fiber), fiber).toBe(true)
  })

  it.each(long ? zoo : inSample)("needs all who act in %s", async (_, protocol, bug) => {
    const counterexample = await saved(protocol, bug)
    const acting = new Set(counterexample.replayed.steps.map(({ fiber }) => fiber).filter((fiber) => fiber !== "init"))
    expect(acting.size).toBeGreaterThan(0)
    for (const fiber of acting) expect(await needs(counterexample, bug, fiber), fiber).toBe(true)
  })
})
