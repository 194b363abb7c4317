import * as Effect from "effect/Effect"
import type { Family } from "./published.ts"
import { litmus, names, read, type Threads, times, write } from "./threads.ts"

/** One writer and n readers of a variable. */
export const readers = (n: number): Threads => litmus("Wx", ...times(n, () => "Rx"))

/** One thread looks for the last zero of an array from behind, while writer j makes element j one more than its left. */
export const lastzero = (n: number): Threads => ({
  cells: names("a", n + 1),
  fibers: (memory) => [
    Effect.gen(function* () {
      for (let i = n; (yield* read(memory(`a${i}`))) !== 0; i--);
    }),
    ...times(n, (j) => Effect.flatMap(read(memory(`a${j}`)), (v) => write(memory(`a${j + 1}`), v + 1))),
  ],
})

const controlFlow = (n: number): Threads =>
  litmus(...times(n, () => "Rx"), ...times(n, () => "Wy"), "Ry==0 Wz", "Rz==1 Ry==0 Wx")

export const dporPrograms: Family = {
  title: "Optimal dynamic partial order reduction",
  source: "Abdulla, Aronis, Jonsson, Sagonas, POPL 2014, and the control-flow example with a parameter",
  programs: [
    { name: "readers(2)", threads: readers(2), states: 13, schedules: 6, complete: 4 },
    { name: "readers(6)", threads: readers(6), states: 793, schedules: 5040, complete: 64 },
    { name: "readers(8)", threads: readers(8), states: 6817, schedules: 362_880, complete: 256 },
    { name: "lastzero(1)", threads: lastzero(1), states: 8, schedules: 3, complete: 2 },
    { name: "lastzero(2)", threads: lastzero(2), states: 33, schedules: 35, complete: 5 },
    { name: "lastzero(3)", threads: lastzero(3), states: 130, schedules: 920, complete: 12 },
    { name: "lastzero(4)", threads: lastzero(4), states: 499, schedules: 44_300, complete: 28 },
    { name: "lastzero(5)", threads: lastzero(5), states: 1890, schedules: 3_487_880, complete: 64 },
    { name: "control_flow(2)", threads: controlFlow(2), states: 200, schedules: 2676, complete: 18 },
  ],
}
