/** Seeded bugs: what has to be looked up and changed at once is looked up first, and changed in a step of its own. */
import * as Effect from "effect/Effect"
import { builtIn, type Plain, type Replacement, type SeededBug, step } from "../../../../checker/index.ts"
import { type Frame, folioPut } from "../../../../model/mm/folio.ts"
import { at } from "../../../../model/mm/range.ts"
import { ownExclusive, ownMigrate } from "../scenarios/devices.ts"
import { young } from "../scenarios/subscriptions.ts"
import type { MmuNotifierWorld } from "../world.ts"

/** A step in two: the second has what the first has found. */
const torn =
  <A extends Plain>(
    look: (va: number) => A,
    change: (va: number, found: A, owner: Plain | undefined) => Plain,
  ): Replacement =>
  (_, { name, args }) =>
    Effect.flatMap(
      step(`${name}: look`, args, () => look(Number(args[1]))),
      (found) => step(name, args, () => change(Number(args[1]), found, args[2])),
    )

export const tornBugs: ReadonlyArray<SeededBug<MmuNotifierWorld>> = [
  {
    id: "zap-looks-first",
    title: "who takes a page away looks it up before the page table's lock is held, and frees what was moved meanwhile",
    source: "mm/memory.c: zap_pte_range, pte_offset_map_lock, by inference",
    scenario: ownMigrate.id,
    bound: { others: 0, cpus: 1, faults: 0 },
    breaks: builtIn.assertion,
    at: ({ mm }) => ({
      zap_pte_range: torn(
        (va) => at(mm.pte, va).value,
        (va, page: Frame | null) => {
          at(mm.pte, va).value = null
          if (page !== null) folioPut(mm.folios, page)
          return []
        },
      ),
    }),
  },
  {
    id: "exclusive-looks-first",
    title: "make_device_exclusive looks the page up before the page table's lock is held, and it goes meanwhile",
    source: "mm/rmap.c: make_device_exclusive, folio_walk_start, by inference",
    scenario: ownExclusive.id,
    bound: { others: 0, cpus: 1 },
    breaks: "EXCL-PRESENT",
    at: ({ mm }) => ({
      make_device_exclusive: torn(
        (va) => at(mm.pte, va).value,
        (va, page: Frame | null, owner) => {
          if (page !== null) at(mm.exclusive, va).value = String(owner)
          return page
        },
      ),
    }),
  },
  {
    id: "young-bit-lost",
    title: "the accessed bit is read, and cleared in a second step: a use between the two is forgotten",
    source: "include/linux/pgtable.h: ptep_test_and_clear_young, by inference",
    scenario: young.id,
    bound: { devices: 2, asks: 1, damon: 0, cpus: 0 },
    breaks: "NOTIFIER-YOUNG-KEPT",
    at: ({ mm }) => ({
      ptep_test_and_clear_young: torn(
        (va) => at(mm.young, va).value,
        (va, was: boolean) => {
          at(mm.young, va).value = false
          return was
        },
      ),
    }),
  },
]
