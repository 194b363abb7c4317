/** `hmm_range_fault` as Linux 5.3 had it (mm/hmm.c), on the small address space of the classic notifiers. */
import { choose, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { type Frame, folioAlloc } from "../mm/folio.ts"
import { at, pagesOf } from "../mm/range.ts"
import type { NotifiedMm } from "../notifier/notifiedMm.ts"
import { upRead } from "../sync/rwsem.ts"
import type { HmmRange } from "./mirror2019.ts"

/**
 * Why there is no answer: the range is being invalidated, and `mmap_lock` still held (-EBUSY); a fault had to sleep, and
 * has dropped it (-EAGAIN); or there is nothing to map, and it is held (-EFAULT).
 */
export type RangeError = "-EBUSY" | "-EAGAIN" | "-EFAULT"

/** The pages of a range, in order, or why they are not known. */
export type Faulted = { readonly pfns: ReadonlyArray<Frame> } | { readonly error: RangeError }

const failed = (error: RangeError): Faulted => ({ error })

/**
 * Reads the page table of the range and faults in what is not there, `mmap_lock` held for reading. No reference is taken
 * on any page.
 *
 * @param block whether a fault that has to sleep does so with `mmap_lock` held. If not, it may be that it is dropped
 */
export const hmmRangeFault2019 = procedure(function* (range: HmmRange, block: boolean) {
  const { mm } = range.mirror.of
  const pfns: Array<Frame> = []
  const head = yield* enterLoop("hmm_range_fault")
  for (;;) {
    yield* head(pfns)
    const invalid = yield* step("hmm_range_fault", [range.name], () => (range.state.valid ? null : "-EBUSY"))
    if (invalid !== null) return failed(invalid)
    let missing: number | null = null
    for (const va of pagesOf(range).slice(pfns.length)) {
      const found = yield* step("hmm_vma_handle_pte", [va], () => at(mm.pte, va).value)
      if (found === null) {
        missing = va
        break
      }
      pfns.push(found)
    }
    if (missing === null) return { pfns } satisfies Faulted
    const fault = yield* hmmVmaDoFault(mm, missing, block)
    if (fault !== null) return failed(fault)
  }
})

/** `hmm_vma_do_fault` and the `handle_mm_fault` in it. */
const hmmVmaDoFault = procedure(function* (mm: NotifiedMm, va: number, block: boolean) {
  if (!block && (yield* choose("handle_mm_fault", ["done", "VM_FAULT_RETRY"])) === "VM_FAULT_RETRY") {
    yield* upRead(mm.mmapLock, "mmap_read_unlock", [mm.name])
    return "-EAGAIN" as const
  }
  return yield* step("handle_mm_fault", [mm.name, va], () => {
    const pte = at(mm.pte, va)
    pte.value ??= folioAlloc(mm.folios, mm.name)
    return pte.value === null ? ("-EFAULT" as const) : null
  })
})
