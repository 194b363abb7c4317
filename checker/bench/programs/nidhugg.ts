import * as Effect from "effect/Effect"
import { increments } from "./genmc.ts"
import type { Family } from "./published.ts"
import { litmus, read, type Threads, times, write } from "./threads.ts"

const repeated = (thread: string, n: number): string => times(n, () => thread).join(" ")

const writersAndReader = (n: number): Threads => litmus(...times(n, (i) => `Wx=${i}`), "Rx")
const writesAndRead = (n: number): Threads => litmus(`${repeated("Wx=0", n)} Rx`, `${repeated("Wx=1", n)} Rx`)
const myexample = (n: number): Threads => litmus(...times(n, (i) => `Wx=${i} Rx`))

/** Two threads that write a variable again and again and read it back: the smallest program with many schedules. */
export const raceParametric = (n: number): Threads => litmus(repeated("Wv=0 Rv", n), repeated("Wv=1 Rv", n))

/** Up to n rounds of a try at a lock. */
const optLock = (n: number): Threads => ({
  cells: ["x", "y"],
  fibers: (memory) =>
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
    ),
})

export const nidhuggPrograms: Family = {
  title: "Nidhugg",
  source: "Nidhugg, tests/smoke and its example programs",
  programs: [
    { name: "redundant_co(1)", threads: litmus("Wx=1", "Wx=2", "Rx Rx"), states: 35, schedules: 12, complete: 12 },
    {
      name: "redundant_co(3)",
      threads: litmus(repeated("Wx=1", 3), repeated("Wx=2", 3), "Rx Rx"),
      states: 231,
      schedules: 560,
      complete: 560,
    },
    { name: "n_writers_a_reader(1)", threads: writersAndReader(1), states: 4, schedules: 2, complete: 2 },
    { name: "n_writers_a_reader(3)", threads: writersAndReader(3), states: 42, schedules: 24, complete: 24 },
    { name: "n_writes_a_read_2t(1)", threads: writesAndRead(1), states: 17, schedules: 6, complete: 4 },
    { name: "n_writes_a_read_2t(3)", threads: writesAndRead(3), states: 49, schedules: 70, complete: 50 },
    { name: "opt_lock(2)", threads: optLock(2), states: 129, schedules: 674, complete: 42 },
    { name: "myexample(3)", threads: myexample(3), states: 133, schedules: 90, complete: 36 },
    { name: "myexample(5)", threads: myexample(5), states: 15_641, schedules: 113_400, complete: 14_400 },
    { name: "race_parametric(1)", threads: raceParametric(1), states: 17, schedules: 6, complete: 4 },
    { name: "race_parametric(3)", threads: raceParametric(3), states: 517, schedules: 924, complete: 328 },
    { name: "mutex_order(3)", threads: increments(3, ["x"]), states: 61, schedules: 6, complete: 6 },
    {
      name: "mutex_deadlock(3)",
      threads: litmus(...times(3, () => "Lm Rx Wx")),
      states: 10,
      schedules: 3,
      complete: 0,
      stuck: 3,
      deadlocked: { states: 3, schedules: 3 },
    },
  ],
}
