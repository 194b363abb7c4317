import * as Effect from "effect/Effect"
import type { Comparison } from "../../../checker/index.ts"
import { acceptance } from "../../deviceMemory/coherent/seed000.ts"
import { deviceMemory } from "../../deviceMemory/index.ts"
import { breaks, comesOut } from "../outcomes.ts"

const points = [
  {
    point: "Every place that maps a page of the device is found from the page.",
    property: "DEV-NOT-PFNMAP",
    bug: "device-page-not-in-rmap",
    finding: "An area with VM_PFNMAP has no pages to ask: nothing leads from the memory to its mappings.",
  },
  {
    point: "A page of the device's memory that is mapped is charged to a control group.",
    property: "DEV-MEMCG",
    bug: "device-page-uncharged",
    finding: "A mapping without a page is charged to nobody.",
  },
  {
    point: "Pages in the device's memory count as their process's.",
    property: "DEV-RSS",
    bug: "device-page-not-counted",
    finding: "A mapping without a page is not counted either.",
  },
] as const

/** Device memory with pages, and what a mapping without pages loses. */
export const structPageOrPfnmap: Comparison = {
  id: "comparison/struct-page-or-pfnmap",
  title: "Device memory: pages of its own, or a special area (VM_PFNMAP)",
  question:
    "Should a device's memory have struct pages, so that anonymous memory can move there and back, or be mapped by its driver through an area of its own kind? The model has the first. Of the second it has what the mail says that it loses, each as a seeded bug that takes just that from the first.",
  source: "Re: Interacting with coherent memory on external devices, LKML, 27 April 2015",
  designs: ["struct pages (ZONE_DEVICE)", "no pages (VM_PFNMAP), by what it takes away"],
  rows: Effect.forEach(points, ({ point, property, bug, finding }) =>
    Effect.gen(function* () {
      return {
        point,
        cells: [
          { outcome: yield* comesOut(deviceMemory, acceptance.id, {}, [property]) },
          { outcome: yield* breaks(deviceMemory, bug), finding },
        ],
      }
    }),
  ),
  conclusion: [
    "With pages, memory that comes into being on the device is used as any other: both sides store to it in every order, it is counted, charged and found.",
    "That special areas need vm_ops for anonymous memory too, and how many places of the core would have to know of them, is not a matter of schedules: no run of a model says it.",
  ],
}
