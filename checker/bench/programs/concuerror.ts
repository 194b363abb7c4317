import type { Family } from "./published.ts"
import { litmus } from "./threads.ts"

export const concuerrorPrograms: Family = {
  title: "Concuerror",
  source: "Concuerror, tests/suites/dpor_tests at commit 0cbd2fc, written with shared memory",
  programs: [
    {
      name: "POPL_optimal_example",
      threads: litmus("Wx=1", "Wy=1", "Ry==0 Wz=1", "Rz==1 Ry==0 Wx=2"),
      states: 44,
      schedules: 69,
    },
    { name: "readers_rrw", threads: litmus("Ry Rx", "Ry Rx", "Ry Wx"), states: 34, schedules: 90 },
    {
      name: "manywrite_2",
      threads: litmus("Ww=1", "Wx=1", "Wy=1", "Wx=2", "Wy=2", "Wz=1", "Wz=2", "Ww=2"),
      states: 625,
      schedules: 40_320,
    },
    { name: "two_writers_readers_2", threads: litmus("Wx=1", "Wx=2", "Ry Rx", "Ry Rx"), states: 91, schedules: 180 },
    { name: "conditional_readers", threads: litmus("Wx", "Ry==0 Rx Wy", "Ry==0 Rx Wy"), states: 58, schedules: 136 },
    { name: "conditional_readers_3", threads: litmus("Wx", "Ry==0 Rx", "Rx Wy"), states: 32, schedules: 29 },
    { name: "hairbrush_teeth_1", threads: litmus("Wx=1 Wx=2", "Rx Rx"), states: 19, schedules: 6 },
    { name: "hairbrush_teeth_3", threads: litmus("Wx=1 Wx=2", "Rx Rx", "Rx Rx"), states: 145, schedules: 90 },
    {
      name: "long_chain",
      threads: litmus("Wx Ww", "Rx==1 Wy", "Ry==1 Wa", "Ra==1 Wb", "Rb==1 Wc", "Rc==1 Wz", "Ra==1 Rw", "Rz==1 Rw"),
      states: 1123,
      schedules: 803_262,
    },
    // The tables say 81 states. Counted once more in the tests, without the engine.
    {
      name: "combination_lock_1",
      threads: litmus("Wz", "Wx Ry==1 Ww", "Rx==1 Wy Rv==1 Rz", "Rw==1 Wv"),
      states: 77,
      schedules: 286,
    },
    { name: "sleeping_races_2", threads: litmus("Wy=1", "Wx=1", "Wy=2 Rx==1 Ry"), states: 23, schedules: 14 },
    { name: "sleeping_races_3_write", threads: litmus("Wy", "Wx=1", "Wx=2", "Rx!=0 Ry"), states: 50, schedules: 38 },
    { name: "sleeping_races_5", threads: litmus("Wy", "Wx", "Rx Ry", "Rx==1 Ry", "Ry"), states: 181, schedules: 600 },
    { name: "sleeping_races_7", threads: litmus("Wy", "Wx", "Rx==1 Ry"), states: 13, schedules: 7 },
    { name: "depend_1", threads: litmus("Wz", "Wx", "Wy", "Rx!=0 Ry!=0 Rz", "Ry!=0 Rz"), states: 101, schedules: 411 },
    { name: "depend_2", threads: litmus("Ry!=0 Rz", "Wy", "Rx!=0 Ry!=0 Rz", "Wz", "Wx"), states: 101, schedules: 411 },
    {
      name: "depend_4",
      threads: litmus("Wz", "Wx=1", "Wy", "Rx==1 Ry==1 Rz", "Ry!=0 Rz", "Wx=2"),
      states: 316,
      schedules: 3001,
    },
    { name: "depend_6", threads: litmus("Ry Rz", "Ry", "Wz", "Wy=1 Wy=2"), states: 118, schedules: 180 },
    { name: "diff_dep_3", threads: litmus("Wx", "Wz", "Rz!=0 Rx", "Rx"), states: 33, schedules: 32 },
    {
      name: "complete_test_2",
      threads: litmus("Wy", "Wx=1", "Rx!=0 Ry", "Rx Ry", "Wx=2"),
      states: 368,
      schedules: 750,
    },
    { name: "not_prerequisite_1", threads: litmus("Wx Wy", "Ry!=0 Rx", "Wy"), states: 22, schedules: 17 },
  ],
}
