/** What properties need to remember of the self tests' driver: what it stored, snapshots, and files that are closed. */
import { cell, type Monitor, type Struct, struct } from "../../../checker/index.ts"
import type { Dmirror } from "../../../model/driver/testHmm.ts"
import type { Content } from "../../../model/mm/folio.ts"

export interface DmirrorRecord {
  /** What the device has stored last, by page; empty if nothing, or if the process has given the page up since. */
  readonly stored: ReadonlyArray<{ readonly value: Content }>
  /** What task `reads` has found in the second page, and in the first one behind that; empty before. */
  readonly seen: Struct<{ second: Content; first: Content }>
  /** Whether the file is being closed: nobody uses the table any more. */
  readonly closing: { readonly value: boolean }
  /** Whether the file was closed and its memory given back. */
  readonly freed: { readonly value: boolean }
  /** The last thing done that may not be done, in words. */
  readonly slip: { readonly value: string }
  readonly monitor: Monitor
}

/** Makes the record. */
export const recordDmirror = ({ name, mm }: Dmirror, snapshooter: string): DmirrorRecord => {
  const stored = mm.pte.map((_, va) => cell<Content>(`stored${va}`, ""))
  const seen: DmirrorRecord["seen"] = struct("seen", { second: "", first: "" })
  const closing = cell("closing", false)
  const freed = cell("freed", false)
  const slip = cell("slip", "")
  const called: Monitor[string] = ({ args }) => {
    if (freed.value && args[0] === name) slip.value = `A callback uses ${name}, which was freed.`
  }
  const givesUp: Monitor[string] = ({ args }) => {
    const page = args[0] === mm.name ? stored[Number(args[1])] : undefined
    if (page !== undefined) page.value = ""
  }
  const monitor: Monitor = {
    dmirror_do_write: ({ args, result }) => {
      const page = stored[Number(args[1])]
      if (page !== undefined && result === true) page.value = String(args[2])
    },
    dmirror_do_read: ({ fiber, args, result }) => {
      if (fiber !== "reads" || result === null) return
      if (Number(args[1]) === 1) seen.second = String(result)
      else if (seen.second !== "") seen.first = String(result)
    },
    zap_pte_range: givesUp,
    mmu_interval_notifier_remove: ({ args }) => {
      if (args[0] === name) closing.value = true
    },
    kfree: ({ args }) => {
      if (args[0] === name) freed.value = true
    },
    mmu_interval_set_seq: called,
    dmirror_do_update: called,
    handle_pte_fault: ({ fiber }) => {
      if (fiber === snapshooter) slip.value = "A snapshot faults."
    },
  }
  return { stored, seen, closing, freed, slip, monitor }
}
