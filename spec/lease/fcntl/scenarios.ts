import { parameter, scenariosOf } from "../../define.ts"
import { exactly, fcntlProperties, openEnds } from "./properties.ts"
import { fcntlWorld } from "./world.ts"

const define = scenariosOf("lease/fcntl", fcntlWorld, [...fcntlProperties, openEnds])

export const opening = define(
  "open",
  "a process asks for a lease while others open the file to read or write it; it gives the lease up, downgrades or keeps it",
  {
    openers: parameter("processes that open the file", 1, 3),
    leaseBreakTime: parameter("lease_break_time, in ticks", 1, 5),
    end: parameter("when whoever still waits is interrupted, in ticks; 0 is never: nobody is slow to answer", 3, 20, 0),
  },
  (bound) => ({ ...bound, exact: false }),
)

export const time = define(
  "time",
  "how long a process waits that opens a file whose lease nobody gives up",
  {
    openers: parameter("processes that open the file", 1, 3),
    leaseBreakTime: parameter("lease_break_time, in ticks", 5, 60),
    end: parameter("when whoever still waits is interrupted, in ticks", 20, 200),
  },
  (bound) => ({ ...bound, exact: true }),
  [exactly],
)

export const fcntlScenarios = [opening, time]
