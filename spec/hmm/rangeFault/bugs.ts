/** Seeded bugs of hmm_range_fault and of those who call it. */
import * as Effect from "effect/Effect"
import { changeBody, leaveOut, type Replacements, type SeededBug } from "../../../checker/index.ts"
import type { HmmPfn } from "../../../model/hmm/rangeFault.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { at } from "../../../model/mm/range.ts"
import { zoo } from "../../bugZoo.ts"
import { rangeFault } from "./scenarios.ts"
import type { HmmWorld } from "./world.ts"

/** Replacements for the device's fiber. */
const inDevice =
  (replacements: (world: HmmWorld) => Replacements) =>
  (world: HmmWorld, fiber: string): Replacements =>
    fiber === world.device.name ? replacements(world) : {}

const inOne = { scenario: rangeFault.id, bound: { invalidations: 1 } }

/** One code in the place of another. */
const toldAs = (code: string, instead: string): Replacements => ({
  hmm_range_fault: changeBody(({ body }) => {
    const outcome = body()
    return outcome === code ? instead : outcome
  }),
})

export const hmmBugs: ReadonlyArray<SeededBug<HmmWorld>> = [
  {
    id: "range-fault-code-hides-held-lock",
    title:
      "that the range was invalidated, the lock held, is told with the code that says it was dropped, and the lock leaks",
    source: "commit 2bcbeaefde2f: mm/hmm: always return EBUSY for invalid ranges in hmm_range_{fault,snapshot}",
    references: zoo(94),
    ...inOne,
    breaks: "HMM-LOCK-BALANCE",
    at: inDevice(() => toldAs("-EBUSY", "-EAGAIN")),
  },
  {
    id: "range-fault-code-hides-dropped-lock",
    title: "that the lock was dropped is told with the code of an invalid range, and its caller unlocks once more",
    source: "commit 2bcbeaefde2f, the other way round",
    references: zoo(94),
    ...inOne,
    breaks: "HMM-LOCK",
    at: inDevice(() => toldAs("-EAGAIN", "-EBUSY")),
  },
  {
    id: "range-fault-error-path-keeps-lock",
    title: "a caller whose request may not be fulfilled goes home with the lock",
    source: "Documentation/mm/hmm.rst",
    ...inOne,
    breaks: "HMM-LOCK-END",
    at: inDevice(() => {
      let outcome: unknown
      return {
        hmm_range_fault: (original) =>
          Effect.tap(original, (result) =>
            Effect.sync(() => {
              outcome = result
            }),
          ),
        mmap_read_unlock: (original) => Effect.suspend(() => (outcome === "-EPERM" ? Effect.void : original)),
      }
    }),
  },
  {
    id: "range-fault-forgets-write-request",
    title: "an entry that is there is returned although it may not be written through",
    source: "mm/hmm.c: hmm_pte_need_fault",
    ...inOne,
    breaks: "HMM-REQ-OK",
    at: inDevice(({ mm }) => ({
      hmm_vma_handle_pte: changeBody(({ body, args }) => readable(mm, args[0], false) ?? body()),
    })),
  },
  {
    id: "range-fault-writes-by-request",
    title: "an entry that is there is returned with the right that was asked for",
    source: "mm/hmm.c: pte_to_hmm_pfn_flags",
    ...inOne,
    breaks: "HMM-WRITE-BIT",
    at: inDevice(({ mm }) => ({
      hmm_vma_handle_pte: changeBody(({ body, args }) => readable(mm, args[0], true) ?? body()),
    })),
  },
  {
    id: "range-fault-samples-once",
    title: "the sequence is read when the device subscribes, and every fault retries with that",
    source: "Documentation/mm/hmm.rst: the label `again` stands before mmu_interval_read_begin",
    ...inOne,
    breaks: "L-RETRY",
    at: inDevice(() => ({ mmu_interval_read_begin: leaveOut({ seq: 1, invalidating: false }) })),
  },
]

/** An entry that may be read but not written through, with the right that is to be said. Within a step. */
const readable = (mm: Mm, va: unknown, write: boolean): HmmPfn | null => {
  const pte = at(mm.pte, Number(va)).value
  return pte?.kind === "present" && pte.access === "read" ? { page: pte.page, write } : null
}
