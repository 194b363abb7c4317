/** Seeded bugs of a device of 2008 that hears of single pages and of the end of the process, and keeps references. */
import * as Effect from "effect/Effect"
import { changeBody, leaveOut, type Plain, type SeededBug } from "../../../checker/index.ts"
import { dropEntry, wholeOf } from "../../../model/driver/external2008.ts"
import { folioPut } from "../../../model/mm/folio.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { engine } from "./scenarios.ts"
import type { World2008 } from "./world.ts"

const m4 = "Lameter, Morton: Re: [patch 1/6] mmu_notifier: Core code, LKML 16 February 2008"

/** Where bugs are hunted: at bounds that are no larger than it takes. */
const inEngine = { scenario: engine.id, bound: { reclaim: 0, writeback: 0 } }

export const engineBugs: ReadonlyArray<SeededBug<World2008>> = [
  {
    id: "n08-engine-without-reference",
    title:
      "a device that hears of no ranges gives its reference back when it has mapped the page, as those do that hear of them",
    source: `${m4}: "Without this feature we are stuck with page pinning"; mmu_notifier_ops as posted, each callback of which is optional; by inference`,
    ...inEngine,
    breaks: "MIRROR-NO-UAF",
    at: ({ machine, engines }) => ({
      device_map: changeBody((operation) => {
        const device = engines.find(({ name }) => name === operation.args[0])
        operation.body()
        const page = device === undefined ? null : at(device.pageTable, Number(operation.args[1])).value?.page
        if (page) folioPut(machine.folios, page)
      }),
      dma_invalidate_page: changeBody(({ args }) => forget(engines, args)),
      dma_release: changeBody(({ args }) => forget(engines, args)),
    }),
  },
  {
    id: "n08-engine-without-second-look",
    title: "a device that keeps references maps a page that it was told to let go of since it looked it up",
    source: `${m4}: "From page_mkclean() we must always evict the page to switch off the write protect bit.", by inference`,
    scenario: engine.id,
    bound: { reclaim: 0, writeback: 1 },
    breaks: "N08-MKCLEAN",
    at: () => ({ "dma_fault: retry": (original) => Effect.as(original, false) }),
  },
  {
    id: "n08-engine-hears-of-no-page",
    title:
      "a device that keeps references does without invalidate_page, too: it stores to a page that was written back",
    source: `${m4}: "stuck with page pinning by increasing refcounts"`,
    scenario: engine.id,
    bound: { reclaim: 0, writeback: 1 },
    breaks: "N08-MKCLEAN",
    at: () => ({ dma_invalidate_page: leaveOut() }),
  },
  {
    id: "n08-engine-ignores-release",
    title: "a device keeps its references when the process ends",
    source: `${m4}: ->release() "gives the device driver a chance to zap all the external mappings in one go"`,
    ...inEngine,
    breaks: "N08-RELEASE-FIRST",
    at: () => ({ dma_release: leaveOut() }),
  },
]

/** Drops the entries of a device's, or the one of the page that is said, without the references that it does not have. */
function forget(engines: World2008["engines"], [name, va]: ReadonlyArray<Plain>): void {
  const device = engines.find((one) => one.name === name)
  if (device === undefined) return
  device.state.seq++
  for (const page of va === undefined ? pagesOf(wholeOf(device)) : [Number(va)]) dropEntry(device, page)
}
