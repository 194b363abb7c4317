/** What a job of a device costs, and what it costs others: counted from outside, in the same instant as the steps. */
import { cell, type Monitor, type Struct, struct, type Taken } from "../../../checker/index.ts"
import { type Frame, folioOf } from "../../../model/mm/folio.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { mappedPage } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"

/** The bill. */
export type Cost = {
  /** How often the device has got the page: mapped it, or pinned it. */
  got: number
  /** How often it was taken from a device that mapped it. */
  taken: number
  /** What became of reclaim and migration: the page was taken away, or left where it is. */
  reclaimed: number
  kept: number
  moved: number
  stayed: number
  /** Pages copied: by fork at once, and by whoever stored to a page that was shared. */
  copiedByFork: number
  copiedByStore: number
}

export interface CostRecord {
  readonly cost: Struct<Cost>
  /** The page that the job has pinned. */
  readonly pinned: { readonly value: Frame | null }
  readonly state: Struct<{
    mapped: boolean
    /** Whether a fault of the device's is being handled, and whether one was since reclaim or migration began. */
    inFault: boolean
    disturbed: boolean
    /** What has happened that should not have, in words, by the property. */
    refused: string
    lost: string
    shared: string
    stray: string
  }>
  readonly monitor: Monitor
}

/** Makes the record of the fiber that is the device's job, in an address space. */
export const recordCost = (job: string, mm: Mm): CostRecord => {
  const cost: CostRecord["cost"] = struct("cost", {
    got: 0,
    taken: 0,
    reclaimed: 0,
    kept: 0,
    moved: 0,
    stayed: 0,
    copiedByFork: 0,
    copiedByStore: 0,
  })
  const pinned = cell<Frame | null>("pinned", null)
  const state: CostRecord["state"] = struct("job", {
    mapped: false,
    inFault: false,
    disturbed: false,
    refused: "",
    lost: "",
    shared: "",
    stray: "",
  })
  const inJob = (record: (taken: Taken) => void) => (taken: Taken) => {
    if (taken.fiber === job) record(taken)
  }
  const others = (record: (taken: Taken) => void) => (taken: Taken) => {
    if (taken.fiber !== job) record(taken)
  }
  const begins = others(({ result }) => {
    if (result !== null) state.disturbed = state.inFault
  })
  const leaves = (how: "kept" | "stayed") => () => {
    cost[how]++
    if (!state.disturbed) state.refused = `The page was ${how}, and the device had nothing to do with it meanwhile.`
  }
  /** The first argument is the page. */
  const takes =
    (how: "reclaimed" | "moved") =>
    ({ args }: Taken) => {
      cost[how]++
      if (pinned.value !== null && args[0] === pinned.value.pfn)
        state.lost = `Page ${pinned.value.pfn} is pinned, and was ${how}.`
    }

  const monitor: Monitor = {
    mmget_not_zero: inJob(({ result }) => {
      state.inFault = result === true
      state.disturbed = true
    }),
    mmput: inJob(() => {
      state.inFault = false
    }),
    device_map: inJob(() => {
      cost.got++
      state.mapped = true
    }),
    device_store: inJob(({ args, result }) => {
      if (result !== true) return
      const page = mappedPage(at(mm.pte, Number(args[1])).value)
      const found = page === null ? "" : folioOf(mm.system.folios, page).content
      if (found !== args[2]) state.stray = `The device has stored "${args[2]}", and the process finds "${found}" there.`
    }),
    device_unmap: () => {
      if (!state.mapped) return
      cost.taken++
      state.mapped = false
    },
    follow_page_pte: inJob(({ result }) => {
      if (result === null || typeof result !== "object" || !("frame" in result)) return
      cost.got++
      if (result.pinned === true) pinned.value = result.frame as Frame | null // what the step returns
    }),
    unpin_user_page: inJob(() => {
      pinned.value = null
    }),
    isolate_folios: begins,
    isolate_migratepages_block: begins,
    free_unref_folios: others(takes("reclaimed")),
    folio_putback_lru: others(({ args }) => {
      // Behind a migration it is the new page that goes there.
      if (cost.moved === 0 && args.length > 0) leaves("kept")()
    }),
    folio_migrate_mapping: others((taken) => {
      if (taken.result === true) takes("moved")(taken)
    }),
    migrate_folio_undo_dst: others(leaves("stayed")),
    copy_pte_range: others(({ result }) => {
      if (result === "used") cost.copiedByFork++
      else if (typeof result === "object" && result !== null && pinned.value !== null) {
        state.shared = `Page ${pinned.value.pfn} is pinned, and fork shares it.`
      }
    }),
    "wp_page_copy: ptep_clear_flush": ({ result }) => {
      if (result === true) cost.copiedByStore++
    },
  }
  return { cost, pinned, state, monitor }
}
