/** Seeded bugs: drivers that do a little of both, or neither. */
import * as Effect from "effect/Effect"
import { changeBody, type Replacement, type Replacements, type SeededBug, step } from "../../../checker/index.ts"
import { type Folio, folioOf, isLive } from "../../../model/mm/folio.ts"
import { getUserPages } from "../../../model/mm/gup.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { mappedPage } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { type Event, type JobWorld, jobName, type Style } from "./world.ts"

const inJob =
  (replacements: (world: JobWorld) => Replacements) =>
  (world: JobWorld, fiber: string): Replacements =>
    fiber === jobName ? replacements(world) : {}

const inCell = (event: Event, style: Style) => ({ scenario: `hmm/seed001/${event}-${style}`, bound: { stores: 1 } })

const question =
  "the question on FOLL_GET in: mm/hmm: add an helper function that fault pages and map them to a device, LKML 2019"

/** The mirroring driver takes something of what it maps, besides. */
const takes = (what: (folio: Folio, mm: Mm) => void) =>
  inJob(({ mm, device }) => ({
    device_map: changeBody(({ body }) => {
      body()
      const page = device === undefined ? null : (at(device.pageTable, 0).value?.page ?? null)
      if (page !== null && isLive(mm.system.folios, page)) what(folioOf(mm.system.folios, page), mm)
    }),
  }))

/** What the pinning driver has got counts for less than a pin until it is given back. */
const counts = (change: (folio: Folio, by: -1 | 1) => void) =>
  inJob(({ mm, record }) => {
    const { folios } = mm.system
    const got: Replacement = changeBody(({ body }) => {
      const result = body()
      const page = mappedPage(at(mm.pte, 0).value)
      if (typeof result === "object" && page !== null) change(folioOf(folios, page), -1)
      return result
    })
    const given: Replacement = changeBody(({ body }) => {
      const page = record.pinned.value
      if (page === null || !isLive(folios, page)) return undefined
      change(folioOf(folios, page), 1)
      return body()
    })
    return { follow_page_pte: got, unpin_user_page: given }
  })

const asReference = counts((folio, by) => {
  folio.pincount += by
})

const asNothing = counts((folio, by) => {
  folio.pincount += by
  folio.refcount += by
})

export const jobBugs: ReadonlyArray<SeededBug<JobWorld>> = [
  {
    id: "seed001-reference-stops-reclaim",
    title: "a driver has a notifier and a reference as well, and reclaim goes away empty-handed",
    source: question,
    ...inCell("reclaim", "mirror"),
    breaks: "SEED001-MIRROR-RECLAIMED",
    at: takes((folio) => {
      folio.refcount++
    }),
  },
  {
    id: "seed001-reference-stops-migration",
    title: "a driver has a notifier and a reference as well, and the page cannot be moved",
    source: question,
    ...inCell("migrate", "mirror"),
    breaks: "SEED001-MIRROR-MOVED",
    at: takes((folio) => {
      folio.refcount++
    }),
  },
  {
    id: "seed001-mirror-pins",
    title: "a driver has a notifier and a pin as well, and every fork copies the page",
    source: "mm/memory.c: copy_present_ptes, folio_try_dup_anon_rmap_pte",
    ...inCell("fork", "mirror"),
    breaks: "SEED001-MIRROR-SHARED",
    at: takes((folio, mm) => {
      folio.refcount++
      folio.pincount++
      mm.state.hasPinned = true
    }),
  },
  {
    id: "seed001-mirror-forgets",
    title: "a driver keeps nothing of what it maps, for fear that it be invalidated",
    source: "include/linux/mmu_notifier.h",
    scenario: "hmm/seed001/reclaim-mirror",
    bound: { stores: 2 },
    breaks: "SEED001-MIRROR-FAULTS",
    at: inJob(({ device }) => ({
      device_store: (original) =>
        Effect.tap(original, (done) =>
          done === true && device !== undefined
            ? step("device: forget", () => {
                at(device.pageTable, 0).value = null
              })
            : Effect.void,
        ),
    })),
  },
  {
    id: "seed001-store-under-way",
    title: "the callback does not wait for the stores that have found the entry already, and one of them comes late",
    source: "include/linux/mmu_notifier.h: invalidate_range_start; by inference",
    ...inCell("migrate", "mirror"),
    breaks: "SEED001-STORE-ARRIVES",
    at: inJob(({ mm, device }) => ({
      device_store: (original, { name, args }) =>
        Effect.flatMap(
          step("device_store: translation", args, () =>
            device === undefined ? null : at(device.pageTable, Number(args[1])).value,
          ),
          (entry) => {
            const page = entry?.write === true ? entry.page : null
            if (page === null) return original
            return step(name, args, () => {
              if (isLive(mm.system.folios, page)) folioOf(mm.system.folios, page).content = String(args[2])
              return true
            })
          },
        ),
    })),
  },
  {
    id: "seed001-gets-not-pins",
    title:
      "a driver without a notifier takes a reference where it should pin: reclaim unmaps what the device stores to",
    source: "Documentation/core-api/pin_user_pages.rst: case 2",
    ...inCell("reclaim", "pin"),
    breaks: "SEED001-PIN-KEEPS",
    at: asReference,
  },
  {
    id: "seed001-fork-shares-referenced",
    title: "a driver without a notifier takes a reference where it should pin: fork shares what the device stores to",
    source:
      "Documentation/core-api/pin_user_pages.rst; commit 70e806e4e645: mm: Do early cow for pinned pages during fork() for ptes",
    ...inCell("fork", "pin"),
    breaks: "SEED001-PIN-COPIED",
    at: asReference,
  },
  {
    id: "seed001-neither-reclaimed",
    title: "a driver has neither a notifier nor a reference, and the page is somebody else's under its hands",
    source: question,
    ...inCell("reclaim", "pin"),
    breaks: "SEED001-PIN-UNRECLAIMED",
    at: asNothing,
  },
  {
    id: "seed001-neither-moved",
    title: "a driver has neither a notifier nor a reference, and the page is moved away",
    source: question,
    ...inCell("migrate", "pin"),
    breaks: "SEED001-PIN-UNMOVED",
    at: asNothing,
  },
  {
    id: "seed001-pins-for-each-store",
    title: "a driver pins anew for each store, and never gives all of it back",
    source: "Documentation/core-api/pin_user_pages.rst: case 2",
    ...inCell("migrate", "pin"),
    breaks: "SEED001-PIN-FAULTS",
    at: inJob(({ mm }) => ({
      dma_write: (original) =>
        Effect.andThen(Effect.option(getUserPages(mm, 0, { write: true, pin: true, longterm: true })), original),
    })),
  },
]
