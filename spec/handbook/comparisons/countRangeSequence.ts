import * as Effect from "effect/Effect"
import type { Bound, Comparison, ComparisonCell, Protocol } from "../../../checker/index.ts"
import { notifier2008 } from "../../notifier/2008/index.ts"
import { intervalNotifier } from "../../notifier/interval/index.ts"
import { breaks, comesOut } from "../outcomes.ts"

const comesAndGoes = { devices: 1, pages: 1, invalidations: 2, removals: 1 }
const two = { pages: 1, invalidations: 2, devices: 1 }

const kept = (protocol: Protocol, scenario: string, bound: Bound, finding?: string) =>
  Effect.map(
    comesOut(protocol, scenario, bound),
    (outcome): ComparisonCell => (finding === undefined ? { outcome } : { outcome, finding }),
  )

const broken = (protocol: Protocol, bug: string, finding: string, elsewhere?: Parameters<typeof breaks>[2]) =>
  Effect.map(breaks(protocol, bug, elsewhere), (outcome): ComparisonCell => ({ outcome, finding }))

const points = [
  {
    point: "Two invalidations may overlap, and a device faults meanwhile.",
    cells: [
      kept(notifier2008, "notifier/2008/counter", two),
      kept(notifier2008, "notifier/2008/range-list", two),
      kept(intervalNotifier, "notifier/interval/overlapping", { devices: 1, pages: 1, invalidations: 2, removals: 0 }),
    ],
  },
  {
    point: "The device asks only whether an invalidation is under way, not whether there was one since it looked.",
    cells: [
      broken(
        notifier2008,
        "n08-begin-end-inside-fault-frees",
        "A count goes up and down again within a fault, and is what it was: it needs a sequence beside it.",
      ),
      broken(notifier2008, "n08-begin-end-inside-export", "A list of ranges forgets what is over, as a count does."),
      broken(
        intervalNotifier,
        "hmm-valid-flag-aba",
        "Used as a flag, the sequence is no better; its number is what tells that something was.",
      ),
    ],
  },
  {
    point: "What is remembered is not told apart when invalidations overlap.",
    cells: [
      broken(
        notifier2008,
        "overlapping-starts-tracked-as-boolean",
        "A flag is no count: the first end opens the gate too early.",
      ),
      broken(notifier2008, "n08-end-without-range", "An end must say of which range it is."),
      broken(
        intervalNotifier,
        "end-without-seq-bump",
        "The core counts what is under way; the sequence must become even when the last is over, or readers wait for ever.",
      ),
    ],
  },
  {
    point: "A device comes while an invalidation is under way, and nothing keeps it out or tells it.",
    cells: [
      broken(
        notifier2008,
        "n08-end-without-begin-installs",
        "An end without its begin makes the count one too low: registration must keep invalidations out.",
      ),
      broken(
        notifier2008,
        "n08-end-without-begin-installs",
        "An end of a range that is not in the list takes nothing off it: what is breached is the rule that ends have begins, and the next invalidation keeps the device out all the same.",
        { scenario: "notifier/2008/register-range-list", property: "N08-RANGE" },
      ),
      broken(
        intervalNotifier,
        "insert-full-seq-minus-one",
        "It may come at any time, if its sequence says that it came during an invalidation.",
      ),
    ],
  },
  {
    point: "A device comes while an invalidation is under way, as corrected.",
    cells: [
      kept(notifier2008, "notifier/2008/register", { pages: 1 }, "Registration keeps invalidations out."),
      kept(notifier2008, "notifier/2008/register-range-list", { pages: 1 }, "Registration keeps invalidations out."),
      kept(intervalNotifier, "notifier/interval/insert-remove", comesAndGoes, "It waits for nobody."),
    ],
  },
  {
    point: "A device goes while its pages are taken away.",
    cells: [
      kept(notifier2008, "notifier/2008/unregister-counter", {}),
      kept(notifier2008, "notifier/2008/unregister", {}),
      kept(
        intervalNotifier,
        "notifier/interval/insert-remove",
        comesAndGoes,
        "It goes at any time, and waits for the invalidation that is under way.",
      ),
    ],
  },
]

/** How a device finds out that what it looked up is stale. */
export const countRangeSequence: Comparison = {
  id: "comparison/count-range-sequence",
  title: "A count, a list of ranges, or a sequence: how a device learns that its look-up is stale",
  question:
    "A device looks a page up, and by the time it installs what it found the page may be gone. GRU counted the invalidations under way and installed nothing while there were any, XPMEM remembered the ranges; today's interval notifier has a sequence. Each is shown as corrected, and with what it cannot do without taken away.",
  source: "Re: [patch 1/6] mmu_notifier: Core code, LKML, 16 February 2008; mm/mmu_notifier.c: mmu_interval_read_begin",
  designs: ["a count (GRU in 2008)", "a list of ranges (XPMEM)", "a sequence (mmu_interval_notifier)"],
  rows: Effect.forEach(points, ({ point, cells }) =>
    Effect.map(
      Effect.forEach(cells, (cell) => (Effect.isEffect(cell) ? cell : Effect.succeed<ComparisonCell>(cell))),
      (all) => ({ point, cells: all }),
    ),
  ),
  conclusion: [
    "What is under way is not enough for any of the three: each is violated where that is all that the device asks for. Where the core keeps the number that goes on, as the interval notifier does, the driver counts nothing and remembers no range; it comes and goes while invalidations are under way.",
  ],
}
