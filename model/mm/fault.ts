/** Page faults of anonymous memory (mm/memory.c). */
import * as Effect from "effect/Effect"
import { enterLoop, step } from "../../checker/program/index.ts"
import { underLock } from "../sync/spinlock.ts"
import { type Frame, folioAlloc, folioPut } from "./folio.ts"
import { type Mm, mmapReadLock, mmapReadUnlock } from "./mm.ts"
import { at } from "./range.ts"
import { tlbOf } from "./tlb.ts"

/**
 * `handle_mm_fault`, with `mmap_lock` held for read and the VMA found; nothing happens where a page is present.
 *
 * @returns false when there is no memory
 */
export const handleMmFault = Effect.fnUntraced(function* (mm: Mm, va: number) {
  const fresh = yield* step("alloc_anon_folio", [va], () =>
    at(mm.pte, va).value === null ? (folioAlloc(mm.folios, mm.name) ?? "-ENOMEM") : "present",
  )
  if (fresh === "-ENOMEM") return false
  if (fresh === "present") return true
  yield* underLock(mm.pageTableLock, "do_anonymous_page", [va], () => {
    const pte = at(mm.pte, va)
    if (pte.value === null) pte.value = fresh
    else folioPut(mm.folios, fresh)
  })
  return true
})

/**
 * A load or store of a thread on a CPU: through the CPU's TLB, filled from the page table, with a page fault where
 * nothing is present.
 *
 * @returns false when it ends in SIGSEGV or for lack of memory
 */
export const userAccess = Effect.fnUntraced(function* (mm: Mm, cpu: string, va: number) {
  const cache = tlbOf(mm, cpu)
  const head = yield* enterLoop("user_access")
  for (;;) {
    yield* head()
    const translated = yield* step("user_access", [va], (): Frame | null => {
      const entry = at(cache, va)
      entry.value ??= at(mm.pte, va).value
      return entry.value
    })
    if (translated !== null) return true
    yield* mmapReadLock(mm)
    const mapped = yield* step("find_vma", [va], () => at(mm.vma, va).value)
    const handled = mapped && (yield* handleMmFault(mm, va))
    yield* mmapReadUnlock(mm)
    if (!handled) return false
  }
})
