/**
 * What is announced on behalf of a device is there for a reason too: without any one of these announcements some scenario
 * breaks. Made from the list of all functions that announce so, as that of the core (spec/mm/bugs/unannounced.ts).
 */
import * as Effect from "effect/Effect"
import type { Replacement, Replacements, SeededBug } from "../../../checker/index.ts"
import type { DeviceCaller } from "../../../model/notifier/events.ts"
import { exclusiveProtected, mapAndTake, takeFromOther } from "../races.ts"
import type { DeviceWorld } from "../world.ts"

/** Where it shows that a function says nothing, and as what. */
const shows: {
  readonly [caller in DeviceCaller]: Pick<SeededBug<DeviceWorld>, "scenario" | "breaks">
} = {
  migrate_vma_collect: { scenario: "device/pairs/gpu-load+migrate-to-device", breaks: "MIGD-ONE-COPY" },
  // What the GPU maps is the zero page.
  migrate_vma_insert_page: { scenario: "device/pairs/gpu-load+migrate-to-device", breaks: "MIRROR-AGREE" },
  make_device_exclusive: { scenario: mapAndTake.id, breaks: "EXCL-ONE-OWNER" },
  remove_device_exclusive_entry: { scenario: exclusiveProtected.id, breaks: "EXCL-CPU-BLOCKED" },
}

/** The announcements of these functions are left out: nobody is called, and nothing is to be ended. */
const silence = (...callers: ReadonlyArray<string>): Replacements => {
  const silent =
    (result: null | false): Replacement =>
    (original, { args }) =>
      callers.includes(String(args[4])) ? Effect.succeed(result ?? { seq: 0, first: null }) : original
  return { mn_itree_inv_start_range: silent(null), mn_itree_inv_end: silent(false) }
}

const source = "Documentation/mm/mmu_notifier.rst"

export const unannounced: ReadonlyArray<SeededBug<DeviceWorld>> = [
  ...Object.entries(shows).map(([caller, { scenario, breaks }]) => ({
    id: `unannounced-${caller}`,
    title: `${caller} does not tell the notifier`,
    source,
    scenario,
    breaks,
    at: () => silence(caller),
  })),
  {
    id: "exclusive-two-owners",
    title: "neither that a page becomes a device's alone is announced, nor that it is taken back: two devices have it",
    source,
    scenario: takeFromOther.id,
    breaks: "EXCL-ONE-OWNER",
    at: () => silence("make_device_exclusive", "remove_device_exclusive_entry"),
  },
]
