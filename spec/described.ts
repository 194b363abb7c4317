/**
 * What the pages of several protocols say in the same words: who takes part (`actors`), what they share (`state`), and what
 * is kept from outside (`monitors`). What a single protocol has is said where that is defined.
 */
import type { Descriptions } from "../checker/index.ts"

/** `struct mm_struct` (model/mm/mm.ts). */
export const addressSpaceOf = (whose: string): string =>
  `The address space of ${whose} (struct mm_struct): its areas (\`vmaN\`), page tables (\`pteN\`), locks, CPUs' TLBs, and subscribers to its changes (\`subs\`).`

/** `struct inode` (model/file/inode.ts). */
export const fileOf = (what: string): string =>
  `${what} (struct inode): its size, cached pages (\`cacheN\`), what is on the disk, and the locks of truncation and faults.`

/** `struct mmu_interval_notifier` and the page table of a device that has one (model/driver/mirror.ts). */
export const mirror =
  "A device's page table for the process, the lock that guards it, and the sequence of its subscription to invalidations (struct mmu_interval_notifier)."

/** Of any machine with memory (model/mm/system.ts). */
export const memoryState = {
  folioN:
    "A page of memory (struct folio): counts of its references, mappings and pins, its lock, its flags and its content; `generation` tells its lives apart.",
  memcg: "How many pages each control group (struct mem_cgroup) is charged for; processes and files have one each.",
  anon_vma:
    "The lock of the tree by which reclaim and migration find who maps an anonymous page (anon_vma->root->rwsem).",
} satisfies Descriptions

/** Of a machine that can swap. */
export const swapState = {
  swapN:
    "A slot of the swap area: how many page table entries name it (swap_map), the page that is cached for it, and what was written out.",
} satisfies Descriptions

/** Of a process that a device works for, and of its child (spec/driver/calls.ts). */
export const processState = {
  ...memoryState,
  mm: addressSpaceOf("the process"),
  child: "The address space of the child that a fork makes (struct mm_struct); nobody uses it before.",
} satisfies Descriptions

/** A thread that makes one of the calls of spec/driver/calls.ts. */
export const invalidatingThread =
  "A thread of the process that makes one system call by which pages are taken away or protected, such as munmap, MADV_DONTNEED or fork."

/** What the monitors of drivers keep (spec/driver/windows.ts and the files beside it). */
export const driverMonitors = {
  window:
    "By fiber: the range of which it has told the driver that it invalidates it, and whether the driver's callback has returned since.",
  unlocked: "The last step that was taken without the lock that it needs, in words; empty if there was none.",
  late: "The last store of the device through an entry that had been taken away, in words; empty if there was none.",
  current:
    "By fiber: whether it has found, under the lock, that what it looked up is still so, and therefore has to map it.",
  forgotten: "The last fiber that found its page current and gave up the lock without mapping it, in words.",
} satisfies Descriptions

/** Of the machine of spec/mm/world.ts. */
export const coreState = {
  ...memoryState,
  parent: addressSpaceOf("the process that everything is about"),
  child: addressSpaceOf("the child that fork makes"),
  file: fileOf("The file that processes may map"),
} satisfies Descriptions

/** The monitors of that machine that every protocol on it has. */
export const coreMonitors = {
  window:
    "By fiber: the range that it invalidates, from mmu_notifier_invalidate_range_start to the end, whom it has told, and whether starts and ends pair up.",
  slips: "By rule of single steps: whether the step was ever taken, and whether the rule was kept or broken.",
  holds:
    "By fiber: the page that it got by its address (get_user_pages), and whether it is pinned, kept, and still the process's.",
  memory: "What each process, and the file, should find at each page: what was last stored there, or `?` for anything.",
  racing: "By page: who has taken it from running threads and not yet flushed their TLBs, so that stores may be lost.",
  advised: "The pages that MADV_DONTNEED calls, under way or returned (`gone`), have promised to take away.",
  flushes: "By fiber: the flush of TLBs that it is in; `completed` is the latest that has returned.",
} satisfies Descriptions

/** Walkers are watched where there are any. */
export const walkMonitors = {
  walks:
    "By fiber: the page table that it walks without locks, and the areas that its walk by reverse mapping has met (`met`).",
} satisfies Descriptions

/** The fibers that operations of the core are done by; `N` is the operation's place in the scenario's name, from 0. */
export const coreActors = {
  init: "No part of the kernel: lays out what is at the page, of a kind that it chooses, and starts the operations' fibers, numbered from 0.",
  cpuN: "A thread of the process, on a CPU of its own, that does one operation; its number is that operation's place, from 0.",
  childN: "A thread of the child process, or of another one; it stores to the page, or exits.",
  kswapdN: "The kernel thread that reclaims memory when it is short: it unmaps the page and writes it out.",
  kcompactdN: "The kernel thread that makes room by moving pages: it migrates the page to another place in memory.",
  oom_reaperN:
    "The kernel thread that takes a killed process's memory without waiting for its exit; it must not wait for drivers.",
  khugepagedN: "The kernel thread that collapses the pages of a page table into one huge page.",
} satisfies Descriptions

/** Of the small address space of the notifiers' own protocols (model/notifier/notifiedMm.ts). */
export const notifiedState = {
  folioN: memoryState.folioN,
  memcg: memoryState.memcg,
  i_mmap_rwsem: "The lock of the file's mappings (i_mmap_rwsem), under which truncation announces a range.",
  anon_vma: "The lock of the anonymous area (anon_vma->rwsem), under which reclaim announces a range.",
  mm_all_locks_mutex:
    "The mutex of whoever takes all locks of an address space, as mmu_notifier_register does (mm_all_locks_mutex).",
} satisfies Descriptions

/** `struct dev_pagemap` of a GPU, and the mutex of its driver (model/deviceMemory/pgmap.ts, model/driver/gpuEvict.ts). */
export const gpuMemoryState = {
  vramN:
    "The memory of a GPU (struct dev_pagemap): how many pages are given out, whether it is being taken away, or gone.",
  migrate_mutex: "The mutex under which a driver migrates to its memory; who unbinds it waits for that.",
} satisfies Descriptions

/** What a driver with memory of its own has for a process (model/driver/gpu.ts). */
export const deviceCard =
  "What the driver of a device with memory has for the process: page table and lock, subscription, and the lock of its fault buffer."

/** model/hmm/iommu.ts */
export const iommuTable =
  "The IOMMU's table for the device: what each DMA address means; and the first access that it refused (`fault`)."

/** model/lease/clock.ts */
export const leaseClock =
  "The time, in ticks (jiffies), and the tick at which each sleeper is to be woken (`alarm`); without ticks it stands still."

/** model/lease/lease.ts */
export const fileLeases =
  "The file's leases (struct file_lock_context): flc_lock, the list, who waits for whose; and who has the file open."

/** A file system on a device that is shared (model/lease/xfsFile.ts). */
export const xfsState = {
  device:
    "The block device that server and clients share: what each block holds, and the clients that it refuses (`fenced`).",
  xfs: "The file system (struct xfs_mount): its free blocks, the generation of its layout, and whether it is shut down.",
  other: "Another file, which takes the blocks that become free, or shares the file's; with the same cells.",
} satisfies Descriptions

/** A file of which clients have layouts (model/lease/nfsdLayouts.ts, model/driver/pnfsClient.ts). */
export const layoutState = {
  clientN:
    "A client's layout: its segments, what is under way or uncommitted; and the server's state for it (`ls`, struct nfs4_layout_stateid).",
  file: "The file (struct xfs_inode): its blocks (`extentN`), IOLOCK, size and cached pages, and its leases (struct file_lock_context).",
  ...xfsState,
  running: "The threads that have not ended yet: the model's own, so that workers and callbacks come to an end.",
} satisfies Descriptions

/** The fiber that answers for a client. */
export const recallService = "The client's callback service, which answers the server's recalls (CB_LAYOUTRECALL)."
