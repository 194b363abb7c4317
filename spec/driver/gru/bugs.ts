/** Seeded bugs of GRU, and of the scan that write-protects pages. Names without `gru-` are those of the bug zoo. */
import * as Effect from "effect/Effect"
import {
  builtIn,
  changeBody,
  leaveOut,
  type Plain,
  type Replacement,
  type Replacements,
  type SeededBug,
  step,
} from "../../../checker/index.ts"
import { folioOf } from "../../../model/mm/folio.ts"
import { hasTable } from "../../../model/mm/mm.ts"
import { at } from "../../../model/mm/range.ts"
import { notifierRange } from "../../../model/notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../../../model/notifier/invalidate.ts"
import { zoo } from "../../bugZoo.ts"
import { clean, oneFault, overlapping, scan } from "./scenarios.ts"
import type { GruWorld } from "./world.ts"

/** Where bugs are hunted: at bounds that are no larger than it takes. */
const inOneFault = { scenario: oneFault.id, bound: { pages: 1, grus: 1, invalidations: 1 } }

/** What a thread's calls tell the notifier is left out. */
const silent = (): Replacements => ({
  gru_invalidate_range_start: leaveOut(false),
  gru_invalidate_range_end: leaveOut(false),
})

export const gruBugs: ReadonlyArray<SeededBug<GruWorld>> = [
  {
    id: "gru-plain-hardware",
    title:
      "the protocol without the hardware's help: nobody notices that an invalidation began and ended inside a fault",
    source: "grufault.c, gru_try_dropin: magic hardware that eliminates races between TLB invalidates and TLB dropins",
    ...inOneFault,
    breaks: "MIRROR-NO-UAF",
    at: ({ gms }) => ({
      tgh_invalidate: changeBody((operation) => {
        const gru = gms.grus.find(({ name }) => name === operation.args[0])
        const resident = gru?.tfh.resident === true
        operation.body()
        if (gru !== undefined) gru.tfh.resident = resident
      }),
    }),
  },
  {
    id: "gru-active-before-tfh",
    title: "a fault looks whether an invalidation is under way, and reads the fault handle only then",
    source: "grufault.c, gru_try_dropin: the rmb() between the two",
    ...inOneFault,
    breaks: "MIRROR-NO-INSTALL-IN-WINDOW",
    at: ({ gms, mm }) => {
      const nothing: Effect.Effect<Plain> = Effect.succeed(undefined)
      let tfh = nothing
      return {
        "gru_try_dropin: tfh": (original, operation) => {
          tfh = original
          // What it is about is known: the GRU has one fault at a time.
          const gru = gms.grus.find(({ name }) => name === operation.args[0])
          return step("gru_try_dropin: missvaddr", operation.args, () => ({
            va: gru?.tfh.va ?? mm.pages,
            write: gru?.tfh.write === true,
          }))
        },
        "gru_try_dropin: ms_range_active": (original) => Effect.tap(original, () => tfh),
      }
    },
  },
  {
    id: "gru-active-not-asked",
    title: "a fault does not look whether an invalidation is under way",
    source: "grufault.c, gru_try_dropin: fail the dropin if a range invalidate is active",
    ...inOneFault,
    breaks: "MIRROR-NO-INSTALL-IN-WINDOW",
    at: () => ({ "gru_try_dropin: ms_range_active": leaveOut(false) }),
  },
  {
    id: "gru-flush-before-count",
    title: "the start flushes the TLBs and counts the invalidation only then",
    source: "grutlbpurge.c, gru_invalidate_range_start: the order of the two",
    ...inOneFault,
    breaks: "MIRROR-NO-UAF",
    at: ({ gms }) => ({
      gru_invalidate_range_start: changeBody((operation) => {
        const listed = operation.body()
        if (gms.state.registered) gms.state.rangeActive--
        return listed
      }),
      tgh_invalidate: (original, operation) =>
        operation.args[0] !== gms.grus.at(-1)?.name
          ? original
          : Effect.andThen(
              original,
              step("atomic_inc", () => {
                gms.state.rangeActive++
              }),
            ),
    }),
  },
  {
    id: "gru-flag-instead-of-counter",
    title: "the driver keeps a flag where it has to count, as if no two invalidations were ever under way at once",
    source:
      "Lameter, Morton: Re: [patch 1/6] mmu_notifier: Core code, LKML 16 February 2008: multiple processors can have invalidates concurrently in progress",
    references: zoo("overlappingStartsTrackedAsBoolean"),
    scenario: overlapping.id,
    bound: { pages: 1, grus: 1, invalidations: 2 },
    breaks: "GRU-RANGE-ACTIVE",
    at: ({ gms }) => ({
      gru_invalidate_range_end: changeBody(() => {
        gms.state.rangeActive = 0
        return true
      }),
    }),
  },
  {
    id: "gru-end-wakes-nobody",
    title: "the end does not wake those who wait for it, who hold mmap_lock meanwhile",
    source: "grutlbpurge.c, gru_invalidate_range_end: wake_up_all",
    ...inOneFault,
    breaks: builtIn.deadlock,
    at: () => ({ wake_up_all: leaveOut() }),
  },
  {
    id: "gru-end-not-counted",
    title: "the end leaves the count as it is, and a thread that polls for it instead of waiting does so for ever",
    source: "grutlbpurge.c, gru_invalidate_range_end: atomic_dec_and_test; grufault.c, gru_user_dropin: wait_event",
    ...inOneFault,
    breaks: "L-RETRY",
    at: () => ({
      gru_invalidate_range_end: leaveOut(true),
      "gru_user_dropin: prepare_to_wait": changeBody(() => true),
    }),
  },
  {
    id: "gru-stores-through-read-only",
    title: "the look-up for a store does not ask whether the entry allows stores",
    source: "grufault.c, atomic_pte_lookup: write && (!pte_write(pte) || !pte_dirty(pte))",
    ...inOneFault,
    breaks: "MIRROR-PERM",
    at: ({ mm }) => ({
      atomic_pte_lookup: changeBody((operation) => {
        const va = Number(operation.args[1])
        const pte = hasTable(mm, va) ? at(mm.pte, va).value : null
        return pte?.kind === "present" ? { page: pte.page } : operation.body()
      }),
    }),
  },
  {
    id: "gru-stores-to-clean",
    title:
      "the look-up for a store does not ask whether the entry is dirty, and nobody says that the page was stored to",
    source: "grufault.c, atomic_pte_lookup: write && (!pte_write(pte) || !pte_dirty(pte))",
    scenario: clean.id,
    breaks: "MIRROR-DIRTY",
    at: ({ mm }) => ({
      atomic_pte_lookup: changeBody((operation) => {
        const va = Number(operation.args[1])
        const pte = hasTable(mm, va) ? at(mm.pte, va).value : null
        return pte?.kind === "present" && pte.access === "write" ? { page: pte.page } : operation.body()
      }),
    }),
  },
  {
    id: "gru-keeps-reference",
    title: "the look-up that may sleep keeps its reference to the page",
    source: "grufault.c, non_atomic_pte_lookup: put_page",
    ...inOneFault,
    breaks: "MIRROR-NO-REF",
    at: (_, fiber) => (fiber.startsWith("gru") ? { put_page: leaveOut() } : {}),
  },
  {
    id: "gru-fault-left-with-driver",
    title:
      "a thread that has to wait for the end of an invalidation leaves the fault handle as if it were about to answer it",
    source: "grufault.c, gru_try_dropin: gru_flush_cache at failactive",
    ...inOneFault,
    breaks: "GRU-TFH-ANSWERED",
    at: () => ({ gru_flush_cache: leaveOut() }),
  },
  {
    id: "gru-flush-passes-store",
    title: "a flush of the TLB does not wait for a store that has been translated, which comes to memory behind it",
    source: "gruhandles.c, tgh_invalidate: wait_instruction_complete",
    ...inOneFault,
    breaks: "MIRROR-STORE-DRAINED",
    at: ({ gms, mm }, fiber) => ({
      gru_store: (_, { name, args }) => {
        const gru = gms.grus.find(({ name }) => name === args[0])
        const va = Number(args[1])
        const translated = step(`${name}: translated`, args, () => {
          const entry = gru === undefined ? null : at(gru.tlb, va).value
          if (entry?.write === true) return entry.page
          if (gru !== undefined) Object.assign(gru.tfh, { va, write: true, resident: false })
          return null
        })
        return Effect.flatMap(translated, (page) =>
          page === null
            ? Effect.succeed(false)
            : step(name, args, () => {
                folioOf(mm.system.folios, page).content = fiber
                return true
              }),
        )
      },
    }),
  },
  {
    id: "notifier-bracket-outside-mmap-lock",
    title:
      "PAGEMAP_SCAN announces all its rounds at once, before it takes mmap_lock: a notifier registers in the middle",
    source:
      "commit 4cccb6221cae: fs/proc/task_mmu: move mmu notification mechanism inside mm lock; CVE-2024-26617; what KVM warned of: a change with no invalidation counted",
    references: zoo(95),
    scenario: scan.id,
    breaks: "NOTIFIER-NO-ORPHAN-END",
    at: bracketOutside,
  },
  {
    id: "notifier-bracket-outside-changes",
    title: "the same: pages are write-protected that a notifier, registered in the middle, was not told of",
    source: "commit 4cccb6221cae: fs/proc/task_mmu: move mmu notification mechanism inside mm lock; CVE-2024-26617",
    references: zoo(95),
    scenario: scan.id,
    breaks: "MIRROR-AGREE",
    at: bracketOutside,
  },
  {
    id: "unannounced-do_pagemap_scan",
    title: "do_pagemap_scan does not tell the notifier",
    source: "fs/proc/task_mmu.c: do_pagemap_scan",
    scenario: scan.id,
    breaks: "MIRROR-AGREE",
    at: (_, fiber) => (fiber === "cpu0" ? silent() : {}),
  },
]

/** One start and one end around everything, with no lock held; those of the rounds are left out. */
function bracketOutside({ mm }: GruWorld, fiber: string): Replacements {
  if (fiber !== "cpu0") return {}
  const { subscriptions } = mm
  const whole = notifierRange("PROTECTION_VMA", "do_pagemap_scan", { start: 0, end: mm.pages })
  let outside = false
  const bracket = (does: Effect.Effect<unknown>) =>
    Effect.suspend(() => {
      outside = true
      return Effect.ensuring(
        does,
        Effect.sync(() => {
          outside = false
        }),
      )
    })
  const unless: (result: Plain) => Replacement = (result) => (original) => (outside ? original : Effect.succeed(result))
  return {
    do_pagemap_scan: (original) =>
      Effect.andThen(original, bracket(mmuNotifierInvalidateRangeStart(subscriptions, whole))),
    "do_pagemap_scan: kfree": (original) =>
      Effect.andThen(bracket(mmuNotifierInvalidateRangeEnd(subscriptions, whole)), original),
    gru_invalidate_range_start: unless(false),
    gru_invalidate_range_end: unless(false),
  }
}
