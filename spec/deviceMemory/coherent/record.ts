/** What is asked about coherent memory and no state alone shows: recorded from outside, in the same instant as the steps. */
import { type Monitor, type Struct, struct, type Taken } from "../../../checker/index.ts"
import { isDeviceCoherent, isZoneDevice } from "../../../model/deviceMemory/pgmap.ts"
import type { Pte } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { mmOf } from "../../../model/mm/rmap.ts"
import type { Kept } from "../../mm/slips.ts"
import type { MmWorld } from "../../mm/world.ts"

/** Answers: nothing has happened that a question is about, or every time as answered, or otherwise. */
export type Answers = Struct<{
  /** Who stores to a shared coherent page gets a copy in system memory. */
  copiesAreOrdinary: Kept
  /** Who pins a page that a device has for itself pins it where it is mapped again. */
  pinsRestored: Kept
  /** When fork has copied a page table no device has a page of it for itself. */
  forkRestores: Kept
}>

/** What it costs: the GPU's faults, and the copies that copy-on-write has made for its process. */
export type Cost = Struct<{ faults: number; copies: number; story: string; accesses: string }>

/** The record. */
export interface CoherentRecord {
  readonly answers: Answers
  readonly cost: Cost
  readonly monitors: ReadonlyArray<Monitor>
}

/**
 * Makes the record.
 *
 * @param counted whether costs are counted
 */
export const recordCoherent = (world: MmWorld, counted = false): CoherentRecord => {
  const { system, folios, parent } = world
  const answers: Answers = struct("answers", {
    copiesAreOrdinary: "untested",
    pinsRestored: "untested",
    forkRestores: "untested",
  })
  const cost: Cost = struct("cost", { faults: 0, copies: 0, story: "", accesses: "" })
  /** The fork under way has failed: its page was locked by the device that had just taken it. */
  const fork = struct("answers.fork", { failed: false })
  const note = (question: keyof Answers, isSo: boolean) => {
    if (!isSo) answers[question] = "broken"
    else if (answers[question] === "untested") answers[question] = "kept"
  }
  const entryAt = ({ args }: Taken): Pte => at(mmOf(system, String(args[0])).pte, Number(args[1])).value
  const pinned = (taken: Taken, page: number) => {
    const entry = entryAt(taken)
    if (world.gpus.length > 0) note("pinsRestored", entry?.kind === "present" && entry.page.pfn === page)
  }

  const monitor: Monitor = {
    "wp_page_copy: set_pte_at": (taken) => {
      const entry = entryAt(taken)
      const copiesCoherent = folios.arena.slots.some(
        (folio) => folio.live && isDeviceCoherent(folios, { pfn: folio.index, generation: folio.generation }),
      )
      if (entry?.kind !== "present" || !copiesCoherent) return
      note("copiesAreOrdinary", !isZoneDevice(folios, entry.page))
    },
    follow_page_pte: (taken) => {
      const { args, result } = taken
      if (!String(args[2]).startsWith("pin") || result === null || typeof result !== "object") return
      if (!("frame" in result) || result.frame === null) return
      pinned(taken, (result.frame as { readonly pfn: number }).pfn) // what the step returns
    },
    "gup_fast_pte_range: recheck": (taken) => {
      const { args, result } = taken
      if (result === true && String(args[3]).startsWith("pin")) pinned(taken, Number(args[2]))
    },
    raw_write_seqcount_end: ({ args }) => {
      const mm = mmOf(system, String(args[0]))
      const gone = mm.pte.every(({ value }) => value?.kind !== "exclusive")
      if (!fork.failed) note("forkRestores", gone)
    },
    dup_mm: () => {
      fork.failed = false
    },
    copy_pte_range: ({ result }) => {
      if (result === "-EBUSY") fork.failed = true
    },
  }
  const costs: Monitor = {
    begin: ({ args }) => Object.assign(cost, { story: args[0], accesses: args[1] }),
    gpu_map: () => {
      cost.faults++
    },
    "wp_page_copy: set_pte_at": ({ args }) => {
      if (args[0] === parent.name) cost.copies++
    },
  }
  return { answers, cost, monitors: counted ? [costs] : [monitor] }
}
