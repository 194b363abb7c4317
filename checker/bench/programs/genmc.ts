import * as Effect from "effect/Effect"
import type { Family } from "./published.ts"
import { assume, litmus, lock, type Memory, names, read, type Threads, times, unlock, write } from "./threads.ts"

const all = (thread: string, n: number): Threads => litmus(...times(n, () => thread))

/** The values written by the further threads are the same: different ones would make more states. */
const coa = (n: number): Threads => litmus("Wx=1 Ry Rx", "Wx=2 Rz Rx", ...times(n - 1, () => "Wy Wz"))
const cas = (n: number): Threads => litmus(...times(n, (i) => `Cx=0:${i + 1}`))
const casrot = (n: number): Threads => litmus(...times(n, (i) => `Cx=${i}:${i + 1}`))
const casw = (n: number): Threads => litmus(...times(n, (i) => `Cx=0:1 Wx=${i + 3}`))
const rw = (n: number): Threads => litmus(...times(n, (i) => `Rx Wx=${i}`))
const wainc = (n: number): Threads => litmus("Wx=42", ...times(n, () => "Ix"))
const wcas = (n: number): Threads => litmus("Wx=2", ...times(n, () => "Cx=2:3"))
const dekker = (n: number): Threads =>
  litmus(
    "Wy Rx==0 Wz1",
    "Wx Ry==0 Wz2",
    ["Rz1!=0 Rz2!=0", ...times(n, (i) => `Wx=${i}`)].join(" "),
    ["Rz1!=0 Rz2!=0", ...times(n, () => "Rx")].join(" "),
  )

/** `r = x; x = r + 2^i` */
export const inc = (n: number): Threads => ({
  cells: ["x"],
  fibers: (memory) => times(n, (i) => Effect.flatMap(read(memory("x")), (r) => write(memory("x"), r + 2 ** (i + 1)))),
})

/** n threads that increase each of the variables under one mutex. */
export const increments = (n: number, variables: ReadonlyArray<string>): Threads => ({
  cells: ["m", ...variables],
  fibers: (memory) =>
    times(n, () =>
      Effect.gen(function* () {
        yield* lock(memory("m"))
        for (const name of variables) yield* write(memory(name), (yield* read(memory(name))) + 1)
        yield* unlock(memory("m"))
      }),
    ),
})

const eratosthenes = (n: number): Threads => ({
  cells: names("n", n),
  fibers: (memory) =>
    times(2, () =>
      Effect.gen(function* () {
        for (let i = 0; i < n; i++) {
          if ((yield* read(memory(`n${i}`))) !== 0) continue
          yield* write(memory(`n${i}`), 1)
          for (let j = 2 * i + 2; j < n; j += i + 2) yield* write(memory(`n${j}`), 2)
        }
      }),
    ),
})

/** Two threads compute Fibonacci numbers from each other's, and a third looks whether they became too big. */
export const fibBench = (n: number): Threads => ({
  cells: ["x", "y"],
  initial: 1,
  fibers: (memory) => [
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
  ],
})

/** Peterson's lock, each thread asking once whether it may enter. */
export const peterson: Threads = {
  cells: ["f1", "f2", "turn", "x"],
  fibers: (memory) =>
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
    ),
}

/** Szymanski's lock for two threads, one round each. */
export const szymanski: Threads = {
  cells: ["a", "b", "x"],
  fibers: (memory) =>
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
    ),
}

/** Lamport's fast mutex, each thread through it once. */
const lamport: Threads = {
  cells: ["b1", "b2", "x", "y"],
  fibers: (memory) => times(2, (i) => lamportThread(memory, i + 1)),
}

const lamportThread = Effect.fnUntraced(function* (memory: Memory, me: number) {
  const [own, x, y] = [memory(`b${me}`), memory("x"), memory("y")]
  for (;;) {
    yield* write(own, 1)
    yield* write(x, me)
    if ((yield* read(y)) !== 0) {
      yield* write(own, 0)
      yield* assume((yield* read(y)) === 0)
      continue
    }
    yield* write(y, me)
    if ((yield* read(x)) === me) break
    yield* write(own, 0)
    for (const other of ["b1", "b2"]) yield* assume((yield* read(memory(other))) === 0)
    if ((yield* read(y)) === me) break
    yield* assume((yield* read(y)) === 0)
  }
  yield* write(y, 0)
  yield* write(own, 0)
})

export const genmcPrograms: Family = {
  title: "GenMC, synthetic programs",
  source: "GenMC 0.11.0, tests/correct/synthetic",
  programs: [
    { name: "CoA(1)", threads: coa(1), states: 31, schedules: 20, complete: 4 },
    { name: "CoA(3)", threads: coa(3), states: 576, schedules: 25_200, complete: 130 },
    { name: "CoA(5)", threads: coa(5), states: 5916, schedules: 151_351_200, complete: 49_776 },
    { name: "ainc(3)", threads: all("Ix", 3), states: 16, schedules: 6, complete: 6 },
    { name: "ainc(5)", threads: all("Ix", 5), states: 326, schedules: 120, complete: 120 },
    { name: "ainc(7)", threads: all("Ix", 7), states: 13_700, schedules: 5040, complete: 5040 },
    { name: "binc(3)", threads: all("Ix Iy", 3), states: 133, schedules: 90, complete: 36 },
    { name: "cinc(2)", threads: all("Ix Iy Iz", 2), states: 37, schedules: 20, complete: 8 },
    { name: "cinc(4)", threads: all("Ix Iy Iz", 4), states: 51_697, schedules: 369_600, complete: 13_824 },
    { name: "cas(3)", threads: cas(3), states: 13, schedules: 6, complete: 3 },
    { name: "cas(5)", threads: cas(5), states: 81, schedules: 120, complete: 5 },
    { name: "casrot(3)", threads: casrot(3), states: 11, schedules: 6, complete: 5 },
    { name: "casrot(5)", threads: casrot(5), states: 47, schedules: 120, complete: 43 },
    { name: "casrot(7)", threads: casrot(7), states: 191, schedules: 5040, complete: 523 },
    { name: "casrot(9)", threads: casrot(9), states: 767, schedules: 362_880, complete: 8597 },
    { name: "casw(3)", threads: casw(3), states: 76, schedules: 90, complete: 66 },
    { name: "casw(5)", threads: casw(5), states: 1566, schedules: 113_400, complete: 32_880 },
    { name: "inc(3)", threads: inc(3), states: 110, schedules: 90, complete: 36 },
    { name: "rw(2)", threads: rw(2), states: 12, schedules: 6, complete: 4 },
    { name: "rw(4)", threads: rw(4), states: 862, schedules: 2520, complete: 576 },
    { name: "wainc(3)", threads: wainc(3), states: 65, schedules: 24, complete: 24 },
    { name: "wcas(2)", threads: wcas(2), states: 12, schedules: 6, complete: 5 },
    { name: "wcas(4)", threads: wcas(4), states: 64, schedules: 120, complete: 33 },
    { name: "wcas(6)", threads: wcas(6), states: 320, schedules: 5040, complete: 193 },
    { name: "wcas(8)", threads: wcas(8), states: 1536, schedules: 362_880, complete: 1025 },
    // The tables say 115 for both. Counted once more in the tests, without the engine.
    { name: "dekker2-fixed(2)", threads: dekker(2), states: 112, schedules: 504, complete: 6 },
    { name: "dekker2-fixed(4)", threads: dekker(4), states: 112, schedules: 504, complete: 6 },
    { name: "eratosthenes(5)", threads: eratosthenes(5), states: 764, schedules: 213_184, complete: 398 },
    { name: "fib_bench(2)", threads: fibBench(2), states: 1229, schedules: 84_084, complete: 140 },
    { name: "fib_bench(4)", threads: fibBench(4), states: 181_124, schedules: 878_850_700, complete: 19_605 },
    { name: "lockinc(2)", threads: increments(2, ["x"]), states: 17, schedules: 2, complete: 2 },
    { name: "lockinc(4)", threads: increments(4, ["x"]), states: 257, schedules: 24, complete: 24 },
    { name: "lockinc(6)", threads: increments(6, ["x"]), states: 7825, schedules: 720, complete: 720 },
    { name: "lock2inc(5)", threads: increments(5, ["x", "y"]), states: 1951, schedules: 120, complete: 120 },
    {
      name: "peterson-sc",
      threads: peterson,
      states: 110,
      schedules: 292,
      complete: 4,
      stuck: 6,
      deadlocked: "unpublished",
    },
    {
      name: "szymanski(1)",
      threads: szymanski,
      states: 673,
      schedules: 668,
      complete: 6,
      stuck: 97,
      deadlocked: "unpublished",
    },
    {
      name: "lamport(2)",
      threads: lamport,
      states: 357,
      schedules: 5369,
      complete: 16,
      stuck: 16,
      deadlocked: "unpublished",
    },
  ],
}
