/** One job of a device, done by a mirroring driver and by a pinning one, while the page is to be reclaimed, moved or shared. */
import * as Effect from "effect/Effect"
import type { Setup } from "../../../checker/index.ts"
import { type MirrorDevice, mirrorAccess, mirrorDevice } from "../../../model/driver/mirror.ts"
import { userStore } from "../../../model/mm/access.ts"
import { dupMmap } from "../../../model/mm/fork.ts"
import { getUserPages, putUserPage, setPageDirty, storeThrough } from "../../../model/mm/gup.ts"
import { migratePage } from "../../../model/mm/migrate.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { at } from "../../../model/mm/range.ts"
import { reclaimPage } from "../../../model/mm/reclaim.ts"
import { treeInsert } from "../../../model/notifier/interval.ts"
import { type Process, processOf } from "../../driver/calls.ts"
import { intervalSteps, recordWindows, type Windows } from "../../driver/windows.ts"
import { type CostRecord, recordCost } from "./record.ts"

/** What the properties and seeded bugs see. */
export interface JobWorld {
  readonly mm: Mm
  readonly child: Mm
  /** The mirroring device; a pinning one has no page table that anybody could change. */
  readonly device: MirrorDevice | undefined
  readonly windows: Windows
  readonly record: CostRecord
}

/** What else wants the page, and who does it. */
export const events = { reclaim: "kswapd", migrate: "kcompactd", fork: "cpu0" } as const
export type Event = keyof typeof events

/** How the driver gets at the page. */
export type Style = "mirror" | "pin"

export const jobName = "job"

export const jobWorld = (style: Style, event: Event, stores: number): Setup<JobWorld> => {
  const process = processOf({ pages: 1, cpus: ["cpu0"], users: 1, spare: 3 })
  const { mm, child } = process
  rest(mm)
  const device = style === "mirror" ? mirrorDevice(mm, jobName, { start: 0, end: 1 }) : undefined
  if (device !== undefined) treeInsert(mm.subscriptions, device.name)
  const fibers = {
    [jobName]: device === undefined ? pinningJob(mm, stores) : mirroringJob(device, stores),
    [events[event]]: happens(process, event),
  }
  const { windows, monitor } = recordWindows(Object.keys(fibers), intervalSteps)
  const record = recordCost(jobName, mm)
  return { world: { mm, child, device, windows, record }, fibers, monitors: [monitor, record.monitor] }
}

/** The page was not used of late. */
const rest = (mm: Mm): void => {
  const entry = at(mm.pte, 0)
  if (entry.value?.kind === "present") entry.value = { ...entry.value, young: false }
}

const happens = Effect.fnUntraced(function* ({ mm, child }: Process, event: Event) {
  if (event === "reclaim") yield* reclaimPage(mm, 0)
  if (event === "migrate") yield* migratePage(mm, 0)
  if (event !== "fork") return
  yield* Effect.ignore(dupMmap(mm, child))
  yield* Effect.ignore(userStore(mm, "cpu0", 0, "cpu0"))
})

/** A device that can do without the page at any time: it has a notifier, and no reference. */
const mirroringJob = Effect.fnUntraced(function* (device: MirrorDevice, stores: number) {
  for (let store = 0; store < stores; store++) yield* mirrorAccess(device, 0, jobName)
})

/** A device that cannot: it pins the page for as long as it works there. */
const pinningJob = Effect.fnUntraced(function* (mm: Mm, stores: number) {
  const page = yield* Effect.option(getUserPages(mm, 0, { write: true, pin: true, longterm: true }))
  if (page._tag === "None") return
  for (let store = 0; store < stores; store++) yield* storeThrough(mm.system, page.value, jobName)
  yield* setPageDirty(mm.system, page.value)
  yield* putUserPage(mm.system, page.value)
})
