import * as Effect from "effect/Effect"
import type { Bound, Comparison, Protocol } from "../../../checker/index.ts"
import { acceptance } from "../../deviceMemory/coherent/seed000.ts"
import { deviceMemory } from "../../deviceMemory/index.ts"
import { ttm } from "../../driver/ttm/index.ts"
import { directIo, evict, unmapped } from "../../driver/ttm/scenarios.ts"
import { breaks, comesOut } from "../outcomes.ts"

/** What a design is asked: a scenario and the properties that are about the point, and a bug that takes them away. */
interface Asked {
  readonly protocol: Protocol
  readonly scenario: string
  readonly bound?: Bound
  readonly properties: ReadonlyArray<string>
  readonly bug?: string
  readonly finding?: string
}

const withPages = { protocol: deviceMemory } as const
const evicted = { protocol: ttm, scenario: evict.id, bound: { processes: 1 } } as const

const points: ReadonlyArray<readonly [point: string, pages: Asked, pfnmap: Asked]> = [
  [
    "Memory moves to the device while a process stores to it, and no store is lost.",
    { ...withPages, scenario: acceptance.id, properties: ["MIGD-NO-LOST-WRITE"], bug: "device-finalize-before-copy" },
    {
      ...evicted,
      properties: ["PFN-MAPS-RESOURCE", "PFN-LAST-STORE"],
      bug: "ttm-moved-while-mapped",
      finding:
        "It holds where the driver unmaps what it moves, by the place in its file. What is not its own object it cannot move.",
    },
  ],
  [
    "Every place that maps a page of the device is found from the page.",
    { ...withPages, scenario: acceptance.id, properties: ["DEV-NOT-PFNMAP"], bug: "device-page-not-in-rmap" },
    {
      ...evicted,
      properties: ["PFN-NOT-RMAPPED"],
      bug: "ttm-object-mapped-as-page",
      finding:
        "The reverse holds: nothing leads from the memory to its mappings. Only its driver, which knows the file, finds them.",
    },
  ],
  [
    "A process unmaps the memory while it is taken away: nobody reaches what has been given up.",
    { ...withPages, scenario: "device/pairs/migrate-to-device+munmap", properties: ["ZAP-TLB-BEFORE-FREE"] },
    {
      protocol: ttm,
      scenario: unmapped.id,
      properties: ["PFN-TLB"],
      bug: "pfnmap-munmap-flushes-late",
      finding:
        "A page is kept by a reference until the TLBs are flushed. Without pages munmap has to flush before the area leaves the file's tree, in which the driver looks: for years it did not.",
    },
  ],
  [
    "What is mapped is charged to a control group and counts as the process's memory.",
    { ...withPages, scenario: acceptance.id, properties: ["DEV-MEMCG", "DEV-RSS"], bug: "device-page-uncharged" },
    {
      ...evicted,
      properties: ["PFN-UNCOUNTED"],
      bug: "ttm-object-counted",
      finding: "The reverse holds: it is charged to nobody and not counted.",
    },
  ],
  [
    "Direct I/O to the memory is possible.",
    {
      ...withPages,
      scenario: "device/pairs/migrate-to-device+pin-fast-write",
      properties: ["MIGD-PIN-STOPS"],
      bug: "device-migrate-commit-unchecked",
      finding: "The page comes back to the system's memory first; while it is pinned there it stays.",
    },
    {
      protocol: ttm,
      scenario: directIo.id,
      properties: ["PFN-NO-GUP"],
      bug: "pfnmap-page-pinned",
      finding: "The reverse holds: whoever asks for the page gets EFAULT.",
    },
  ],
]

const cell = Effect.fnUntraced(function* ({ protocol, scenario, bound = {}, properties, bug, finding }: Asked) {
  const holds = yield* comesOut(protocol, scenario, bound, properties)
  const outcome = bug === undefined ? holds : [...holds, ...(yield* breaks(protocol, bug))]
  return { outcome, ...(finding === undefined ? {} : { finding }) }
})

/** Device memory with pages, and mapped by its driver without. */
export const structPageOrPfnmap: Comparison = {
  id: "comparison/struct-page-or-pfnmap",
  title: "Device memory: pages of its own, or a special area (VM_PFNMAP)",
  question:
    "Should a device's memory have struct pages, so that anonymous memory can move there and back, or be mapped by its driver through an area of its own kind? Both are modelled: ZONE_DEVICE memory, and buffer objects of TTM. Each cell has a run of the protocol, and most have one of a seeded bug that takes away what the point is about.",
  source: "Re: Interacting with coherent memory on external devices, LKML, 27 April 2015",
  designs: ["struct pages (ZONE_DEVICE)", "no pages (VM_PFNMAP)"],
  rows: Effect.forEach(points, ([point, pages, pfnmap]) =>
    Effect.gen(function* () {
      return { point, cells: [yield* cell(pages), yield* cell(pfnmap)] }
    }),
  ),
  conclusion: [
    "With pages, memory that comes into being on the device is used as any other: both sides store to it in every order, it is counted, charged, found and pinned (or brought back for that). Without pages what moves is the driver's own object, and the driver answers for each mapping itself: the core neither finds, counts, charges nor lends it.",
    "That special areas need vm_ops for anonymous memory too, and how many places of the core would have to know of them, is not a matter of schedules: no run of a model says it.",
  ],
}
