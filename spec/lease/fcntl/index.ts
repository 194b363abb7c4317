import { protocol } from "../../../checker/index.ts"
import { fileLeases, leaseClock } from "../../described.ts"
import { fcntlBugs } from "./bugs.ts"
import { fcntlScenarios } from "./scenarios.ts"
import { fcntlSurvivors } from "./survivors.ts"

export const fcntlLeases = protocol({
  id: "lease/fcntl",
  title: "Leases on files (fs/locks.c: fcntl F_SETLEASE) against those who open them",
  about: {
    purpose:
      "A process that has a lease on a file (F_SETLEASE) is told before another opens it in a way that conflicts, and has lease_break_time to give it up or downgrade; then it is taken away. Nobody may be let in beside a lease that forbids it, or wait longer than that.",
    actors: {
      holder:
        "A process that asks for a lease on the file (F_SETLEASE), and, told that somebody wants the file, gives it up or not.",
      openerN:
        "A process that opens the file, to read or to write, which breaks the lease; it waits, or has O_NONBLOCK.",
      clock: "Time, which passes in ticks: a lease that is not given up is taken when its time is over.",
    },
    state: {
      clock: leaseClock,
      SIGIO: "Whether the holder has been sent the signal that somebody wants the file.",
      file: fileLeases,
      running: "The openers that have not ended yet: the model's own, so that the holder need not wait for ever.",
    },
    monitors: {
      told: "How often the holder was told, since it has its lease, to give it up or to be content to read.",
      opened: "By opener: for what it has the file open.",
      waiting: "When an opener began to wait and when it went on, in ticks; -1 before.",
      slips: "What the holder did to its lease that the list of leases then did not show, in words.",
      held: "Whether the holder has asked for a lease, and has neither given it up nor been refused.",
    },
    notModelled: [
      "Delegations of nfsd, and leases on directories.",
      "Time is a clock of the model's own, in ticks; signals other than SIGIO are its end.",
      "The inode's other locks (POSIX and flock).",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  environment: ["sigwaitinfo", "exit"],
  scenarios: fcntlScenarios,
  bugs: fcntlBugs,
  survivors: fcntlSurvivors,
})
