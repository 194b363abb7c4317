/**
 * What is announced on behalf of a device is there for a reason too: without any one of these announcements some scenario
 * breaks. Made from the list of all functions that announce so, as that of the core (spec/mm/bugs/unannounced.ts).
 */
import * as Effect from "effect/Effect"
import type { Replacement, SeededBug } from "../../../checker/index.ts"
import type { DeviceCaller } from "../../../model/notifier/events.ts"
import { exclusiveProtected, mapAndTake } from "../races.ts"
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

/** The announcements of one function are left out: nobody is called, and nothing is to be ended. */
const silent =
  (caller: string, result: null | false): Replacement =>
  (original, { args }) =>
    args[4] === caller ? Effect.succeed(result ?? { seq: 0, first: null }) : original

export const unannounced: ReadonlyArray<SeededBug<DeviceWorld>> = Object.entries(shows).map(
  ([caller, { scenario, breaks }]) => ({
    id: `unannounced-${caller}`,
    title: `${caller} does not tell the notifier`,
    source: "Documentation/mm/mmu_notifier.rst",
    scenario,
    breaks,
    at: () => ({ mn_itree_inv_start_range: silent(caller, null), mn_itree_inv_end: silent(caller, false) }),
  }),
)
