import { protocol } from "../../../checker/index.ts"
import { intervalBugs } from "./bugs.ts"
import { insertRemove, oneFault, overlapping, repeated, retries, twoDevices } from "./scenarios.ts"
import { intervalSurvivors } from "./survivors.ts"

export const intervalNotifier = protocol({
  id: "notifier/interval",
  title: "The interval notifier (mm/mmu_notifier.c) and the devices that mirror a process through it",
  steps: ["mmu_interval_*", "mn_itree_*", "wake_up_all", "device_*", "mutex_*"],
  scenarios: [oneFault, retries, repeated, twoDevices, overlapping, insertRemove],
  bugs: intervalBugs,
  survivors: intervalSurvivors,
})
