import { protocol } from "../../../checker/index.ts"
import { driverMonitors, invalidatingThread, processState, swapState } from "../../described.ts"
import { kvmBugs } from "./bugs.ts"
import {
  aging,
  calls,
  exit,
  lockless,
  memslots,
  memslotsMove,
  overlapping,
  pfnCache,
  retries,
  zapAll,
} from "./scenarios.ts"
import { kvmSurvivors } from "./survivors.ts"

export const kvm = protocol({
  id: "driver/kvm",
  title: "KVM: guests whose page table follows the process that runs them, by counts and a sequence",
  about: {
    purpose:
      "A virtual machine's second-stage page table follows the process that runs it. KVM counts the invalidations under way, remembers the range that they cover together, and keeps a sequence of those that have ended; a fault that finds either changed is retried. Beside it go ageing, the end of the process, changes of memslots, the tearing down of a whole page table, and KVM's own accesses through cached translations.",
    actors: {
      cpuN: invalidatingThread,
      vcpuN: "A virtual CPU: the guest loads or stores through its TLB, and KVM handles the faults that this takes.",
      kswapd: "The kernel thread that reclaims memory: it asks whether the guest has used the page, and takes it away.",
      vmm: "The program that runs the guest, such as QEMU: adds memory, has the page table replaced, closes the machine, or changes the cache.",
      timer: "KVM itself, which writes an event to a guest page (kvm_xen_set_evtchn).",
    },
    state: {
      ...processState,
      ...swapState,
      kvm: "The virtual machine (struct kvm): mmu_lock, the invalidations under way and what they cover, their sequence, and the memslots.",
      rootN:
        "A tree of the guest's second-stage page table: whether it is valid, and its entries (`spteN`) by guest page.",
      vcpuN: "What the virtual CPU has in its TLB.",
      gpc: "KVM's own cached translation of one guest page (struct gfn_to_pfn_cache), with its two locks.",
    },
    monitors: {
      window: driverMonitors.window,
      counted: "By fiber: the guest pages that its invalidation has added to the range that KVM remembers.",
      fault: "By virtual CPU: the sequence that it has read in the fault under way; -1 outside of one.",
      rules:
        "Whether a page that was used was said to be young, and whether the end of the process has come to unmapping.",
      slip: "The last entry that was installed and should have been tried again, in words.",
      usedN: "Whether a guest has used guest page N since somebody asked, or took it away.",
      unlocked: driverMonitors.unlocked,
      late: driverMonitors.late,
      current: driverMonitors.current,
      forgotten: driverMonitors.forgotten,
    },
    notModelled: [
      "The levels of the second-stage page table: it is an array by guest page.",
      "mmu_lock is a spinlock, with which two faults exclude each other; on x86 they share it.",
      "SRCU around memslots: a reader takes them in one step. Dirty logging and nested guests.",
      "No huge pages take part.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: [
    "kvm_*",
    "__kvm_*",
    "kvmppc_*",
    "mmu_invalidate_*",
    "mmu_notifier_retry_cache*",
    "is_page_fault_stale",
    "tdp_*",
    "hva_to_pfn*",
    "gfn_to_pfn*",
    "*lock_rmap",
  ],
  environment: ["guest_*"],
  scenarios: [calls, overlapping, lockless, exit, aging, memslots, memslotsMove, zapAll, pfnCache, retries],
  bugs: kvmBugs,
  survivors: kvmSurvivors,
})
