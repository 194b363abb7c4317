/** What callbacks of notifiers may wait for (include/linux/mmu_notifier.h; Documentation/mm/mmu_notifier.rst). */
import type * as Effect from "effect/Effect"
import { type Wait, within } from "../../checker/program/index.ts"
import type { NotifierRange } from "./events.ts"

/** What who announces a range may hold meanwhile (mm/rmap.c: the lock order at its head). */
const heldByCallers: ReadonlySet<string> = new Set(["mmap_lock", "vma_lock", "i_mmap_rwsem", "anon_vma", "folio_lock"])

/** Why a callback of a range may not wait for something. */
const forbidsTo = (range: NotifierRange, { kind, sleeps }: Wait): string | undefined => {
  if (heldByCallers.has(kind)) return "who announces a range may hold that"
  return sleeps && !range.blockable ? "it may not sleep, as the range is not blockable" : undefined
}

/** A callback of a range, its start or its end: it waits for nothing that who announces the range may hold. */
export const rangeCallback = <A>(name: string, range: NotifierRange, callback: Effect.Effect<A>): Effect.Effect<A> =>
  within({ name, forbids: (wait) => forbidsTo(range, wait) }, callback)

/** A callback under the lock of the page table. */
export const atomicCallback = <A>(name: string, callback: Effect.Effect<A>): Effect.Effect<A> =>
  within(
    { name, forbids: ({ sleeps }) => (sleeps ? "it may not sleep, as the page table is locked" : undefined) },
    callback,
  )
