/** Seeded bugs of copy-on-write. */
import * as Effect from "effect/Effect"
import { changeBody, guardedStep, type SeededBug, step } from "../../../checker/index.ts"
import { handleMmFault } from "../../../model/mm/fault.ts"
import { type Frame, folioOf } from "../../../model/mm/folio.ts"
import { grab } from "../../../model/mm/gup.ts"
import { findVma, type Mm, pageTableLock } from "../../../model/mm/mm.ts"
import { isWritable, wrprotect } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { isAnon } from "../../../model/mm/rmap.ts"
import { dropTranslations } from "../../../model/mm/tlb.ts"
import { mostAccess } from "../../../model/mm/vma.ts"
import { notifierRange } from "../../../model/notifier/events.ts"
import { mmuNotifierInvalidateRangeStart } from "../../../model/notifier/invalidate.ts"
import { isFree, keep, release } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { dirtyCow, hintAndPin, vmspliceAndStore } from "../scenarios/races.ts"
import type { MmWorld } from "../world.ts"
import { alone, andThen, blindToPins, placeOf, withoutFlush } from "./instead.ts"

/** `follow_page_pte` without the wish to write: whatever is mapped will do. */
const followForRead = (world: MmWorld, mm: Mm, va: number) =>
  guardedStep(
    "follow_page_pte",
    [mm.name, va, "get read"],
    () => isFree(pageTableLock(mm, va)),
    (): { readonly frame: Frame; readonly pinned: boolean } | null => {
      const pte = at(mm.pte, va).value
      if (pte?.kind !== "present") return null
      grab(folioOf(world.folios, pte.page), false)
      return { frame: pte.page, pinned: false }
    },
  )

export const cowBugs: ReadonlyArray<SeededBug<MmWorld>> = [
  {
    id: "dirty-cow",
    title: "once a forced write has broken copy-on-write, the page is looked up again as for a read",
    source: "commit 19be0eaffa3a: mm: remove gup_flags FOLL_WRITE games from __get_user_pages(); CVE-2016-5195",
    references: zoo(13),
    scenario: dirtyCow.id,
    bound: alone,
    breaks: "COW-FILE-UNTOUCHED",
    at: (world) => {
      let broken = false
      return {
        "wp_page_copy: set_pte_at": andThen(() =>
          Effect.sync(() => {
            broken = true
          }),
        ),
        follow_page_pte: (original, operation) =>
          Effect.gen(function* () {
            const found = yield* original
            if (found !== "fault") return found
            const { mm, va } = placeOf(world, operation)
            broken = false
            yield* handleMmFault(mm, va, { write: true })
            if (!broken) return found
            for (;;) {
              const page = yield* followForRead(world, mm, va)
              if (page !== null) return page
              yield* handleMmFault(mm, va, { write: false })
            }
          }),
      }
    },
  },
  {
    id: "cow-breaks-either-way",
    title: "whoever is the only one to map a page stores to it, whoever else holds it",
    source: 'commit 17839856fd58: gup: document and work around "COW can break either way" issue; CVE-2020-29374',
    references: zoo(32),
    scenario: vmspliceAndStore.id,
    bound: alone,
    breaks: "COW-NO-LEAK",
    at: (world) => ({
      do_wp_page: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const pte = at(mm.pte, va)
        const vma = findVma(mm, va)
        if (pte.value?.kind === "present" && vma?.shared === false) {
          const folio = folioOf(world.folios, pte.value.page)
          if (isAnon(folio) && folio.mapcount === 1) {
            folio.anonExclusive = true
            pte.value = { ...pte.value, access: mostAccess(vma), dirty: true, young: true }
            return "done"
          }
        }
        return operation.body()
      }),
    }),
  },
  {
    id: "notify-after-pte-replace",
    title: "copy-on-write maps the copy before it tells the notifier",
    source: "mm: mmu_notifier: fix inconsistent memory between secondary MMU and host, LKML August 2012",
    references: zoo(16),
    scenario: "mm/pairs/store+store",
    bound: { devices: 1 },
    breaks: "MIRROR-COHERENT",
    at: (world) => {
      let announced: "no" | "now" | "yes" = "no"
      const isCow = (args: ReadonlyArray<unknown>) => args[4] === "wp_page_copy"
      return {
        mn_itree_inv_start_range: (original, { args }) =>
          isCow(args) && announced !== "now" ? Effect.succeed({ seq: 0, first: null }) : original,
        "wp_page_copy: set_pte_at": andThen((operation) => {
          const { mm, va } = placeOf(world, operation)
          announced = "now"
          const range = notifierRange("CLEAR", "wp_page_copy", { start: va, end: va + 1 })
          return Effect.map(mmuNotifierInvalidateRangeStart(mm.subscriptions, range), () => {
            announced = "yes"
          })
        }),
        mn_itree_inv_end: (original, { args }) => {
          if (!isCow(args)) return original
          const told = announced
          announced = "no"
          return told === "yes" ? original : Effect.succeed(false)
        },
      }
    },
  },
  {
    id: "cow-rmap-before-flush",
    title: "copy-on-write takes the old page's mapping off its map count, and flushes the TLBs then",
    source: "mm/memory.c: wp_page_copy (comment)",
    scenario: "mm/pairs/store+store",
    bound: alone,
    breaks: "COW-OLD-RMAP-LAST",
    at: (world) => ({
      "wp_page_copy: ptep_clear_flush": withoutFlush(world),
      "wp_page_copy: folio_remove_rmap_pte": (original, operation) => {
        const { mm, va } = placeOf(world, operation)
        const removed = changeBody(({ body }) => {
          body()
          keep(pageTableLock(mm, va))
        })(original, operation)
        const flush = step("flush_tlb_page", [mm.name, va], () => {
          dropTranslations(mm, { start: va, end: va + 1 })
          release(pageTableLock(mm, va))
        })
        return Effect.andThen(removed, flush)
      },
    }),
  },
  {
    id: "cow-without-pte-same",
    title: "copy-on-write does not look again whether the entry still is the one that was copied",
    source: "mm/memory.c: wp_page_copy",
    scenario: "mm/pairs/store+store",
    bound: alone,
    breaks: "COW-NO-LEAK",
    at: (world) => ({
      "wp_page_copy: ptep_clear_flush": changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        at(mm.pte, va).value = null
        dropTranslations(mm, { start: va, end: va + 1 })
        keep(pageTableLock(mm, va))
        return true
      }),
    }),
  },
  {
    id: "copy-decision-by-mapcount",
    title:
      "a NUMA hint is put on a page that is pinned, its fault leaves the page without the right to store, and the store copies what others refer to",
    source: "commit 80d47f5de5e3: mm: don't try to NUMA-migrate COW pages that have other uses; CVE-2022-48797",
    references: zoo(71),
    scenario: hintAndPin.id,
    bound: alone,
    breaks: "COW-PIN-STAYS",
    at: (world) => ({
      ptep_modify_prot_start: blindToPins(world),
      ptep_modify_prot_commit: blindToPins(world),
      do_numa_page: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const pte = at(mm.pte, va)
        const before = pte.value
        const result = operation.body()
        const given = pte.value !== before && isWritable(pte.value)
        if (given && pte.value?.kind === "present") pte.value = wrprotect(pte.value)
        return result
      }),
      // As it was before PG_anon_exclusive: references decide.
      do_wp_page: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const pte = at(mm.pte, va).value
        if (pte?.kind === "present") folioOf(world.folios, pte.page).anonExclusive = false
        return operation.body()
      }),
    }),
  },
  {
    id: "no-unshare-for-read-pin",
    title: "a pin for reading is given of a page that is not the process's alone",
    source: "commit a7f226604170: mm/gup: trigger FAULT_FLAG_UNSHARE when R/O-pinning a possibly shared anonymous page",
    scenario: "mm/pairs/store+pin-fast-read",
    bound: alone,
    breaks: "COW-PIN-STAYS",
    at: (world) => ({
      follow_page_pte: changeBody((operation) => {
        const result = operation.body()
        const { mm, va } = placeOf(world, operation)
        const pte = at(mm.pte, va).value
        if (result !== "unshare" || pte?.kind !== "present") return result
        grab(folioOf(world.folios, pte.page), true)
        return { frame: pte.page, pinned: true }
      }),
    }),
  },
]
