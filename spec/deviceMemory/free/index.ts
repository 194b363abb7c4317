import { protocol } from "../../../checker/index.ts"
import { deviceFreeBugs } from "./bugs.ts"
import { deviceFreeScenarios } from "./scenarios.ts"

export const deviceFree = protocol({
  id: "device-memory/free",
  title: "The freeing of device memory (mm/memremap.c: free_zone_device_folio): what is the driver's again, and when",
  about: {
    purpose:
      "When the last reference to a page of a device's memory is dropped the page is its driver's again, who may give it out at once, in a folio of another order. What free_zone_device_folio still reads or writes of it after that moment belongs to somebody else. The module may be removed meanwhile: the memory goes only when every page is back.",
    actors: {
      taskN: "A process that drops its reference to a folio in the device's memory; whoever drops the last frees it.",
      gpuN: "A driver that takes one page or two of the device's memory, maps them for a process, and frees them.",
      rmmod:
        "Unloads the driver: no page is given out any more, and the memory goes when all are back (memunmap_pages).",
    },
    state: {
      pgmap:
        "The device's memory (struct dev_pagemap): its struct pages (`pageN`), the references that keep it (`ref`), and the driver's free list (`devmem`).",
    },
    monitors: {
      freeing:
        "By fiber: the folio that it frees, and how many of its references to the page map it has still to drop.",
      slips:
        "By rule: whether it was broken, such as a folio that the driver is given twice, or after the end of its memory.",
    },
    notModelled: [
      "What maps the pages: a reference is a reference.",
      "Kinds of memory that a driver does not hand out one by one: FS_DAX and PCI_P2PDMA.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  scenarios: deviceFreeScenarios,
  bugs: deviceFreeBugs,
})
