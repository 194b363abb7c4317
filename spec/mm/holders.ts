/** Who holds pages that it got by their address: recorded from outside, in the same instant as the steps. */
import { type Cell, cell, type Monitor, type Plain, type Taken } from "../../checker/index.ts"
import { flushed } from "../../model/mm/batchedFlush.ts"
import { type Content, type Frame, folioOf, frameOf } from "../../model/mm/folio.ts"
import { mappedPage } from "../../model/mm/pte.ts"
import { at } from "../../model/mm/range.ts"
import { isAnon, maps, mmOf } from "../../model/mm/rmap.ts"
import type { System } from "../../model/mm/system.ts"
import { tlbOf } from "../../model/mm/tlb.ts"
import { anything } from "./memory.ts"
import { note, type Slips } from "./slips.ts"

/** A page that a fiber holds. */
export type Held = {
  readonly mm: string
  readonly va: number
  readonly page: Frame
  readonly pinned: boolean
  /** Whether it may be relied on: a pin that was taken without locks is given back if fork copied the page tables meanwhile. */
  readonly kept: boolean
  readonly write: boolean
  /** Whether the process has not unmapped or replaced it since: pins promise that it then still has this page. */
  readonly attached: boolean
  /** Whether it is of a private mapping. */
  readonly anon: boolean
  /** Whether it was got through a shared mapping. */
  readonly shared: boolean
  /** Whether it is kept for good: the fiber said so when it began to use it. */
  readonly longterm: boolean
  /** What may be found in it once it is detached; `?` where nothing is known. */
  readonly content: Content
}

/** The record. */
export interface Holders {
  readonly held: ReadonlyMap<string, Cell<Held | null>>
  readonly monitors: ReadonlyArray<Monitor>
}

/** Makes the record for fibers that may get pages. */
export const recordHolders = (system: System, fibers: ReadonlyArray<string>, slips: Slips): Holders => {
  const held = new Map(fibers.map((name) => [name, cell<Held | null>(`holds.${name}`, null)]))

  const record = (fiber: string, mmName: string, va: number, page: Frame, wish: string, kept: boolean) => {
    const holder = held.get(fiber)
    if (holder === undefined) return
    const mm = mmOf(system, mmName)
    const pinned = wish.startsWith("pin")
    if (pinned) note(slips, "marksPins", mm.state.hasPinned)
    const folio = folioOf(system.folios, page)
    if (!maps(mm, va, page)) note(slips, "dropsUnmapped", false)
    // khugepaged may have put the page table aside: what is in it is the process's all the same.
    const mapped = mappedPage(at(mm.pte, va).value)
    const attached = mapped?.pfn === page.pfn && mapped.generation === page.generation
    // A VMA that munmap has detached still says what it is.
    const shared = at(mm.vma, va).value?.shared === true
    const anon = isAnon(folio) && !shared
    holder.value = {
      mm: mmName,
      va,
      page,
      pinned,
      kept,
      write: wish.endsWith("write"),
      attached,
      anon,
      shared,
      longterm: false,
      content: anon ? folio.content : anything,
    }
  }
  const forEachHeld = (change: (held: Held) => Held) => {
    for (const holder of held.values()) if (holder.value !== null) holder.value = change(holder.value)
  }
  const letGo = ({ fiber }: Taken) => {
    const holder = held.get(fiber)
    if (holder !== undefined) holder.value = null
  }
  /** The process gives up what it had at an address: of pins too, or of references only, which promise nothing. */
  const detach = (args: ReadonlyArray<Plain>, pinsToo: boolean) => {
    const [mm, va] = args
    forEachHeld((one) => {
      if (one.mm !== mm || one.va !== va || !one.attached || (one.pinned && !pinsToo)) return one
      return { ...one, attached: false, content: one.anon ? folioOf(system.folios, one.page).content : anything }
    })
  }

  /** What is stored to a page that its process has given up is there for all who still hold it. */
  const storedTo = (page: Frame, content: Content) =>
    forEachHeld((one) => (one.attached || !one.anon || one.page.pfn !== page.pfn ? one : { ...one, content }))
  const written = ({ fiber, args }: Taken) => {
    const page = held.get(fiber)?.value?.page
    if (page !== undefined) storedTo(page, String(args[1]))
  }

  const monitor: Monitor = {
    follow_page_pte: ({ fiber, args, result }) => {
      if (result === null || typeof result !== "object" || !("frame" in result) || result.frame === null) return
      record(fiber, String(args[0]), Number(args[1]), result.frame as Frame, String(args[2]), true) // what the step returns
    },
    "gup_fast_pte_range: recheck": ({ fiber, args, result }) => {
      if (result !== true) return note(slips, "dropsUnmapped", true)
      const slot = system.folios.arena.slots[Number(args[2])]
      if (slot !== undefined) record(fiber, String(args[0]), Number(args[1]), frameOf(slot), String(args[3]), false)
    },
    "gup_fast: read_seqcount_retry": (taken) => {
      const mine = held.get(taken.fiber)?.value
      if (taken.result !== true) {
        note(slips, "dropsPinDuringFork", true)
        return letGo(taken)
      }
      const holder = held.get(taken.fiber)
      if (holder !== undefined && mine) holder.value = { ...mine, kept: true }
      const overlaps = mine?.pinned === true && mmOf(system, mine.mm).state.writeProtectSeq !== taken.args[2]
      if (overlaps) note(slips, "dropsPinDuringFork", false)
    },
    "dma_map_page (long-term)": ({ fiber }) => {
      const holder = held.get(fiber)
      if (holder?.value) holder.value = { ...holder.value, longterm: true }
    },
    dma_write: written,
    "__access_remote_vm: copy_to_user_page": written,
    // So is what a CPU stores there through a translation that has not been flushed yet; not what a process stores that
    // maps the page: those who hold it no longer belong to that one.
    user_store: ({ fiber, args, result }) => {
      const [mm, va] = [mmOf(system, String(args[0])), Number(args[1])]
      const page = result === null ? null : at(tlbOf(mm, fiber), va).value?.page
      if (page != null && !maps(mm, va, page)) storedTo(page, String(result))
    },
    put_page: letGo,
    "folio_unlock, folio_put": letGo,
    unpin_user_page: letGo,
    zap_pte_range: ({ args, result }) => {
      if (result !== "nothing" && result !== flushed) detach(args, true)
    },
    // What is in swap is dropped at once.
    madvise_free_pte_range: ({ args, result }) => {
      if (result !== flushed && at(mmOf(system, String(args[0])).pte, Number(args[1])).value === null)
        detach(args, true)
    },
    "wp_page_copy: ptep_clear_flush": ({ args, result }) => {
      if (result === true) detach(args, false)
    },
    move_ptes: ({ args, result }) => {
      if (result === flushed) return
      const [mm, from, to] = args
      forEachHeld((one) => (one.mm === mm && one.va === from && one.attached ? { ...one, va: Number(to) } : one))
    },
    folio_migrate_mapping: ({ args, result }) => {
      if (result !== true) return
      const holders = [...held.values()].filter(({ value }) => value?.attached === true && value.page.pfn === args[0])
      note(slips, "movesUnheld", holders.length === 0)
    },
  }
  return { held, monitors: [monitor] }
}
