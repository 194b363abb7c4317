/** Classic notifiers that are registered before anybody else runs, and are on the list until the address space ends. */
import { procedure, step, struct } from "../../checker/program/index.ts"
import type { NotifierRange } from "./events.ts"
import type { MmuNotifierOps } from "./mmuNotifierOps.ts"

/**
 * What a notifier does while it is on the list. `mn_hlist_release` takes it off behind its release, so that it hears
 * nothing of what exit_mmap then unmaps.
 */
export const untilRelease = (name: string, ops: MmuNotifierOps): MmuNotifierOps => {
  const state = struct(`${name}.mn`, { hashed: true })
  const { release, invalidateRangeStart, invalidateRangeEnd, clearFlushYoung } = ops
  const isListed = (callback: string) => step("hlist_for_each_entry_srcu", [name, callback], () => state.hashed)

  const releaseOf = procedure(function* () {
    if (release !== undefined) yield* release()
    yield* step("mn_hlist_release: hlist_del_init_rcu", [name], () => {
      state.hashed = false
    })
  })
  const startOf = (start: NonNullable<MmuNotifierOps["invalidateRangeStart"]>) =>
    procedure(function* (range: NotifierRange) {
      return !(yield* isListed("invalidate_range_start")) || (yield* start(range))
    })
  const endOf = (end: NonNullable<MmuNotifierOps["invalidateRangeEnd"]>) =>
    procedure(function* (range: NotifierRange) {
      if (yield* isListed("invalidate_range_end")) yield* end(range)
    })
  const youngOf = (young: NonNullable<MmuNotifierOps["clearFlushYoung"]>) =>
    procedure(function* (va: number) {
      return (yield* isListed("clear_flush_young")) && (yield* young(va))
    })
  return {
    ...ops,
    release: releaseOf,
    ...(invalidateRangeStart === undefined ? {} : { invalidateRangeStart: startOf(invalidateRangeStart) }),
    ...(invalidateRangeEnd === undefined ? {} : { invalidateRangeEnd: endOf(invalidateRangeEnd) }),
    ...(clearFlushYoung === undefined ? {} : { clearFlushYoung: youngOf(clearFlushYoung) }),
  }
}
