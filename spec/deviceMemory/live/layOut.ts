/** What is there in the beginning where a page in device memory is not enough. */
import { type Monitor, struct } from "../../../checker/index.ts"
import { folioOf } from "../../../model/mm/folio.ts"
import type { LruBatch } from "../../../model/mm/lruDrain.ts"
import { tableOf } from "../../../model/mm/mm.ts"
import { rmappedPage } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import type { MmWorld } from "../../mm/world.ts"

/** The page in device memory at an address of the parent's, shared with a child as fork leaves it. */
export const shareWithChild = ({ folios, parent, child }: MmWorld, va: number): void => {
  const { value: vma } = at(parent.vma, va)
  const { value: pte } = at(parent.pte, va)
  if (vma === null || pte?.kind !== "private") throw new RangeError(`page ${va} is in no device's memory`)
  const folio = folioOf(folios, pte.page)
  folio.refcount++
  folio.mapcount++
  folio.anonExclusive = false
  child.state.users = 1
  at(child.vma, va).value = { ...vma, anonVmas: ["parent", "child"] }
  Object.assign(tableOf(child, va).state, { linked: true, live: true })
  for (const mm of [parent, child]) at(mm.pte, va).value = { ...pte, write: false }
  child.rss.anon++
}

/** A page of the parent's that was mapped on a CPU a moment ago, and is in its batch; nobody has that CPU now. */
export const batchOf = ({ folios, parent }: MmWorld, va: number): LruBatch => {
  const frame = rmappedPage(at(parent.pte, va).value)
  if (frame === null) throw new RangeError(`page ${va} is not mapped`)
  const folio = folioOf(folios, frame)
  folio.lru = false
  folio.refcount++
  return { cpu: "cpu0", state: struct("cpu0.lru_add", { pages: [frame], queued: false, running: "" }) }
}

/**
 * CPUs without preemption, on one of which the kernel runs for a fiber: from when it has `mmap_lock` it has the CPU until it
 * sleeps, which it does where it waits for an entry of a page that is being moved, or may do once a driver has its page.
 */
export const withoutPreemption = (batches: ReadonlyArray<LruBatch>, fiber: string): Monitor => {
  const runs =
    (isRunning: (result: unknown) => boolean): Monitor[string] =>
    (taken) => {
      if (taken.fiber !== fiber) return
      for (const { state } of batches) state.running = isRunning(taken.result) ? fiber : ""
    }
  const waits = (result: unknown) =>
    typeof result === "object" &&
    result !== null &&
    ("migrating" in result || ("call" in result && result.call === "migration_entry_wait"))
  return {
    mmap_read_lock: runs(() => true),
    hmm_vma_handle_pte: runs((result) => !waits(result)),
    handle_pte_fault: runs((result) => !waits(result)),
    "do_swap_page: trylock_page": runs((result) => result === "done"),
    mmap_read_unlock: runs(() => false),
  }
}
