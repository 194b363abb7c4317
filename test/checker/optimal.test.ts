/**
 * Strategy `optimal`: exactly the published numbers of executions and none cut off, in every order of the fibers; and
 * whatever all schedules show, for programs and properties made to be lost by a reduction.
 * SHOOTDOWN_LONG=1 counts the large programs and compares many more random ones.
 */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import seedrandom from "seedrandom"
import { describe, expect, it } from "vitest"
import { families, type Published, publishedProgram } from "../../checker/bench/programs/index.ts"
import { litmus, type Threads } from "../../checker/bench/programs/threads.ts"
import {
  actionInvariant,
  type Cell,
  cell,
  dataCell,
  dataRaces,
  fork,
  guardedStep,
  interrupt,
  join,
  type Property,
  step,
} from "../../checker/index.ts"
import { long } from "../long.ts"
import { guardedProgram, interpretGuarded } from "./guardedPrograms.ts"
import { programOf, run, survey } from "./support.ts"

/** More executions than these are counted in the long tests only; `npm run check -- bench` counts them too. */
const fewExecutions = 200

/** The same threads in another order. */
const shuffled = ({ fibers, ...threads }: Threads, seed: number): Threads => ({
  ...threads,
  fibers: (memory) => {
    const random = seedrandom.alea(String(seed))
    return fibers(memory)
      .map((fiber) => ({ fiber, at: random() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ fiber }) => fiber)
  },
})

describe.each(families)("$title: one execution of each class", ({ programs }) => {
  for (const { complete, name, stuck = 0, threads } of programs) {
    it.skipIf(!long && complete + stuck > fewExecutions)(name, async () => {
      for (const seed of [0, 1, 2, 3]) {
        const ordered = seed === 0 ? threads : shuffled(threads, seed)
        const found = await survey(publishedProgram({ name, threads: ordered }), "optimal", {
          executions: complete + stuck + 1,
        })
        expect(found.result.outcome).toBe("holds")
        expect(found.ends - found.deadlockedEnds, "complete").toBe(complete)
        expect(found.deadlockedEnds, "stuck").toBe(stuck)
        expect(found.result.statistics.executions).toBe(complete + stuck)
        expect(found.result.statistics.blocked, "blocked").toBe(0)
      }
    })
  }
})

it.each([
  ["readers", (n: number) => litmus("Wx", ...Array.from({ length: n }, () => "Rx")), (n: number) => 2 ** n],
  ["adders", (n: number) => litmus(...Array.from({ length: n }, () => "Ix")), (n: number) => [1, 1, 2, 6, 24, 120][n]],
] satisfies ReadonlyArray<[string, (n: number) => Threads, (n: number) => number | undefined]>)(
  "%s of every number count by their closed form",
  async (name, threads, expected) => {
    for (let n = 1; n <= 5; n++) {
      const { result } = await survey(publishedProgram({ name, threads: threads(n) }), "optimal")
      expect(result.statistics.executions).toBe(expected(n))
    }
  },
)

describe("what an invariant sees between two steps that touch nothing in common", () => {
  interface Two {
    readonly x: Cell<number>
    readonly y: Cell<number>
  }
  const setup = () => {
    const world = { x: cell("x", 0), y: cell("y", 0), z: cell("z", 0) }
    const write = (at: Cell<number>) =>
      step(`W${at.name}`, () => {
        at.value = 1
      })
    return { world, fibers: { a: write(world.x), b: write(world.y), c: write(world.z) } }
  }
  const never = (id: string, holds: (world: Two) => boolean): Property<Two> => ({
    kind: "invariant",
    id,
    statement: "It is never so.",
    source: "test",
    holds,
    explain: () => "it is so",
  })
  const rows: ReadonlyArray<[string, Property<Two>]> = [
    ["x before y", never("xFirst", ({ x, y }) => !(x.value === 1 && y.value === 0))],
    ["y before x", never("yFirst", ({ x, y }) => !(y.value === 1 && x.value === 0))],
    ["y before x, read in the other order", never("yFirst", ({ x, y }) => x.value !== 0 || y.value !== 1)],
    ["a cell that is read once another has changed", never("later", ({ x, y }) => y.value === 0 || x.value === 1)],
    [
      "a change of one while the other is as it was",
      actionInvariant<Two, ReadonlyArray<number>>({
        id: "together",
        statement: "y changes after x.",
        source: "test",
        observe: ({ x, y }) => [x.value, y.value],
        premise: (before, after) => before[1] !== after[1],
        holds: (before, after) => before[1] === after[1] || before[0] === 1,
        explain: () => "it did not",
      }),
    ],
    [
      "a promise made there",
      {
        kind: "leadsTo",
        id: "promised",
        statement: "y before x leads to z that is 2.",
        source: "test",
        from: ({ x, y }) => y.value === 1 && x.value === 0,
        to: () => false,
      },
    ],
  ]
  it.each(rows)("%s", async (_name, property) => {
    for (const strategy of ["dfs", "optimal", "states"]) {
      const result = await run(programOf(setup, [property]), strategy)
      expect(result.outcome, strategy).toBe("violated")
      expect(result.violation?.property).toBe(property.id)
    }
  })

  it("a guard that would read data where nobody has come to yet", async () => {
    const program = programOf(() => {
      const [a, b, data] = [cell("a", 0), cell("b", 0), dataCell("data", 0)]
      const set = (at: Cell<number>) =>
        step(`W${at.name}`, () => {
          at.value = 1
        })
      const late = guardedStep(
        "late",
        () => a.value === 1 || data.value === 1,
        () => undefined,
      )
      return { world: undefined, fibers: { early: set(a), late: Effect.andThen(set(b), late) } }
    }, [dataRaces("test")])
    for (const strategy of ["dfs", "states", "optimal"]) {
      const result = await run(program, strategy)
      expect(result.violation?.property, strategy).toBe("data-races")
    }
  })

  it("costs nothing where no invariant looks", async () => {
    const { result } = await survey(programOf(setup), "optimal")
    expect(result.statistics.executions).toBe(1)
  })
})

describe("fibers that act on others", () => {
  it("a fiber that was interrupted has gone on before, as far as it can", async () => {
    const program = programOf(() => {
      const count = cell("count", 0)
      const up = step("up", () => {
        count.value++
      })
      const main = Effect.gen(function* () {
        const child = yield* fork("child", Effect.all([up, up, up], { discard: true }))
        yield* interrupt(child)
        yield* join(child)
      })
      return { world: undefined, fibers: { main } }
    })
    const every = await survey(program, "dfs")
    const optimal = await survey(program, "optimal")
    expect(optimal.finals).toEqual(every.finals)
    expect(optimal.result.statistics.executions).toBe(4)
  })
})

describe("random programs with guards over several cells", () => {
  const wanted = long ? 20_000 : 32
  /** Programs of more schedules than this are passed over, so that enumerating them ends quickly. */
  const schedules = 400

  it("end in the same states as by all schedules, and no execution is cut off", async () => {
    const counts = { compared: 0, stuck: 0, fewer: 0 }
    await fc.assert(
      fc.asyncProperty(guardedProgram, async (source) => {
        const program = interpretGuarded(source).program()
        const every = await survey(program, "dfs", { executions: schedules })
        if (every.result.outcome === "inconclusive") return
        counts.compared++
        const optimal = await survey(program, "optimal")
        expect(optimal.result.outcome).toBe("holds")
        expect(optimal.finals).toEqual(every.finals)
        expect(optimal.result.statistics.blocked).toBe(0)
        for (const asked of ["properties", "races"] as const) {
          const watched = interpretGuarded(source, asked).program()
          const found = await survey(watched, "optimal")
          expect(found.broken, asked).toEqual((await survey(watched, "dfs", { executions: schedules })).broken)
          expect(found.result.statistics.blocked, asked).toBe(0)
        }
        if (counts.compared % 10 === 0) {
          const checked = await survey(program, "optimal", { paranoid: true })
          expect(checked.finals).toEqual(optimal.finals)
          // It asks guards more often, and so may have begun anew elsewhere.
          const { transitions } = optimal.result.statistics
          expect({ ...checked.result.statistics, transitions }).toEqual(optimal.result.statistics)
        }
        if (optimal.deadlockedEnds > 0) counts.stuck++
        if (optimal.ends < every.ends) counts.fewer++
      }),
      { seed: 20_28, numRuns: Math.ceil(wanted * 1.1) },
    )
    expect(counts.compared).toBeGreaterThanOrEqual(wanted)
    expect(counts.stuck).toBeGreaterThan(counts.compared / 3)
    expect(counts.fewer).toBeGreaterThan(counts.compared / 3)
  })
})

it("rows of the table are no accident: every one names its number", () => {
  const rows: ReadonlyArray<Published> = families.flatMap(({ programs }) => programs)
  expect(rows.length).toBeGreaterThan(125)
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length)
})
