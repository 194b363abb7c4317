/** GRU's TLB misses (drivers/misc/sgi-gru/grufault.c), and the instructions that take them. */
import { enterLoop, procedure, step } from "../../checker/program/index.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { type Content, type Frame, folioOf } from "../mm/folio.ts"
import { getUserPage, putUserPage } from "../mm/gup.ts"
import { findVma, hasTable, type Mm, mmapReadLock, mmapReadTrylock, mmapReadUnlock } from "../mm/mm.ts"
import { at, pagesOf } from "../mm/range.ts"
import { waitEvent } from "../sync/waitQueue.ts"
import type { Gru, GruMm } from "./gru.ts"

/** How a drop-in ends: the instruction goes on, it ends with an exception, or a thread has to try (user polling mode). */
type DropIn = "restart" | "exception" | "upm"

/**
 * A load or store of a GRU's instruction: through its TLB, with faults where it takes them. The interrupt handler tries
 * first; then a thread of the process that polls for the instruction.
 *
 * @param content what it stores; without it, it loads
 * @returns false when it ends with an exception, or is abandoned with the process
 */
export const gruAccess = procedure(function* (gms: GruMm, gru: Gru, va: number, content?: Content) {
  const { mm } = gms
  const write = content !== undefined
  const head = yield* enterLoop("gru_instruction")
  for (;;) {
    yield* head()
    const done = yield* step(write ? "gru_store" : "gru_load", [gru.name, va], () => {
      const entry = at(gru.tlb, va).value
      if (entry === null || (write && !entry.write)) {
        Object.assign(gru.tfh, { va, write, resident: false })
        return false
      }
      if (write && entry.page !== null) folioOf(mm.system.folios, entry.page).content = content
      return true
    })
    if (done) return true
    const handled = yield* gruIntr(gms, gru)
    const ended = handled === "upm" ? yield* gruHandleUserCallOs(gms, gru) : handled
    if (ended !== "restart") return false
  }
})

/** `gru_intr`, which must not sleep. It is no user of the memory: what is left of it may be torn down meanwhile. */
const gruIntr = procedure(function* (gms: GruMm, gru: Gru) {
  if (!(yield* mmapReadTrylock(gms.mm))) return "upm" as const
  const result = yield* gruTryDropin(gms, gru, true)
  yield* mmapReadUnlock(gms.mm)
  return result
})

/** `gru_handle_user_call_os`, of a thread of the process, if there is any left: it sleeps with `mmap_lock` held. */
const gruHandleUserCallOs = procedure(function* (gms: GruMm, gru: Gru) {
  const { mm, state, waitQueue } = gms
  if (!(yield* mmgetNotZero(mm))) return "exception" as const
  yield* mmapReadLock(mm)
  const head = yield* enterLoop("gru_user_dropin")
  let result: DropIn = "upm"
  while (result === "upm") {
    yield* head()
    yield* waitEvent(waitQueue, "gru_user_dropin", [gru.name], () => state.rangeActive === 0)
    result = yield* gruTryDropin(gms, gru, false)
  }
  yield* mmapReadUnlock(mm)
  yield* mmput(mm)
  return result
})

/**
 * `gru_try_dropin`, `mmap_lock` held for read. The fault handle is read first: from then on the hardware knows of
 * invalidations, and those that came before are counted still, or over.
 *
 * @param atomic whether it may not sleep
 */
const gruTryDropin = procedure(function* (gms: GruMm, { name, tlb, tfh }: Gru, atomic: boolean) {
  const { va, write } = yield* step("gru_try_dropin: tfh", [name], () => {
    tfh.resident = true
    return { va: tfh.va, write: tfh.write }
  })
  const active = yield* step("gru_try_dropin: ms_range_active", [name], () => gms.state.rangeActive !== 0)
  const found = active ? ("upm" as const) : yield* gruVtop(gms.mm, va, write, atomic)
  if (typeof found === "string") {
    const how = found === "exception" ? "tfh_exception" : atomic ? "tfh_user_polling_mode" : "gru_flush_cache"
    yield* step(how, [name], () => {
      tfh.resident = false
    })
    return found
  }
  yield* step("tfh_write_restart", [name, va], () => {
    if (tfh.resident) at(tlb, va).value = { page: found.page, write }
    tfh.resident = false
  })
  return "restart" as const
})

/** `gru_vtop` */
const gruVtop = procedure(function* (mm: Mm, va: number, write: boolean, atomic: boolean) {
  const found = yield* step("atomic_pte_lookup", [mm.name, va, write ? "write" : "read"], () =>
    atomicPteLookup(mm, va, write),
  )
  if (found !== "retry") return found
  if (atomic) return "upm" as const
  // non_atomic_pte_lookup: the reference is given back at once.
  const got = yield* getUserPage(mm, va, { write, pin: false })
  if (typeof got === "string") return "exception" as const
  yield* putUserPage(mm.system, got)
  return { page: got.frame }
})

/**
 * `atomic_pte_lookup`: the entry, without its lock. Whether there is an area at the address is not asked here (`find_vma`
 * finds the first one that ends above it), nor what it allows: the entry says that, except that one without any access
 * (PROT_NONE) is present too, and is found for loads. One that is to be stored to must be dirty, as nobody will say so
 * later.
 */
const atomicPteLookup = (
  mm: Mm,
  va: number,
  write: boolean,
): { readonly page: Frame | null } | "retry" | "exception" => {
  if (pagesOf({ start: va, end: mm.pages }).every((page) => findVma(mm, page) === null)) return "exception"
  const pte = hasTable(mm, va) ? at(mm.pte, va).value : null
  if (pte?.kind === "zero" && !write) return { page: null }
  if (pte?.kind !== "present") return "retry"
  return write && (pte.access !== "write" || !pte.dirty) ? "retry" : { page: pte.page }
}
