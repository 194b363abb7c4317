import { protocol } from "../../../checker/index.ts"
import { notifiedState } from "../../described.ts"
import { mmuNotifierBugs } from "./bugs/index.ts"
import { mmuNotifierScenarios } from "./scenarios/index.ts"
import { mmuNotifierSurvivors } from "./survivors.ts"

export const mmuNotifier = protocol({
  id: "notifier/mmu",
  title: "The mmu notifier of today (mm/mmu_notifier.c): the list under SRCU with the interval tree beside it",
  about: {
    purpose:
      "KVM, IOMMUs and drivers of RDMA keep translations of a process's pages. The mmu notifier calls them before a range is changed and behind it, when a page's use is asked for, when TLBs are flushed, and when the address space ends. How they register while ranges are open, are shared by users, unregister and are freed while callbacks are under way is the hard part, and is modelled from mm/mmu_notifier.c with its list under SRCU and the interval tree beside it.",
    actors: {
      cpuN: "A processor that takes pages away once, `cpu0` by truncation, `cpu1` by MADV_DONTNEED, each under another lock; or writes pages back.",
      exit: "The end of the process (mmput): its notifiers are released, then its pages freed.",
      kvmN: "A driver that counts invalidations, as KVM does: it registers, faults on a page or unregisters, as the scenario says.",
      gpuN: "A driver whose interval subscription has two passes, as Xe's has: it loads from a page, or subscribes and leaves.",
      svmN: "A driver with a classic notifier and an interval subscription, as nouveau has for shared memory: it faults on a page.",
      smmuN:
        "A device behind an Arm SMMU that walks the CPU's page table: it is bound to the process, loads, and is unbound.",
      both: "A driver that would register one notifier for flushes of TLBs and for ranges, which the core refuses.",
      userN:
        "One of several users of a driver: it gets their one notifier (mmu_notifier_get), faults, lets go, and puts it.",
      rmmod:
        "The only user of a driver, which then unloads it: it waits until nothing of the module can still be called.",
      oom_reaper:
        "The kernel thread that takes the memory of a killed process; it must not sleep, so drivers may refuse it.",
      kswapd:
        "Reclaim, which asks whether the process or a device has used the page since it was last asked (folio_referenced).",
      kdamond:
        "The kernel thread of DAMON: it makes a page old, and asks later, clearing nothing, whether it was used.",
      migrate:
        "The first device's driver, which moves a page to the device's memory and ignores the event that this causes.",
      "srcu/kvmN":
        "The SRCU callback that frees a notifier after mmu_notifier_put, when nobody can be calling it any more.",
      "gpuN.tlb/N":
        "A flush of the device's TLB that the first pass has begun: the hardware, which the second pass waits for.",
    },
    state: {
      srcu: "The SRCU domain under which the list of notifiers is walked: open sections by fiber, and who waits for them.",
      ...notifiedState,
      mm: "A small address space (struct mm_struct): users, page table, locks, the list of notifiers and the tree of interval subscriptions (`subs`).",
      kvmN: "A counting driver: its mmu_lock, the invalidations under way and their sequence, its page table, and its notifier (`mn`).",
      gpuN: "A two-pass driver: its notifier_lock, the flushes asked for and done, its page table and TLB.",
      svmN: "A driver with both kinds of subscription: its mutex, its page table, the sequence (`iv`) and the classic notifier (`mn`).",
      smmuN: "A device without a page table of its own: whether it is bound, its TLB, and its notifier (`mn`).",
      both: "The notifier of the driver that asks for too much: its count of users, and whether it is on the list.",
    },
    monitors: {
      walk: "By fiber: the invalidation that it makes, whom it has told of the start and called, and what they answered.",
      stage: "By subscriber: new, registering, registered, freed, or its module unloaded.",
      slips:
        "By rule: whether it was broken, such as an end without a start, or a registration inside an invalidation.",
      released: "The devices whose release, at the end of the process or by unregister, has finished.",
      uses: "Who has used which page since somebody was last told so.",
      reading:
        "The devices that wait in mmu_interval_read_begin, and the sequences that were read and not yet compared.",
    },
    notModelled: [
      "Most of memory management: one area that maps a file privately, with the locks under which a range is announced. Protocol mm has the rest, with devices that stay registered.",
      "TLBs of CPUs; those of devices are there.",
      "What writeback does to a page beyond its write-protection.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  environment: ["device_load"],
  scenarios: mmuNotifierScenarios,
  bugs: mmuNotifierBugs,
  survivors: mmuNotifierSurvivors,
})
