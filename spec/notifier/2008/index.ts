import { protocol } from "../../../checker/index.ts"
import { bugs2008 } from "./bugs.ts"
import { age, counter, engine, exits, rangeList, reclaim, register, unregister, writeback } from "./scenarios.ts"

export const notifier2008 = protocol({
  id: "notifier/2008",
  title: "The mmu notifiers as proposed in February 2008, and the drivers of that time",
  scenarios: [counter, rangeList, register, reclaim, age, writeback, unregister, exits, engine],
  bugs: bugs2008,
})
