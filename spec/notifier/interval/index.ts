import { protocol } from "../../../checker/index.ts"
import { addressSpaceOf, memoryState, mirror } from "../../described.ts"
import { intervalBugs } from "./bugs.ts"
import { insertRemove, oneFault, overlapping, repeated, retries, twoDevices } from "./scenarios.ts"

export const intervalNotifier = protocol({
  id: "notifier/interval",
  title: "The interval notifier (mm/mmu_notifier.c) and the devices that mirror a process through it",
  about: {
    purpose:
      "A device mirrors a range of a process's addresses in a page table of its own. Before a mapping is taken from the process, the core tells the device's subscription, which drops its entries under the driver's lock; a sequence tells a device that looked a page up meanwhile to look again. No device may be left with a page that was freed, and no reader may wait for ever.",
    actors: {
      cpuN: "A thread of the process that gives pages back by munmap or MADV_DONTNEED; in rounds, it stores to them again in between.",
      gpuN: "A device that mirrors the process: it faults on its pages, and in some scenarios subscribes before and leaves behind.",
      other: "Another process that allocates one page: it gets a page that was freed too early, if there is one.",
    },
    state: {
      ...memoryState,
      mm: addressSpaceOf("the process"),
      gpuN: mirror,
    },
    monitors: {
      window:
        "By CPU: the range that it invalidates, from start to end, which subscriptions it has to call, and which it has called.",
      life: "By device: whether its subscription is inserted, being removed or freed, and how far its reader has come with the sequence.",
      sleep: "By fiber: the sequence that it sleeps to see changed; 0 while it does not sleep.",
    },
    notModelled: [
      "Of what invalidates ranges all but MADV_DONTNEED and munmap: the matrix of protocol mm has the rest.",
      "Classic notifiers beside the interval tree: protocol notifier/mmu has both.",
      "Device memory, huge pages, and the time after which hmm_range_fault gives up.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["mmu_interval_*", "mn_itree_*", "wake_up_all", "device_*", "mutex_*"],
  scenarios: [oneFault, retries, repeated, twoDevices, overlapping, insertRemove],
  bugs: intervalBugs,
})
