/**
 * Programs with published numbers. A step is one shared access or lock operation; `schedules` are the maximal
 * schedules without any reduction, `states` the distinct pairs of memory and histories of what each fiber has read.
 * Every program is run with its fibers in two orders, which changes no number.
 */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { type Cell, cell, guardedStep, type Program, step } from "../../checker/index.ts"
import { programOf, run, survey } from "./support.ts"

type Fiber = Effect.Effect<unknown>
type Memory = (name: string) => Cell<number>
type Threads = (memory: Memory) => ReadonlyArray<Fiber>

interface Published {
  readonly name: string
  /** The names of the cells, all 0 at the start unless said. */
  readonly cells: ReadonlyArray<string>
  readonly initial?: number
  readonly threads: Threads
  readonly states?: number
  readonly schedules?: number
  /** How many of the schedules end with a fiber that waits for ever. */
  readonly deadlocked?: number
}

const program = ({ cells, initial, threads }: Published, reversed = false): Program =>
  programOf(() => {
    const made = new Map(cells.map((name) => [name, cell(name, initial ?? 0)]))
    const fibers = threads((name) => {
      const found = made.get(name)
      if (found === undefined) throw new Error(`there is no cell ${name}`)
      return found
    }).map((fiber, position) => [`t${position}`, fiber] as const)
    return { world: undefined, fibers: Object.fromEntries(reversed ? fibers.toReversed() : fibers) }
  })

const read = (at: Cell<number>) => step(`R${at.name}`, () => at.value)
const write = (at: Cell<number>, value: number) =>
  step(`W${at.name}`, () => {
    at.value = value
  })
const add = (at: Cell<number>, value = 1) =>
  step(`I${at.name}`, () => {
    const before = at.value
    at.value = before + value
    return before
  })
const swap = (at: Cell<number>, expected: number, value: number) =>
  step(`CAS${at.name}`, () => {
    if (at.value !== expected) return false
    at.value = value
    return true
  })
const lock = (at: Cell<number>) =>
  guardedStep(
    `lock ${at.name}`,
    () => at.value === 0,
    () => {
      at.value = 1
    },
  )
const unlock = (at: Cell<number>) => write(at, 0)

/** A false assumption: the fiber stops where it stands. */
const stop = guardedStep(
  "assume",
  () => false,
  () => undefined,
)
const assume = (condition: boolean) => (condition ? Effect.void : stop)

const inOrder = (...steps: ReadonlyArray<Fiber>): Fiber => Effect.all(steps, { discard: true })
const times = <A>(count: number, make: (index: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, index) => make(index))

/** Straight-line threads in the notation of the tables: `"Wx=1 Ry"`. */
const litmus =
  (...threads: ReadonlyArray<string>): Threads =>
  (memory) =>
    threads.map((thread) =>
      inOrder(
        ...thread.split(" ").map((text) => {
          const [target = "", value] = text.slice(1).split("=")
          if (text.startsWith("R")) return read(memory(target))
          if (text.startsWith("I")) return add(memory(target), Number(value ?? 1))
          return write(memory(target), Number(value ?? 1))
        }),
      ),
    )

const readers = (n: number): Threads => litmus("Wx", ...times(n, () => "Rx"))

const lastzero =
  (n: number): Threads =>
  (memory) => [
    Effect.gen(function* () {
      for (let i = n; (yield* read(memory(`a${i}`))) !== 0; i--);
    }),
    ...times(n, (j) => Effect.flatMap(read(memory(`a${j}`)), (v) => write(memory(`a${j + 1}`), v + 1))),
  ]

const controlFlow =
  (n: number): Threads =>
  (memory) => [
    ...times(n, () => read(memory("x"))),
    ...times(n, () => write(memory("y"), 1)),
    Effect.gen(function* () {
      if ((yield* read(memory("y"))) === 0) yield* write(memory("z"), 1)
    }),
    Effect.gen(function* () {
      if ((yield* read(memory("z"))) === 1 && (yield* read(memory("y"))) === 0) yield* write(memory("x"), 1)
    }),
  ]

const popl: Threads = (memory) => [
  write(memory("x"), 1),
  write(memory("y"), 1),
  Effect.gen(function* () {
    if ((yield* read(memory("y"))) === 0) yield* write(memory("z"), 1)
  }),
  Effect.gen(function* () {
    if ((yield* read(memory("z"))) === 1 && (yield* read(memory("y"))) === 0) yield* write(memory("x"), 2)
  }),
]

const inc =
  (n: number): Threads =>
  (memory) =>
    times(n, (i) => Effect.flatMap(read(memory("x")), (r) => write(memory("x"), r + 2 ** (i + 1))))

const lockinc =
  (n: number): Threads =>
  (memory) =>
    times(n, () =>
      Effect.gen(function* () {
        yield* lock(memory("m"))
        yield* write(memory("x"), (yield* read(memory("x"))) + 1)
        yield* unlock(memory("m"))
      }),
    )

const peterson: Threads = (memory) =>
  times(2, (me) =>
    Effect.gen(function* () {
      const own = memory(`f${me + 1}`)
      yield* write(own, 1)
      yield* write(memory("turn"), 1 - me)
      const free = (yield* read(memory(`f${2 - me}`))) !== 1 || (yield* read(memory("turn"))) !== 1 - me
      yield* assume(free)
      yield* write(memory("x"), me)
      yield* read(memory("x"))
      yield* write(own, 0)
    }),
  )

const szymanski: Threads = (memory) =>
  times(2, (me) =>
    Effect.gen(function* () {
      const own = memory(me === 0 ? "a" : "b")
      const peer = read(memory(me === 0 ? "b" : "a"))
      yield* write(own, 1)
      yield* assume((yield* peer) < 3)
      yield* write(own, 3)
      if ((yield* peer) === 1) {
        yield* write(own, 2)
        yield* assume((yield* peer) === 4)
      }
      yield* write(own, 4)
      yield* assume((yield* peer) < 2)
      yield* write(memory("x"), me)
      yield* read(memory("x"))
      yield* read(memory("x"))
      yield* assume(2 > (yield* peer) || (yield* peer) > 3)
      yield* write(own, 0)
    }),
  )

const mutexDeadlock =
  (n: number): Threads =>
  (memory) =>
    times(n, () =>
      Effect.gen(function* () {
        yield* lock(memory("m"))
        yield* write(memory("x"), (yield* read(memory("x"))) + 1)
      }),
    )

const philosophers =
  (n: number, ordered = false): Threads =>
  (memory) =>
    times(n, (i) => {
      const forks = [memory(`f${i}`), memory(`f${(i + 1) % n}`)]
      if (ordered && i === n - 1) forks.reverse()
      return inOrder(...forks.map(lock), ...forks.toReversed().map(unlock))
    })

const conditionalReaders: Threads = (memory) => [
  write(memory("x"), 1),
  ...times(2, () =>
    Effect.gen(function* () {
      if ((yield* read(memory("y"))) === 0) {
        yield* read(memory("x"))
        yield* write(memory("y"), 1)
      }
    }),
  ),
]

const dekker: Threads = (memory) => [
  ...times(2, (me) =>
    Effect.gen(function* () {
      yield* write(memory(me === 0 ? "y" : "x"), 1)
      if ((yield* read(memory(me === 0 ? "x" : "y"))) === 0) yield* write(memory(`z${me + 1}`), 1)
    }),
  ),
  ...times(2, (me) =>
    Effect.gen(function* () {
      if ((yield* read(memory("z1"))) === 0 || (yield* read(memory("z2"))) === 0) return
      for (let i = 0; i < 2; i++) yield* me === 0 ? write(memory("x"), i) : read(memory("x"))
    }),
  ),
]

const eratosthenes =
  (n: number): Threads =>
  (memory) =>
    times(2, () =>
      Effect.gen(function* () {
        for (let i = 0; i < n; i++) {
          if ((yield* read(memory(`n${i}`))) !== 0) continue
          yield* write(memory(`n${i}`), 1)
          for (let j = 2 * i + 2; j < n; j += i + 2) yield* write(memory(`n${j}`), 2)
        }
      }),
    )

const fibBench =
  (n: number): Threads =>
  (memory) => [
    ...times(2, (me) =>
      Effect.gen(function* () {
        for (let i = 0; i < n; i++) {
          const sum = (yield* read(memory("x"))) + (yield* read(memory("y")))
          yield* write(memory(me === 0 ? "x" : "y"), sum)
        }
      }),
    ),
    Effect.gen(function* () {
      if ((yield* read(memory("x"))) > 144) return
      yield* read(memory("y"))
    }),
  ]

const optLock =
  (n: number): Threads =>
  (memory) =>
    times(2, (id) =>
      Effect.gen(function* () {
        for (let round = 0; round < n; round++) {
          yield* write(memory("x"), id)
          yield* write(memory("y"), 1)
          if ((yield* read(memory("x"))) === id) {
            yield* read(memory("y"))
            return
          }
        }
      }),
    )

const rmwFix: Threads = (memory) => [
  Effect.gen(function* () {
    if ((yield* read(memory("y"))) === 0) return
    yield* add(memory("x"))
    yield* add(memory("x"))
  }),
  add(memory("x")),
  write(memory("y"), 42),
]

const cas =
  (n: number): Threads =>
  (memory) =>
    times(n, (i) => swap(memory("x"), 0, i + 1))

const casrot =
  (n: number): Threads =>
  (memory) =>
    times(n, (i) => swap(memory("x"), i, i + 1))

const casw =
  (n: number): Threads =>
  (memory) =>
    times(n, (i) => inOrder(swap(memory("x"), 0, 1), write(memory("x"), i + 3)))

const wcas =
  (n: number): Threads =>
  (memory) => [write(memory("x"), 2), ...times(n, () => swap(memory("x"), 2, 3))]

const rw = (n: number): Threads => litmus(...times(n, (i) => `Rx Wx=${i}`))
const all = (name: string, n: number): Threads => litmus(...times(n, () => name))
const names = (prefix: string, n: number) => times(n, (i) => `${prefix}${i}`)

const x = ["x"]
const xy = ["x", "y"]
const xyz = ["x", "y", "z"]
const abc = ["a", "b", "c"]

const programs: ReadonlyArray<Published> = [
  { name: "readers(2)", cells: x, threads: readers(2), states: 13, schedules: 6 },
  { name: "readers(6)", cells: x, threads: readers(6), states: 793, schedules: 5040 },
  { name: "readers(8)", cells: x, threads: readers(8), states: 6817 },
  { name: "lastzero(1)", cells: names("a", 2), threads: lastzero(1), states: 8, schedules: 3 },
  { name: "lastzero(2)", cells: names("a", 3), threads: lastzero(2), states: 33, schedules: 35 },
  { name: "lastzero(3)", cells: names("a", 4), threads: lastzero(3), states: 130, schedules: 920 },
  { name: "lastzero(4)", cells: names("a", 5), threads: lastzero(4), states: 499 },
  { name: "lastzero(5)", cells: names("a", 6), threads: lastzero(5), states: 1890 },
  { name: "control_flow(2)", cells: xyz, threads: controlFlow(2), states: 200, schedules: 2676 },
  { name: "CoA(1)", cells: xyz, threads: litmus("Wx=1 Ry Rx", "Wx=2 Rz Rx"), states: 31, schedules: 20 },
  { name: "ainc(3)", cells: x, threads: all("Ix", 3), states: 16, schedules: 6 },
  { name: "ainc(5)", cells: x, threads: all("Ix", 5), states: 326, schedules: 120 },
  { name: "ainc(7)", cells: x, threads: all("Ix", 7), states: 13_700, schedules: 5040 },
  { name: "binc(3)", cells: xy, threads: all("Ix Iy", 3), states: 133, schedules: 90 },
  { name: "cinc(2)", cells: xyz, threads: all("Ix Iy Iz", 2), states: 37, schedules: 20 },
  { name: "cas(3)", cells: x, threads: cas(3), states: 13, schedules: 6 },
  { name: "cas(5)", cells: x, threads: cas(5), states: 81, schedules: 120 },
  { name: "casrot(3)", cells: x, threads: casrot(3), states: 11, schedules: 6 },
  { name: "casrot(5)", cells: x, threads: casrot(5), states: 47, schedules: 120 },
  { name: "casrot(9)", cells: x, threads: casrot(9), states: 767 },
  { name: "casw(3)", cells: x, threads: casw(3), states: 76, schedules: 90 },
  { name: "casw(5)", cells: x, threads: casw(5), states: 1566 },
  { name: "inc(3)", cells: x, threads: inc(3), states: 110, schedules: 90 },
  { name: "rw(2)", cells: x, threads: rw(2), states: 12, schedules: 6 },
  { name: "rw(4)", cells: x, threads: rw(4), states: 862, schedules: 2520 },
  { name: "wainc(3)", cells: x, threads: litmus("Wx=42", "Ix", "Ix", "Ix"), states: 65, schedules: 24 },
  { name: "wcas(4)", cells: x, threads: wcas(4), states: 64, schedules: 120 },
  { name: "wcas(8)", cells: x, threads: wcas(8), states: 1536 },
  { name: "dekker2-fixed(2)", cells: ["x", "y", "z1", "z2"], threads: dekker, schedules: 504 },
  { name: "eratosthenes(5)", cells: names("n", 5), threads: eratosthenes(5), states: 764 },
  { name: "lockinc(2)", cells: ["m", "x"], threads: lockinc(2), states: 17, schedules: 2 },
  { name: "lockinc(4)", cells: ["m", "x"], threads: lockinc(4), states: 257, schedules: 24 },
  { name: "lockinc(6)", cells: ["m", "x"], threads: lockinc(6), states: 7825, schedules: 720 },
  { name: "peterson-sc", cells: ["f1", "f2", "turn", "x"], threads: peterson, states: 110, schedules: 292 },
  { name: "szymanski(1)", cells: ["a", "b", "x"], threads: szymanski, states: 673, schedules: 668 },
  { name: "SB", cells: xy, threads: litmus("Wx Ry", "Wy Rx"), states: 13, schedules: 6 },
  { name: "LB", cells: xy, threads: litmus("Ry Wx", "Rx Wy"), states: 13, schedules: 6 },
  { name: "IRIWish", cells: xy, threads: litmus("Wx", "Rx Wy", "Rx Ry", "Ry Rx"), states: 188, schedules: 630 },
  { name: "CoRR2", cells: x, threads: litmus("Wx=1", "Wx=2", "Rx Rx", "Rx Rx"), states: 281, schedules: 180 },
  { name: "MP+incMP", cells: xyz, threads: litmus("Ry Iz", "Iz Rx", "Wx Wy"), states: 51, schedules: 90 },
  { name: "Z6+acq", cells: abc, threads: litmus("Wa Wb", "Rb Wc=1", "Wc=2 Ra"), states: 51, schedules: 90 },
  { name: "WWmerge1", cells: xy, threads: litmus("Rx Ry", "Wx=1 Wx=2", "Wy Rx"), states: 80, schedules: 90 },
  { name: "detour", cells: xyz, threads: litmus("Wx", "Rz Wx=2 Rx Wy", "Ry Wz"), schedules: 105 },
  {
    name: "inc+inc+RR+W+RR",
    cells: x,
    threads: litmus("Ix", "Ix", "Rx Rx", "Wx=42", "Rx Rx"),
    states: 2067,
    schedules: 1260,
  },
  { name: "RMWFix", cells: xy, threads: rmwFix, states: 17, schedules: 8 },
  { name: "POPL_optimal_example", cells: xyz, threads: popl, states: 44, schedules: 69 },
  { name: "readers_rrw", cells: xy, threads: litmus("Ry Rx", "Ry Rx", "Ry Wx"), states: 34, schedules: 90 },
  { name: "conditional_readers", cells: xy, threads: conditionalReaders, states: 58, schedules: 136 },
  { name: "hairbrush_teeth_3", cells: x, threads: litmus("Wx=1 Wx=2", "Rx Rx", "Rx Rx"), states: 145, schedules: 90 },
  { name: "opt_lock(2)", cells: xy, threads: optLock(2), states: 129, schedules: 674 },
  {
    name: "mutex_deadlock(3)",
    cells: ["m", "x"],
    threads: mutexDeadlock(3),
    states: 10,
    schedules: 3,
    deadlocked: 3,
  },
  { name: "philosophers(2)", cells: names("f", 2), threads: philosophers(2), states: 19, schedules: 6, deadlocked: 2 },
  { name: "philosophers(3)", cells: names("f", 3), threads: philosophers(3), states: 87, schedules: 168 },
  { name: "philosophers(5)", cells: names("f", 5), threads: philosophers(5), states: 1743 },
  {
    name: "philosophers-ordered(3)",
    cells: names("f", 3),
    threads: philosophers(3, true),
    schedules: 142,
    deadlocked: 0,
  },
]

describe("published numbers", () => {
  for (const published of programs) {
    it(published.name, async () => {
      for (const reversed of [false, true]) {
        const made = program(published, reversed)
        for (const breadthFirst of published.states === undefined ? [] : [false, true]) {
          const { result } = await survey(made, "states", { keepEnds: true, breadthFirst })
          expect(result.outcome).toBe("holds")
          expect(result.statistics.states, "states").toBe(published.states)
        }
        if (published.schedules === undefined) continue
        const { ends, deadlockedEnds, result } = await survey(made, "dfs")
        expect(result.outcome).toBe("holds")
        expect(result.statistics.executions, "schedules").toBe(published.schedules)
        expect(ends).toBe(published.schedules)
        if (published.deadlocked !== undefined) expect(deadlockedEnds, "deadlocked").toBe(published.deadlocked)
      }
    })
  }
})

/** Numbers of schedules with at most 0, 1, 2 ... preemptions. */
const bounded: ReadonlyArray<Published & { readonly within: ReadonlyArray<number> }> = [
  { name: "readers(2)", cells: x, threads: readers(2), within: [6, 6, 6, 6] },
  { name: "writers(6)", cells: x, threads: litmus(...times(6, (i) => `Wx=${i + 1}`)), within: [720, 720, 720] },
  { name: "lastzero(5)", cells: names("a", 6), threads: lastzero(5), within: [720, 10_476] },
  { name: "IRIW", cells: xy, threads: litmus("Wx", "Wy", "Rx Ry", "Ry Rx"), within: [24, 96, 180, 180] },
  { name: "inc(2)", cells: x, threads: inc(2), within: [2, 4, 6, 6] },
  { name: "fib_bench(1)", cells: xy, initial: 1, threads: fibBench(1), within: [6, 36, 136, 316, 486, 560, 560] },
  { name: "fib_bench(3)", cells: xy, initial: 1, threads: fibBench(3), within: [6, 108, 1180, 8140] },
  {
    name: "peterson-sc",
    cells: ["f1", "f2", "turn", "x"],
    threads: peterson,
    within: [2, 12, 42, 90, 156, 228, 268, 292],
  },
  { name: "szymanski(1)", cells: ["a", "b", "x"], threads: szymanski, within: [2, 22, 58, 158, 262, 386, 506, 598] },
]

describe("published numbers of schedules within a preemption bound", () => {
  for (const published of bounded) {
    it(published.name, async () => {
      for (const [preemptions, count] of published.within.entries()) {
        for (const reversed of count > 5_000 ? [false] : [false, true]) {
          const { result } = await survey(program(published, reversed), "dfs", { preemptions })
          expect(result.statistics.executions, `at most ${preemptions}`).toBe(count)
        }
      }
    })
  }
})

describe("what a plain exploration says of them", () => {
  it("finds the deadlock of the philosophers and none of the ordered ones", async () => {
    const cells = names("f", 4)
    for (const strategy of ["states", "dfs"]) {
      const dine = await run(program({ name: "", cells, threads: philosophers(4) }), strategy)
      expect(dine.outcome).toBe("violated")
      expect(dine.violation?.property).toBe("deadlock")
    }
    const ordered = await run(program({ name: "", cells, threads: philosophers(4, true) }), "states")
    expect(ordered.outcome).toBe("holds")
  })
})
