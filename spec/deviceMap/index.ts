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
