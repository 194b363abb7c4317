import * as Effect from "effect/Effect"
import type { Comparison, ComparisonCell } from "../../../checker/index.ts"
import { bills } from "../../hmm/seed001/bills.ts"
import type { Event, Style } from "../../hmm/seed001/world.ts"

const points: { readonly [event in Event]: string } = {
  reclaim: "The page is to be reclaimed while the device stores to it once.",
  migrate: "The page is to be moved within memory while the device stores to it once.",
  fork: "The process forks and stores to the page itself while the device stores to it once.",
}

const billed = (style: Style, event: Event) =>
  Effect.map(bills(style, event), ({ holds, ends }): ComparisonCell => ({ outcome: [holds, ...ends] }))

/** Mirrors and pins: what either costs the others. */
export const notifierOrPin: Comparison = {
  id: "comparison/notifier-or-pin",
  title: "Notifier or pin: a device that lets go of a page, and one that holds it",
  question:
    "A device works on a page of a process. Its driver either mirrors the process's page table and lets go when a notifier tells it to, or pins the page until the job is done. What may a run come to for the others who want the page, and for the device? Each cell lists, behind the scenario and what it came to, all bills with which a run can end: `got` counts the device's faults or pins, `taken` how often the page was taken from the device, `kept` and `reclaimed`, `moved` and `stayed` what became of the page, `copiedByFork` and `copiedByStore` who paid for a copy.",
  source: "Re: [PATCH 07/10] mm/hmm: add an helper function that fault pages, LKML, 19 March 2019",
  designs: ["mirror: hmm_range_fault and an interval notifier", "pin: FOLL_PIN and FOLL_LONGTERM"],
  rows: Effect.forEach(Object.entries(points), ([event, point]) =>
    Effect.gen(function* () {
      const of = event as Event // the keys of `points` are events
      return { point, cells: [yield* billed("mirror", of), yield* billed("pin", of)] }
    }),
  ),
  conclusion: [
    "Who mirrors lets the page go and pays with another fault when it wants it again; in between others may come. Who pins is asked for nothing again, and the others pay: the page stays where it is for as long as the pin lasts, and fork has to copy it at once.",
  ],
}
