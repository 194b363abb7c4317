import * as Effect from "effect/Effect"
import type { Family } from "./published.ts"
import { litmus, read, type Threads, times, write } from "./threads.ts"

const wrw = (n: number): Threads => litmus("Wx=1", ...times(n, (i) => `Rx Wx=${i}`))

/** `a = x; b = x; if (a == b) y = 1` beside `x = y` */
const tc2: Threads = {
  cells: ["x", "y"],
  fibers: (memory) => [
    Effect.gen(function* () {
      const a = yield* read(memory("x"))
      const b = yield* read(memory("x"))
      if (a === b) yield* write(memory("y"), 1)
    }),
    Effect.flatMap(read(memory("y")), (r) => write(memory("x"), r)),
  ],
}

export const litmusPrograms: Family = {
  title: "GenMC, litmus tests",
  source: "GenMC 0.11.0, tests/correct/litmus",
  programs: [
    { name: "wrw(2)", threads: wrw(2), states: 44, schedules: 30, complete: 22 },
    { name: "wrw(4)", threads: wrw(4), states: 4054, schedules: 22_680, complete: 6576 },
    { name: "2CoWR", threads: litmus("Ry", "Rx", "Wx", "Wy"), states: 25, schedules: 24, complete: 4 },
    { name: "CoRR0", threads: litmus("Wx", "Rx", "Rx"), states: 13, schedules: 6, complete: 4 },
    { name: "CoRR2", threads: litmus("Wx=1", "Wx=2", "Rx Rx", "Rx Rx"), states: 281, schedules: 180, complete: 72 },
    { name: "CoWR", threads: litmus("Wx=1 Rx", "Wx=2"), states: 9, schedules: 3, complete: 3 },
    { name: "IRIWish", threads: litmus("Wx", "Rx Wy", "Rx Ry", "Ry Rx"), states: 188, schedules: 630, complete: 27 },
    { name: "LB", threads: litmus("Ry Wx", "Rx Wy"), states: 13, schedules: 6, complete: 3 },
    { name: "LB+fr-fr", threads: litmus("Rx Wy=1", "Ry Ry Wx", "Wy=2"), states: 76, schedules: 60, complete: 16 },
    { name: "MCP-rrw", threads: litmus("Wx=1", "Wx=2", "Rx"), states: 16, schedules: 6, complete: 6 },
    { name: "MP+incMP", threads: litmus("Ry Iz", "Iz Rx", "Wx Wy"), states: 51, schedules: 90, complete: 7 },
    { name: "RWC+syncs", threads: litmus("Wx", "Rx Ry", "Wy Rx"), states: 36, schedules: 30, complete: 7 },
    { name: "SB", threads: litmus("Wx Ry", "Wy Rx"), states: 13, schedules: 6, complete: 3 },
    { name: "W+RWC", threads: litmus("Wx Wz", "Rz Ry", "Wy Rx"), states: 51, schedules: 90, complete: 7 },
    { name: "WWmerge1", threads: litmus("Rx Ry", "Wx=1 Wx=2", "Wy Rx"), states: 80, schedules: 90, complete: 15 },
    { name: "Z6+acq", threads: litmus("Wa Wb", "Rb Wc=1", "Wc=2 Ra"), states: 51, schedules: 90, complete: 7 },
    { name: "cumul-release", threads: litmus("Wx Wy", "Ry Wz", "Rz Rx"), states: 51, schedules: 90, complete: 7 },
    { name: "detour", threads: litmus("Wx", "Rz Wx Rx Wy", "Ry Wz"), states: 42, schedules: 105, complete: 9 },
    {
      name: "inc+inc+RR+W+RR",
      threads: litmus("Ix", "Ix", "Rx Rx", "Wx=42", "Rx Rx"),
      states: 2067,
      schedules: 1260,
      complete: 600,
    },
    { name: "isa2", threads: litmus("Wa Wb", "Rb Wc", "Rc Ra"), states: 51, schedules: 90, complete: 7 },
    {
      name: "rel-B-cumul-acq",
      threads: litmus("Wx Wy", "Ry Wz", "Rz Rx", "Ry"),
      states: 127,
      schedules: 630,
      complete: 14,
    },
    { name: "rinc+wr", threads: litmus("Ix", "Wx=2 Rx"), states: 9, schedules: 3, complete: 3 },
    { name: "small1", threads: litmus("Ry Rz Rx", "Wx", "Wy Wz"), states: 51, schedules: 60, complete: 8 },
    { name: "po-loc", threads: litmus("Ry Rx Wx", "Rx Wy"), states: 17, schedules: 10, complete: 3 },
    { name: "riwi", threads: litmus("Ry Ix", "Ix Wy"), states: 13, schedules: 6, complete: 3 },
    { name: "MPU+rels", threads: litmus("Wx=1 Wy=0 Wy=1", "Iy", "Ry>1 Wx=2"), states: 29, schedules: 20, complete: 12 },
    {
      name: "MPU2+rel",
      threads: litmus("Wx=1 Wy=1", "Cy=2:3", "Cy=1:2", "Ry>2 Wx=2"),
      states: 42,
      schedules: 60,
      complete: 14,
    },
    { name: "RMWFix", threads: litmus("Ry!=0 Ix Ix", "Ix", "Wy=42"), states: 17, schedules: 8, complete: 4 },
    { name: "wcii", threads: litmus("Wx=5", "Cx=1:2", "Ix", "Ix"), states: 42, schedules: 24, complete: 24 },
    { name: "ori", threads: litmus("Ix Wy=1", "Cx=0:1", "Ry!=0 Wx=4"), states: 22, schedules: 13, complete: 5 },
    { name: "TC2", threads: tc2, states: 14, schedules: 10, complete: 4 },
  ],
}
