import { protocol } from "../../../checker/index.ts"
import { fcntlBugs } from "./bugs.ts"
import { fcntlScenarios } from "./scenarios.ts"
import { fcntlSurvivors } from "./survivors.ts"

export const fcntlLeases = protocol({
  id: "lease/fcntl",
  title: "Leases on files (fs/locks.c: fcntl F_SETLEASE) against those who open them",
  scenarios: fcntlScenarios,
  bugs: fcntlBugs,
  survivors: fcntlSurvivors,
})
