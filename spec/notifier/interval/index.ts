import { protocol } from "../../../checker/index.ts"
import { intervalBugs } from "./bugs.ts"
import { insertRemove, oneFault, overlapping, repeated, retries, twoDevices } from "./scenarios.ts"

export const intervalNotifier = protocol({
  id: "notifier/interval",
  title: "The interval notifier (mm/mmu_notifier.c) and the devices that mirror a process through it",
  about: {
    purpose:
      "A device mirrors a range of a process's addresses in a page table of its own. Before a mapping is taken from the process, the core tells the device's subscription, which drops its entries under the driver's lock; a sequence tells a device that looked a page up meanwhile to look again. No device may be left with a page that was freed, and no reader may wait for ever.",
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
