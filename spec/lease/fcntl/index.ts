import { protocol } from "../../../checker/index.ts"
import { fcntlBugs } from "./bugs.ts"
import { fcntlScenarios } from "./scenarios.ts"
import { fcntlSurvivors } from "./survivors.ts"

export const fcntlLeases = protocol({
  id: "lease/fcntl",
  title: "Leases on files (fs/locks.c: fcntl F_SETLEASE) against those who open them",
  about: {
    purpose:
      "A process that has a lease on a file (F_SETLEASE) is told before another opens it in a way that conflicts, and has lease_break_time to give it up or downgrade; then it is taken away. Nobody may be let in beside a lease that forbids it, or wait longer than that.",
    notModelled: [
      "Delegations of nfsd, and leases on directories.",
      "Time is a clock of the model's own, in ticks; signals other than SIGIO are its end.",
      "The inode's other locks (POSIX and flock).",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  environment: ["do_dentry_open", "sigwaitinfo", "exit"],
  scenarios: fcntlScenarios,
  bugs: fcntlBugs,
  survivors: fcntlSurvivors,
})
