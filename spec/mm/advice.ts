/** What MADV_DONTNEED has promised: recorded from outside, in the same instant as the steps. */
import { type Cell, cell, type Monitor } from "../../checker/index.ts"
import { type Frame, folioOf, isLive } from "../../model/mm/folio.ts"
import type { Mm } from "../../model/mm/mm.ts"
import { at, pagesOf } from "../../model/mm/range.ts"
import { isAnon } from "../../model/mm/rmap.ts"

/** An anonymous page, and the address at which it was mapped. */
export type Mapped = { readonly va: number; readonly page: Frame }

/** The record. */
export interface Advised {
  readonly mm: Mm
  /** What was mapped before some MADV_DONTNEED that has returned: it must not be there any more. */
  readonly gone: Cell<ReadonlyArray<Mapped>>
  readonly monitor: Monitor
}

/** Makes the record, of one address space and the fibers that may give up what it has. */
export const recordAdvice = (mm: Mm, fibers: ReadonlyArray<string>): Advised => {
  const before = new Map(fibers.map((name) => [name, cell<ReadonlyArray<Mapped>>(`advised.${name}`, [])]))
  const gone = cell<ReadonlyArray<Mapped>>("advised.gone", [])
  const { folios } = mm.system
  const monitor: Monitor = {
    MADV_DONTNEED: ({ fiber, args }) => {
      const mine = before.get(fiber)
      if (mine === undefined || args[0] !== mm.name) return
      mine.value = pagesOf({ start: Number(args[1]), end: Number(args[2]) }).flatMap((va) => {
        const pte = at(mm.pte, va).value
        const vma = at(mm.vma, va).value
        if (pte?.kind !== "present" || vma === null || vma.locked || vma.detached) return []
        return isAnon(folioOf(folios, pte.page)) ? [{ va, page: pte.page }] : []
      })
    },
    mmap_read_unlock: ({ fiber }) => {
      const mine = before.get(fiber)
      if (mine === undefined || mine.value.length === 0) return
      const left = mine.value.filter(({ va, page }) =>
        gone.value.every((one) => one.va !== va || one.page.pfn !== page.pfn),
      )
      gone.value = [...gone.value, ...left].sort((a, b) => a.va - b.va || a.page.pfn - b.page.pfn)
      mine.value = []
    },
    // Of pages that are freed ZAP-TLB-BEFORE-FREE tells.
    free_pages_and_swap_cache: () => {
      for (const list of [gone, ...before.values()]) {
        const live = list.value.filter(({ page }) => isLive(folios, page))
        if (live.length < list.value.length) list.value = live
      }
    },
  }
  return { mm, gone, monitor }
}
