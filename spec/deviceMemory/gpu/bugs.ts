/** Seeded bugs of a driver that gets its memory back. */
import * as Effect from "effect/Effect"
import { changeBody, changeGuard, type SeededBug, step } from "../../../checker/index.ts"
import { folioOf, frameOf } from "../../../model/mm/folio.ts"
import type { DeviceWorld } from "../world.ts"
import { evict, unbind } from "./scenarios.ts"

/** The content of the page in a frame. Within a step. */
const contentIn = ({ folios }: DeviceWorld, pfn: unknown): string => folios.arena.slots[Number(pfn)]?.content ?? ""

export const gpuBugs: ReadonlyArray<SeededBug<DeviceWorld>> = [
  {
    id: "eviction-copies-mapped-page",
    title: "an eviction copies its page when it has locked it, and then unmaps it: what the GPU stores between is lost",
    source: "Documentation/mm/hmm.rst: Migration to and from device memory; mm/migrate_device.c: migrate_device_range",
    scenario: evict.id,
    bound: { calls: 0, accesses: 1 },
    breaks: "MIGD-NO-LOST-WRITE",
    at: (world, fiber) => {
      if (!fiber.startsWith("driver")) return {}
      let copied = ""
      return {
        "migrate_device_pfn_lock: folio_trylock": (original, { args }) =>
          Effect.tap(original, () =>
            Effect.map(
              step("copy_page, before", [...args], () => contentIn(world, args[0])),
              (content) => {
                copied = content
              },
            ),
          ),
        copy_page: changeBody(({ args }) => {
          const folio = world.folios.arena.slots[Number(args[1])]
          if (folio !== undefined) folioOf(world.folios, frameOf(folio)).content = copied
        }),
      }
    },
  },
  {
    id: "memunmap-does-not-wait",
    title: "a driver takes its memory away with pages in use that its eviction has passed over",
    source: "mm/memremap.c: memunmap_pages",
    scenario: unbind.id,
    breaks: "DEV-MEMUNMAP",
    at: () => ({ "memunmap_pages: wait_for_completion": changeGuard() }),
  },
]
