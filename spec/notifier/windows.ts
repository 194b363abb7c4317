/**
 * The record of invalidations under way, from their start to the wake-up behind their end: what properties need to
 * remember and the protocol does not. Recorded from outside, in cells of its own, in the same instant as the step that
 * it is about.
 */
import { type Monitor, type Struct, struct } from "../../checker/index.ts"
import type { MirrorDevice } from "../../model/driver/mirror.ts"
import type { Mm } from "../../model/mm/mm.ts"
import { overlaps } from "../../model/mm/range.ts"

/** An invalidation of one fiber. */
export type Window = {
  /** `starting`: callbacks are being called; `open`: start has returned; `waking`: ended, readers not yet woken. */
  phase: "closed" | "starting" | "open" | "waking"
  /** The address space, by name, and the range of it. */
  mm: string
  start: number
  end: number
  /** The function that announces it. */
  by: string
  /** The sequence that the callbacks are told to set. */
  seq: number
  /** The subscriptions that overlapped when it started, those whose callback has completed, and the one being called. */
  due: ReadonlyArray<string>
  called: ReadonlyArray<string>
  current: string
  /** A start while a window was open, or an end while none was; a start that refuses, as it may not sleep, ends itself. */
  unpaired: boolean
}

/** The windows by the fiber whose they are. */
export type Windows = ReadonlyMap<string, Struct<Window>>

const noNames: ReadonlyArray<string> = []

const closed: Window = {
  phase: "closed",
  mm: "",
  start: 0,
  end: 0,
  by: "",
  seq: 0,
  due: noNames,
  called: noNames,
  current: "",
  unpaired: false,
}

/**
 * Makes the record. An address space that no device mirrors has no windows.
 *
 * @param devices all that subscribe, in all address spaces
 * @param invalidators the fibers that invalidate, each one range at a time; those of others are not recorded
 */
export const recordWindows = (
  devices: ReadonlyArray<MirrorDevice>,
  invalidators: ReadonlyArray<string>,
): { readonly windows: Windows; readonly monitor: Monitor } => {
  const windows = new Map(invalidators.map((name) => [name, struct(`window.${name}`, closed)]))
  const byName = new Map(devices.map((device) => [device.name, device]))
  const mms = new Map(devices.map(({ mm }) => [mm.name, mm]))

  const monitor: Monitor = {
    mn_itree_inv_start_range: ({ fiber, args, result }) => {
      const window = windows.get(fiber)
      if (window === undefined) return
      const { seq, first } = result as { readonly seq: number; readonly first: string | null } // what the step returns
      const [mm, start, end] = [String(args[0]), Number(args[1]), Number(args[2])]
      if (window.phase !== "closed") window.unpaired = true
      window.phase = first === null ? "open" : "starting"
      window.mm = mm
      window.start = start
      window.end = end
      window.by = String(args[4])
      window.seq = seq
      window.due = overlapping(mms.get(mm), start, end)
      window.called = noNames
      window.current = first ?? ""
    },
    mutex_unlock: ({ fiber, args }) => {
      const window = windows.get(fiber)
      if (window?.phase === "starting" && byName.get(window.current)?.lock.name === args[0]) {
        window.called = [...window.called, window.current]
      }
    },
    mn_itree_inv_next: ({ fiber, result }) => {
      const window = windows.get(fiber)
      if (window === undefined) return
      window.current = result === null ? "" : String(result)
      if (result === null) window.phase = "open"
    },
    mn_itree_inv_end: ({ fiber, args, result }) => {
      const window = windows.get(fiber)
      if (window === undefined) return
      const refused = window.phase === "starting" && args.includes("nonblock")
      if (window.phase !== "open" && !refused) window.unpaired = true
      Object.assign(window, { ...closed, unpaired: window.unpaired, phase: result === true ? "waking" : "closed" })
    },
    wake_up_all: ({ fiber }) => {
      const window = windows.get(fiber)
      if (window?.phase === "waking") window.phase = "closed"
    },
  }
  return { windows, monitor }
}

/** The subscriptions in the tree that overlap a range. */
const overlapping = (mm: Mm | undefined, start: number, end: number): ReadonlyArray<string> =>
  mm?.subscriptions.state.tree.filter((name) => {
    const iv = mm.subscriptions.byName.get(name)
    return iv !== undefined && overlaps(iv.range, { start, end })
  }) ?? noNames

/** Whether the invalidation has started and not ended. */
export const isOpen = ({ phase }: Window): boolean => phase === "starting" || phase === "open"

/** Whether an open window covers a page of an address space. */
export const covers = (window: Window, mm: Mm, va: number): boolean =>
  isOpen(window) && window.mm === mm.name && window.start <= va && va < window.end

/** Whether an invalidation of the page has started and not completed the device's callback. */
export const callbackIsDue = (windows: Windows, { mm, name }: MirrorDevice, va: number): boolean =>
  [...windows.values()].some(
    (window) => covers(window, mm, va) && window.phase === "starting" && !window.called.includes(name),
  )

/**
 * Whether an invalidation of the page has completed the device's callback, if it calls it at all, and not ended. A device
 * that makes a page its own has nothing to do for that.
 */
export const callbackIsDone = (windows: Windows, { mm, name }: MirrorDevice, va: number): boolean =>
  [...windows.values()].some(
    (window) =>
      covers(window, mm, va) &&
      (window.called.includes(name) || (window.phase === "open" && window.by !== "make_device_exclusive")),
  )
