import { protocol } from "../../checker/index.ts"
import { deviceMapBugs } from "./bugs.ts"
import { deviceMapScenarios } from "./scenarios.ts"
import { deviceMapSurvivors } from "./survivors.ts"

export const deviceMap = protocol({
  id: "device-map",
  title: "device_map and device_unmap (proposed 2019): blocks of files for devices, by way of the VMA",
  about: {
    purpose:
      "In 2019 it was proposed that a device ask the owner of a VMA for the block behind an address (device_map), and that the kernel take it back whenever it likes (device_unmap): no pin, no lease, and refusal is an answer like any other, after which the device uses the page cache. Nobody may reach a block that was given to another file, and the block and the page cache must never be seen to differ.",
    actors: {
      gpuN: "A device that loads from or stores to the page by its process's address, mapping it by device_map where it can.",
      "cpu.mmN": "A thread of process `mmN` that loads from or stores to the page once.",
      kernelN:
        "Whoever takes mappings back: truncation, a hole, writeback, a window that moves, a shrinker, or munmap.",
      otherN: "Another file that takes a block if one is free, and is written to.",
    },
    state: {
      nvmeN:
        "The block device: its lock, what each block holds and whose it is, and which block a window of its PCIe BAR shows.",
      mmN: "A process: its mmap_lock, whether it has the mapping (`vma`), and what its page table allows of the page cache.",
      gpuN: "A device: its driver's lock, its entry for the page, the transfer under way, its cache line, and what was granted to it (`mapping`).",
      data: "The file, of one page: the lock over its blocks, its size, its block, and what the page cache has.",
      "/dev/npuN":
        "The file of a device whose driver implements the callbacks: as `data`, its memory in the place of blocks.",
    },
    monitors: {
      record:
        "What was stored last, whether anybody saw something else or was denied, and which revocations are under way or left a device mapped.",
    },
    notModelled: [
      "It was never merged: the model follows the mail, and what the mail leaves open is decided as the invariants need it.",
      "The CPU's side in short: an entry of a page table and what TLBs have of it are one.",
      "One page of one file; windows of the BAR are slots.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  environment: ["device_access: done", "other: write"],
  scenarios: deviceMapScenarios,
  bugs: deviceMapBugs,
  survivors: deviceMapSurvivors,
})
