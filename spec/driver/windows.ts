/**
 * The record of the invalidations that a driver is told of, from the call of its start to its end: what properties need to
 * remember and the protocol does not. Recorded from outside, in cells of its own, in the same instant as the steps that
 * the driver names.
 */
import { type Monitor, type Struct, struct, type Taken } from "../../checker/index.ts"
import type { Range } from "../../model/mm/range.ts"

/** An invalidation of one fiber. */
export type Window = {
  /**
   * `starting`: the driver's callback runs; `open`: that has returned; `ending`: the end has been told, and the device may
   * map the range again.
   */
  phase: "closed" | "starting" | "open" | "ending"
  /** In pages of the process. */
  start: number
  end: number
}

/** The windows by the fiber whose they are, which invalidates one range at a time. */
export type Windows = ReadonlyMap<string, Struct<Window>>

/** What a step makes of the window of its fiber; nothing if it has nothing to do with it. */
export type Change = (taken: Taken, window: Window) => Partial<Window> | undefined

const closed: Window = { phase: "closed", start: 0, end: 0 }

/** The driver's start is called. By default a step's first two arguments are the range. */
export const starts =
  (rangeOf: (taken: Taken) => Range = ({ args }) => ({ start: Number(args[0]), end: Number(args[1]) })): Change =>
  (taken) => ({ phase: "starting", ...rangeOf(taken) })

/** The driver's start has done its work, if what the step returns says so: nothing is mapped any more until the end. */
export const opens =
  (done: (taken: Taken) => boolean = () => true): Change =>
  (taken, { phase }) =>
    phase === "starting" && done(taken) ? { phase: "open" } : undefined

/** The device may map the range again, whether or not the window is over. */
export const ends: Change = () => ({ phase: "ending" })

/** The window is over, if what the step returns says so. */
export const closes =
  (over: (taken: Taken) => boolean = () => true): Change =>
  (taken) =>
    over(taken) ? closed : undefined

/**
 * The steps in which calls take or change entries of the process's page table, for drivers on the classic list: who comes
 * to one of them has been told by the driver's callback that it is done, whatever that has done by then.
 */
export const entriesChange: { readonly [stepName: string]: Change } = Object.fromEntries(
  [
    "zap_pte_range",
    "try_to_unmap_one: ptep_clear_flush",
    "ptep_modify_prot_start",
    "copy_present_ptes: ptep_set_wrprotect",
  ].map((name) => [name, opens()] as const),
)

/** The steps of the interval tree's side (model/notifier/interval.ts), for a driver that is the only one there. */
export const intervalSteps: { readonly [stepName: string]: Change } = {
  mn_itree_inv_start_range: (taken) => {
    const { first } = taken.result as { readonly first: string | null } // what the step returns
    const range = { start: Number(taken.args[1]), end: Number(taken.args[2]) }
    return { phase: first === null ? "open" : "starting", ...range }
  },
  mn_itree_inv_next: opens(({ result }) => result === null),
  mn_itree_inv_end: closes(),
}

/**
 * Makes the record.
 *
 * @param fibers all that may invalidate: a fault of the device's may, too
 * @param steps what the driver's steps make of the window of the fiber that takes them
 */
export const recordWindows = (
  fibers: ReadonlyArray<string>,
  steps: { readonly [stepName: string]: Change },
): { readonly windows: Windows; readonly monitor: Monitor } => {
  const windows = new Map(fibers.map((name) => [name, struct(`window.${name}`, closed)]))
  const watch = (change: Change) => (taken: Taken) => {
    const window = windows.get(taken.fiber)
    const changed = window === undefined ? undefined : change(taken, window)
    if (window !== undefined && changed !== undefined) Object.assign(window, changed)
  }
  return {
    windows,
    monitor: Object.fromEntries(Object.entries(steps).map(([name, change]) => [name, watch(change)])),
  }
}

/** Whether an invalidation of a page of the process is in the phase. */
export const isUnder = (windows: Windows, hva: number, phase: Window["phase"]): boolean =>
  [...windows.values()].some((window) => window.phase === phase && window.start <= hva && hva < window.end)
