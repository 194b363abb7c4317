/** What hmm_range_fault was asked, and what it has done with the array, recorded from outside. */
import { type Monitor, type Struct, struct, type Taken } from "../../../checker/index.ts"
import type { WindowMirror } from "../../../model/driver/windowMirror.ts"
import { emptyEntry, type Found, type HmmEntry, type HmmError, type HmmRequest } from "../../../model/hmm/rangeFault.ts"
import { findVma } from "../../../model/mm/mm.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { wishNamed } from "./wishes.ts"

export interface RequestsRecord {
  readonly state: Struct<{
    /** Whether it runs, for a driver with an array, and how far it has come: the page before which all is output. */
    running: boolean
    last: number
    /** What the array had when it was called. */
    inputs: ReadonlyArray<HmmEntry>
    /** What was found since, `last` pages of it. */
    outputs: ReadonlyArray<HmmEntry>
    /** What the driver wants of the pages. */
    wanted: ReadonlyArray<HmmRequest>
    /** What it has returned and should not have, in words, by the invariant. */
    request: string
    denied: string
    error: string
    /** The lock that is held when a page is faulted in and should not be, in words. */
    lock: string
    /** Whether it has ever returned so. */
    returned: "" | "0" | HmmError
  }>
  readonly monitor: Monitor
}

const none: ReadonlyArray<HmmEntry> = []
const nobody: ReadonlyArray<HmmRequest> = []

/** Makes the record. */
export const recordRequests = (device: WindowMirror): RequestsRecord => {
  const { name, mm, hmmPfns, iv } = device
  const state: RequestsRecord["state"] = struct("requests", {
    running: false,
    last: 0,
    inputs: none,
    outputs: none,
    wanted: nobody,
    request: "",
    denied: "",
    error: "",
    lock: "",
    returned: "",
  })
  const mine = (record: (taken: Taken) => void) => (taken: Taken) => {
    if (taken.fiber === name) record(taken)
  }
  const ends = () => Object.assign(state, { running: false, last: 0, inputs: none, outputs: none })

  /** Whether the process may do to a page what is wanted. `mmap_lock` is held, so it could all the time. */
  const allowed = (va: number): boolean => {
    const prot = findVma(mm, va)?.prot
    return prot === "rw" || (prot === "r" && state.wanted[va]?.write !== true)
  }
  const missing = (va: number): boolean => (findVma(mm, va)?.prot ?? "none") === "none"

  const returns = ({ result, args }: Taken) => {
    const pages = pagesOf({ start: Number(args[1]), end: Number(args[2]) })
    const wanted = pages.filter((va) => state.wanted[va]?.fault === true)
    const entries = wanted.map((va) => ({ va, ...at(hmmPfns, va).value }))
    state.returned = result === 0 ? "0" : (result as HmmError) // what the step returns
    if (result === 0) {
      const poor = entries.find(({ va, valid, write }) => !valid || (state.wanted[va]?.write === true && !write))
      if (poor !== undefined) state.request = `It returns 0, and page ${poor.va} is not as it was asked for.`
      const denied = wanted.find((va) => !allowed(va))
      if (denied !== undefined) state.denied = `It returns 0, and the process may not do that to page ${denied}.`
    }
    if (result === "-EPERM" && wanted.every(allowed))
      state.denied = "It returns -EPERM, and the process may do all that."
    const gone = wanted.some(missing) || mm.state.users === 0
    if (result === "-EFAULT" && !gone) state.error = "It returns -EFAULT, and nothing that was asked for is missing."
  }

  const monitor: Monitor = {
    "hmm_pfns: requests": mine(({ args }) => {
      state.wanted = wishNamed(String(args[1])).wanted
    }),
    mmap_read_lock: mine(() => {
      if (state.wanted.length === 0) return
      state.running = true
      state.inputs = pagesOf(iv.range).map((va) => at(hmmPfns, va).value)
    }),
    hmm_vma_handle_pte: mine(({ args, result }) => {
      const va = Number(args[0])
      if (!state.running || !isOutput(result as Found)) return // what the step returns
      state.last = va + 1
      state.outputs = [...state.outputs.slice(0, va), outputOf(result as Found)]
    }),
    handle_pte_fault: mine(({ args }) => {
      const held = mm.tables.find(({ lock }) => lock.state.holder === name)
      if (held !== undefined) state.lock = `Page ${args[1]} is faulted in under the lock of a page table.`
    }),
    hmm_range_fault: mine(returns),
    mmap_read_unlock: mine(ends),
    "kvfree(hmm_pfns)": mine(() => {
      state.wanted = nobody
    }),
  }
  return { state, monitor }
}

const isOutput = (found: Found): boolean =>
  found === "none" || found === "error" || (typeof found === "object" && !("migrating" in found))

const outputOf = (found: Found): HmmEntry => {
  if (typeof found === "object" && "write" in found) return { ...emptyEntry, valid: true, ...found }
  return { ...emptyEntry, error: found === "error" }
}
