/**
 * hmm_range_fault (mm/hmm.c): what the process's page table has, and what is wanted of it and missing faulted in.
 *
 * Two callers: those who want all pages of a range in one way get them as the result (`hmmRangeFault`); those who ask for
 * each page by itself, or keep an array from call to call, have it filled (`hmmRangeFaultArray`).
 */
import * as Effect from "effect/Effect"
import { type Cell, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { pgmapOf } from "../deviceMemory/pgmap.ts"
import { isPfnmap } from "../file/inode.ts"
import { handleMmFault, migrationEntryWait } from "../mm/fault.ts"
import type { Frame } from "../mm/folio.ts"
import { findVma, hasTable, isHuge, type Mm, spanOf } from "../mm/mm.ts"
import type { Pte } from "../mm/pte.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import { allows } from "../mm/vma.ts"
import { type IntervalSubscription, mmuIntervalCheckRetry } from "../notifier/interval.ts"
import { walkHugetlbRange } from "./rangeFaultHugetlb.ts"

/** A page as HMM tells it: the frame, `null` for the zero page, and HMM_PFN_WRITE. */
export type HmmPfn = {
  readonly page: Frame | null
  readonly write: boolean
  /** `hmm_pfn_to_map_order`: a huge entry maps it. */
  readonly order?: "PMD"
}

/** What is said of a page: `error` is HMM_PFN_ERROR, `none` an entry without HMM_PFN_VALID. */
export type HmmOutput = HmmPfn | "none" | "error"

/** What is asked of a page: HMM_PFN_REQ_FAULT, HMM_PFN_REQ_WRITE. */
export type HmmRequest = { readonly fault: boolean; readonly write: boolean }

/** Nothing is asked: as default, a snapshot; as mask, no page is looked at for a request of its own. */
export const nothing: HmmRequest = { fault: false, write: false }

/** HMM_PFN_INOUT_FLAGS, which HMM leaves as they are: what DMA mapping remembers of an entry. */
export type InoutFlags = {
  /** HMM_PFN_DMA_MAPPED */
  readonly dmaMapped: boolean
  /** HMM_PFN_P2PDMA: through the host bridge; HMM_PFN_P2PDMA_BUS: by an address of the bus. */
  readonly p2p: "" | "bridge" | "bus"
}

/**
 * An entry of `hmm_pfns`. The bits in which HMM says what there is are those in which it was asked: HMM_PFN_VALID is
 * HMM_PFN_REQ_FAULT, HMM_PFN_WRITE is HMM_PFN_REQ_WRITE.
 */
export type HmmEntry = {
  readonly valid: boolean
  readonly write: boolean
  readonly error: boolean
  /** With `valid`, as output: the frame, `null` for the zero page. */
  readonly page: Frame | null
} & InoutFlags

/** An entry in which nothing is asked and nothing said. */
export const emptyEntry: HmmEntry = {
  valid: false,
  write: false,
  error: false,
  page: null,
  dmaMapped: false,
  p2p: "",
}

/** What `struct hmm_range` says of a call, besides its notifier and sequence. */
export interface HmmWish {
  /** `default_flags`: asked of every page. */
  readonly defaultFlags: HmmRequest
  /** `pfn_flags_mask`: which of the requests in the array count. */
  readonly pfnFlagsMask: HmmRequest
  /** `dev_private_owner`: whose private pages are told as they are; those of others are brought back. */
  readonly owner: string
  /** `hmm_pfns`, by address, where there is one; else nothing is asked of single pages. */
  readonly hmmPfns?: ReadonlyArray<Cell<HmmEntry>>
}

/** Why there is no answer: the range is being invalidated; a page cannot be had; one cannot be had for writing. */
export type HmmError = "-EBUSY" | "-EFAULT" | "-EPERM"

/**
 * What the walk finds in an entry: what to say of it, a migration that is to be waited for, or that a fault is needed,
 * which.
 */
export type Found = HmmOutput | { readonly migrating: Frame } | "fault" | "write fault" | "-EFAULT"

/** Where the walk does not go on: at a migration that is to be waited for, or at a page that is to be faulted in. */
type Stopped = { readonly migrating: Frame } | { readonly missing: number; readonly write: boolean }

/**
 * Reads the page table of the range without its lock and faults in what is not present, `mmap_lock` held for read. No
 * reference is taken on any page: only `mmuIntervalReadRetry` makes the result trustworthy.
 *
 * @param write whether the pages are to be writable (HMM_PFN_REQ_WRITE)
 * @param owner whose private pages are told as they are
 */
export const hmmRangeFault = procedure(function* (
  mm: Mm,
  iv: IntervalSubscription,
  seq: number,
  range: Range,
  write: boolean,
  owner: string = "",
) {
  const found = yield* walk(mm, iv, seq, range, everyPage(write, owner), faultIn(mm))
  return typeof found === "string" ? found : askedFor(found)
})

/**
 * The same with an array, which has the requests of single pages and is filled.
 *
 * @returns 0, or why not all of the array is filled: then what it has is nothing to go by, and no request either
 */
export const hmmRangeFaultArray = procedure(function* (
  mm: Mm,
  iv: IntervalSubscription,
  seq: number,
  range: Range,
  wish: HmmWish & Required<Pick<HmmWish, "hmmPfns">>,
) {
  const found = yield* walk(mm, iv, seq, range, wish, faultIn(mm))
  return typeof found === "string" ? found : 0
})

/** Says what there is and faults nothing in. Only `mmuIntervalReadRetry` makes the result trustworthy. */
export const hmmRangeSnapshot = procedure(function* (
  mm: Mm,
  iv: IntervalSubscription,
  seq: number,
  range: Range,
  owner: string = "",
) {
  const wish = { defaultFlags: nothing, pfnFlagsMask: nothing, owner }
  const found = yield* walk(mm, iv, seq, range, wish, faultIn(mm))
  // Where nothing is asked for, nothing else goes wrong.
  return typeof found === "string" ? ("-EBUSY" as const) : found
})

/** What is said of pages that all were asked for: of such there is nothing else to say. */
export const askedFor = (found: ReadonlyArray<HmmOutput>): ReadonlyArray<HmmPfn> =>
  found.flatMap((pfn) => (typeof pfn === "string" ? [] : [pfn]))

/** Every page of a range is wanted, in one way. */
export const everyPage = (write: boolean, owner = ""): HmmWish => ({
  defaultFlags: { fault: true, write },
  pfnFlagsMask: nothing,
  owner,
})

/** Faults a page in, `mmap_lock` held throughout. */
const faultIn =
  (mm: Mm) =>
  (va: number, write: boolean): Effect.Effect<"done" | "-EFAULT"> =>
    Effect.map(handleMmFault(mm, va, { write }), (result) => (result === "done" ? "done" : "-EFAULT"))

/**
 * The loop of hmm_range_fault. On an internal restart the pages before `last`, which is how far it has come, stay as they
 * were read, and those behind are still asked for as they were in the beginning.
 *
 * @param fault faults a page in, or says why it is not
 */
export const walk = procedure(function* <Error extends string>(
  mm: Mm,
  iv: IntervalSubscription,
  seq: number,
  range: Range,
  wish: HmmWish,
  fault: (va: number, write: boolean) => Effect.Effect<"done" | Error>,
) {
  const found: Array<HmmOutput> = []
  const head = yield* enterLoop("hmm_range_fault")
  for (;;) {
    yield* head(found)
    if (yield* mmuIntervalCheckRetry(iv, seq)) return "-EBUSY" as const
    let stopped: Stopped | null = null
    let piece: ReadonlyArray<Found> = []
    for (const va of pagesOf(range).slice(found.length)) {
      if (piece.length === 0) piece = yield* walkHugetlbRange(mm, va, range, wish)
      if (mm.system.thp && piece.length === 0) piece = yield* hmmVmaWalkPmd(mm, va, range, wish)
      const huge = piece[0]
      piece = piece.slice(1)
      const pfn = huge ?? (yield* step("hmm_vma_handle_pte", [va], () => hmmVmaHandlePte(mm, va, wish)))
      if (pfn === "-EFAULT") return pfn
      if (pfn === "fault" || pfn === "write fault") stopped = { missing: va, write: pfn === "write fault" }
      else if (typeof pfn === "object" && "migrating" in pfn) stopped = pfn
      else found.push(pfn)
      if (stopped !== null) break
    }
    if (stopped === null) return found
    if ("migrating" in stopped) {
      // The walk ends with -EBUSY, upon which it begins again here, with the same sequence number.
      yield* migrationEntryWait(mm, stopped.migrating)
      continue
    }
    const { missing, write } = stopped
    const behind = pagesOf({ start: missing, end: range.end })
    // All of them are faulted in, asked for or not; then the walk begins again at the page that was missing.
    const faulted = yield* step("hmm_vma_fault", [missing], () =>
      mayAccess(mm, missing, write) ? behind.filter((va) => mayAccess(mm, va, write)) : "-EPERM",
    )
    if (faulted === "-EPERM") return faulted
    for (const va of faulted) {
      const result = yield* fault(va, write)
      if (result !== "done") return result
    }
  }
})

/**
 * `hmm_vma_walk_pmd`: a huge entry, read in one go: all that is to be said of its pages in the range; of small ones
 * nothing.
 */
const hmmVmaWalkPmd = (mm: Mm, va: number, range: Range, wish: HmmWish): Effect.Effect<ReadonlyArray<Found>> =>
  step("hmm_vma_walk_pmd", [va], () =>
    isHuge(mm, va)
      ? pagesOf({ start: va, end: Math.min(spanOf(mm, va).end, range.end) }).map((page) =>
          hmmVmaHandlePte(mm, page, wish),
        )
      : [],
  )

/** Whether the process may access the page. Within a step. */
export const mayAccess = (mm: Mm, va: number, write: boolean): boolean => {
  const vma = findVma(mm, va)
  return vma !== null && allows(vma, write)
}

/**
 * `hmm_vma_handle_pte`, and the look at the area: one entry, read without its lock, and the array's entry filled. Where a
 * fault is needed that stays as it is. Within a step.
 */
export const hmmVmaHandlePte = (mm: Mm, va: number, wish: HmmWish): Found => {
  const entry = wish.hmmPfns === undefined ? null : at(wish.hmmPfns, va)
  const seen = look(mm, va, requestOf(wish, entry?.value ?? null), wish.owner)
  const found: Found = typeof seen === "object" && "page" in seen && isHuge(mm, va) ? { ...seen, order: "PMD" } : seen
  if (entry !== null && isOutput(found)) entry.value = filled(entry.value, found)
  return found
}

/** The request that counts: the entry's own as far as the mask lets it, and the default. */
const requestOf = ({ defaultFlags, pfnFlagsMask }: HmmWish, entry: HmmEntry | null): HmmRequest => ({
  fault: defaultFlags.fault || (entry?.valid === true && pfnFlagsMask.fault),
  write: defaultFlags.write || (entry?.write === true && pfnFlagsMask.write),
})

/** `hmm_vma_walk_test`: whether there is memory in the page's area that can be told of. Within a step. */
const hasMemory = (mm: Mm, va: number): boolean => {
  const vma = findVma(mm, va)
  return vma !== null && allows(vma, false) && !isPfnmap(mm.system, vma)
}

const isOutput = (found: Found): found is HmmOutput =>
  found === "none" || found === "error" || (typeof found === "object" && !("migrating" in found))

/** An entry of the array with what there is to say, the flags in HMM_PFN_INOUT_FLAGS kept. */
export const filled = ({ dmaMapped, p2p }: HmmEntry, output: HmmOutput): HmmEntry => ({
  ...emptyEntry,
  ...(typeof output === "string" ? { error: output === "error" } : { valid: true, ...output }),
  dmaMapped,
  p2p,
})

const look = (mm: Mm, va: number, request: HmmRequest, owner: string): Found => {
  if (!hasMemory(mm, va)) return request.fault ? "-EFAULT" : "error"
  const pte: Pte = hasTable(mm, va) ? at(mm.pte, va).value : null
  switch (pte?.kind) {
    case "present":
      return pte.access === "none" ? absent(request) : told(pte.page, pte.access === "write", request)
    case "zero":
      return pte.access === "none" ? absent(request) : told(null, false, request)
    case "private":
      return pgmapOf(mm.system.folios, pte.page)?.owner === owner ? told(pte.page, pte.write, request) : absent(request)
    case "migration":
      return request.fault ? { migrating: pte.page } : "none"
    case "marker":
      return request.fault ? "-EFAULT" : "none"
    default:
      return absent(request)
  }
}

/**
 * `hmm_pte_need_fault`, of what can be told: of a page that is there, but not for writing. Until 2026 it was not asked of
 * private pages of the device's own, which were told as they are.
 */
const told = (page: Frame | null, write: boolean, request: HmmRequest): Found =>
  request.fault && request.write && !write ? "write fault" : { page, write }

/** The same of what cannot. */
const absent = ({ fault, write }: HmmRequest): Found => (fault ? (write ? "write fault" : "fault") : "none")
