import { protocol } from "../../../checker/index.ts"
import { bugs2008 } from "./bugs.ts"
import {
  age,
  counter,
  engine,
  exits,
  rangeList,
  reclaim,
  register,
  unregister,
  unregisterCounter,
  writeback,
} from "./scenarios.ts"
import { survivors2008 } from "./survivors.ts"

export const notifier2008 = protocol({
  id: "notifier/2008",
  title: "The mmu notifiers as proposed in February 2008, and the drivers of that time",
  about: {
    purpose:
      'The mmu notifiers as proposed in February 2008, against the Linux 2.6.24 of that time: callbacks for ranges and single pages under RCU, a second list for drivers that have to sleep, and drivers in the styles of GRU (which counts invalidations), XPMEM (which remembers ranges and asks other partitions) and a DMA engine that hears of single pages only. The model is the design as it can hold; what the mails had is put back by seeded bugs, "as published".',
    notModelled: [
      "TLBs of CPUs: nothing in this design depends on them.",
      "More than one process and one file, which is shared and mapped for writing.",
      "XPMEM's other partitions one by one: they are one, which answers or not.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  environment: ["device_store"],
  scenarios: [counter, rangeList, register, reclaim, age, writeback, unregister, unregisterCounter, exits, engine],
  bugs: bugs2008,
  survivors: survivors2008,
})
