/** On random programs, races of states and races of executions are found in the same programs, for the same cells. */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type Cell, cell, dataCell, dataRaces, fork, guardedStep, interrupt, join, step } from "../../checker/index.ts"
import { mutex, mutexLock, mutexUnlock, underMutex } from "../../model/sync/mutex.ts"
import { programOf, run, survey, unconfirmed } from "../checker/support.ts"
import { long } from "../long.ts"

/** `SHOOTDOWN_LONG=1 npx vitest run test/model/randomRaces.test.ts` compares many more programs. */
const wanted = long ? 20_000 : 20

/** Programs of more schedules than this are passed over. */
const schedules = long ? 400 : 100

const data = ["x", "y"] as const
const names = [...data, "s", "t"] as const
type Name = (typeof names)[number]

/** An access of a step. The ones behind a read of an odd number may be left out: `stops`. */
interface Access {
  readonly name: Name
  readonly writes: boolean
  readonly stops: boolean
}

type Instruction =
  | { readonly op: "step" | "under"; readonly accesses: ReadonlyArray<Access> }
  | { readonly op: "await"; readonly name: "s" | "t"; readonly accesses: ReadonlyArray<Access> }
  | { readonly op: "fork" | "join" | "interrupt" | "lock" | "unlock" }

interface Source {
  readonly fibers: ReadonlyArray<ReadonlyArray<Instruction>>
  readonly child: ReadonlyArray<Instruction>
}

const access: fc.Arbitrary<Access> = fc.record({
  name: fc.constantFrom(...names),
  writes: fc.boolean(),
  stops: fc.boolean(),
})
const accesses = fc.array(access, { minLength: 1, maxLength: 3 })
const local: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ op: fc.constant("step" as const), accesses }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("under" as const), accesses }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("await" as const), name: fc.constantFrom("s", "t"), accesses }) },
)
const any: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 5, arbitrary: local },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom("fork", "join", "interrupt", "lock", "unlock") }) },
)
const source: fc.Arbitrary<Source> = fc.record({
  fibers: fc.array(fc.array(any, { minLength: 1, maxLength: long ? 4 : 3 }), { minLength: 2, maxLength: 3 }),
  child: fc.array(local, { minLength: 1, maxLength: 2 }),
})

const programFor = ({ fibers, child }: Source) =>
  programOf(() => {
    const cells: Record<Name, Cell<number>> = {
      x: dataCell("x", 0),
      y: dataCell("y", 0),
      s: cell("s", 0),
      t: cell("t", 0),
    }
    const lock = mutex("lock")
    const perform = (list: ReadonlyArray<Access>) => () => {
      for (const { name, writes, stops } of list) {
        const { value } = cells[name]
        if (stops && value % 2 === 1) return
        if (writes) cells[name].value = value + 1
      }
    }
    const run = (instructions: ReadonlyArray<Instruction>, prefix: string): Effect.Effect<void> =>
      Effect.gen(function* () {
        for (const [position, instruction] of instructions.entries()) {
          const name = `${prefix}${position}`
          switch (instruction.op) {
            case "step":
              yield* step(name, perform(instruction.accesses))
              break
            case "under":
              yield* underMutex(lock, name, [], perform(instruction.accesses))
              break
            case "await":
              yield* guardedStep(name, () => cells[instruction.name].value > 0, perform(instruction.accesses))
              break
            case "fork":
              yield* fork(`child${prefix}`, run(child, `${name}.`))
              break
            case "join":
              yield* join({ fiber: "childf0." })
              break
            case "interrupt":
              yield* interrupt({ fiber: "childf0." })
              break
            case "lock":
              yield* mutexLock(lock)
              break
            case "unlock":
              yield* mutexUnlock(lock)
              break
          }
        }
      })
    return { world: {}, fibers: Object.fromEntries(fibers.map((each, i) => [`fiber${i}`, run(each, `f${i}.`)])) }
  }, [dataRaces("test")])

const counts = { compared: 0, racy: 0, ordered: 0, forked: 0 }

const compare = async (program: Source): Promise<void> => {
  const every = await survey(programFor(program), "dfs", { executions: schedules })
  if (every.result.outcome === "inconclusive") return
  counts.compared++
  const racing = (how: string) => {
    const pattern = new RegExp(`^data-races: (\\w) is data, and nothing orders ${how}`)
    return new Set([...every.violations].flatMap((text) => pattern.exec(text)?.[1] ?? []))
  }
  const byState = racing("who comes next")
  const byClocks = racing("two accesses")
  expect(byClocks.size > 0).toBe(byState.size > 0)

  const states = await survey(programFor(program), "states")
  expect(states.broken.has("data-races")).toBe(byClocks.size > 0)
  for (const strategy of ["optimal", "bounded"]) {
    const found = await survey(programFor(program), strategy)
    expect(found.broken.has("data-races"), strategy).toBe(byClocks.size > 0)
    expect(found.finals, strategy).toEqual(every.finals)
  }
  const aimed = await run(programFor(program), "states", { target: "data-races" })
  expect(aimed.outcome).toBe(byClocks.size > 0 ? "violated" : "holds")
  if (aimed.outcome === "violated") expect(unconfirmed(programFor(program), aimed)).toBeUndefined()
  const sampled = await run(programFor(program), "random", { target: "data-races", executions: 20 })
  if (byClocks.size === 0) expect(sampled.violation).toBeUndefined()

  if (byClocks.size > 0) counts.racy++
  else counts.ordered++
  if (program.fibers[0]?.some(({ op }) => op === "fork")) counts.forked++
}

describe("random programs", () => {
  it("race by state where they race by vector clocks", async () => {
    for (let seed = 1; counts.compared < wanted; seed++) {
      await fc.assert(fc.asyncProperty(source, compare), { numRuns: long ? 1_000 : 6, seed })
    }
    for (const [what, count] of Object.entries(counts)) expect(count, what).toBeGreaterThan(wanted / 20)
  })
})
