import { concuerrorPrograms } from "./concuerror.ts"
import { lastzero, readers } from "./dpor.ts"
import { fibBench, inc, peterson, szymanski } from "./genmc.ts"
import { litmus, type Threads, times } from "./threads.ts"

/** A program, and how many of its schedules have at most 0, 1, 2 ... preemptions, and at most so many delays. */
export interface BoundedProgram {
  readonly name: string
  readonly threads: Threads
  readonly preemptions: ReadonlyArray<number>
  readonly delays: ReadonlyArray<number>
}

const concuerror = (wanted: string): Threads => {
  const program = concuerrorPrograms.programs.find(({ name }) => name === wanted)
  if (program === undefined) throw new Error(`there is no program ${wanted}`)
  return program.threads
}

/**
 * Counted for this purpose, without any reduction and with nothing of this checker. Delays depend on the order of the
 * threads; those of `writers` are those of Concuerror's bounding_tests, permutations of 6 by inversions.
 */
export const boundedPrograms: ReadonlyArray<BoundedProgram> = [
  {
    name: "readers(2)",
    threads: readers(2),
    preemptions: [6, 6, 6, 6, 6, 6, 6, 6],
    delays: [1, 3, 5, 6, 6, 6, 6, 6],
  },
  {
    name: "writers(6)",
    threads: litmus(...times(6, (i) => `Wx=${i + 1}`)),
    preemptions: [720, 720, 720, 720, 720, 720, 720, 720],
    delays: [1, 6, 20, 49, 98, 169, 259, 360],
  },
  {
    name: "lastzero(5)",
    threads: lastzero(5),
    preemptions: [720, 10_476, 78_872, 371_452, 1_139_805, 2_271_106, 3_049_100, 3_412_640],
    delays: [1, 10, 58, 247, 801, 2221, 5580, 12_535],
  },
  {
    name: "IRIW",
    threads: litmus("Wx", "Rx Ry", "Ry Rx", "Wy"),
    preemptions: [24, 96, 180, 180, 180, 180, 180, 180],
    delays: [1, 6, 17, 38, 67, 98, 127, 154],
  },
  {
    name: "inc(2)",
    threads: inc(2),
    preemptions: [2, 4, 6, 6, 6, 6, 6, 6],
    delays: [1, 3, 5, 6, 6, 6, 6, 6],
  },
  {
    name: "fib_bench(1)",
    threads: fibBench(1),
    preemptions: [6, 36, 136, 316, 486, 560, 560, 560],
    delays: [1, 7, 25, 67, 139, 227, 334, 427],
  },
  {
    name: "fib_bench(3)",
    threads: fibBench(3),
    preemptions: [6, 108, 1180, 8140, 42_300, 165_724, 511_132, 1_257_500],
    delays: [1, 19, 127, 793, 3871, 12_820, 41_344, 111_652],
  },
  {
    name: "peterson-sc",
    threads: peterson,
    preemptions: [2, 12, 42, 90, 156, 228, 268, 292],
    delays: [1, 7, 27, 66, 123, 192, 248, 280],
  },
  {
    name: "long_chain",
    threads: concuerror("long_chain"),
    preemptions: [40_320, 233_033, 629_831, 765_296, 798_245, 803_142, 803_262, 803_262],
    delays: [1, 15, 84, 320, 944, 2367, 5227, 10_455],
  },
  {
    name: "szymanski(1)",
    threads: szymanski,
    preemptions: [2, 22, 58, 158, 262, 386, 506, 598],
    delays: [1, 12, 40, 108, 210, 324, 446, 552],
  },
]
