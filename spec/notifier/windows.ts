/** Which invalidations are open: recorded from outside, in cells of its own, in the same instant as the steps. */
import { type Monitor, type Struct, struct } from "../../checker/index.ts"
import type { MirrorDevice } from "../../model/driver/mirror.ts"
import { overlaps } from "../../model/mm/range.ts"

/** An invalidation of one fiber, from its start to the wake-up behind its end. */
export type Window = {
  /** `starting`: callbacks are being called; `open`: start has returned; `waking`: ended, readers not yet woken. */
  phase: "closed" | "starting" | "open" | "waking"
  start: number
  end: number
  /** The sequence that the callbacks are told to set. */
  seq: number
  /** The subscriptions that overlapped when it started, those whose callback has completed, and the one being called. */
  due: ReadonlyArray<string>
  called: ReadonlyArray<string>
  current: string
  /** A start while a window was open, or an end while none was. */
  unpaired: boolean
}

/** By the name of the fiber that invalidates. */
export type Windows = ReadonlyMap<string, Struct<Window>>

const none: ReadonlyArray<string> = []
const closed: Window = {
  phase: "closed",
  start: 0,
  end: 0,
  seq: 0,
  due: none,
  called: none,
  current: "",
  unpaired: false,
}

/** Makes the record for fibers that may invalidate. */
export const recordWindows = (
  devices: ReadonlyArray<MirrorDevice>,
  invalidators: ReadonlyArray<string>,
): { readonly windows: Windows; readonly monitor: Monitor } => {
  const windows = new Map(invalidators.map((name) => [name, struct(`window.${name}`, closed)]))
  const byName = new Map(devices.map((device) => [device.name, device]))
  const monitor: Monitor = {
    mn_itree_inv_start_range: ({ fiber, args, result }) => {
      const window = windows.get(fiber)
      if (window === undefined) return
      const { seq, first } = result as { readonly seq: number; readonly first: string | null } // what the step returns
      const range = { start: Number(args[0]), end: Number(args[1]) }
      if (window.phase !== "closed") window.unpaired = true
      window.phase = first === null ? "open" : "starting"
      window.start = range.start
      window.end = range.end
      window.seq = seq
      window.due = devices
        .filter(({ iv, mm }) => mm.subscriptions.state.tree.includes(iv.name) && overlaps(iv.range, range))
        .map(({ name }) => name)
      window.called = none
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
    mn_itree_inv_end: ({ fiber, result }) => {
      const window = windows.get(fiber)
      if (window === undefined) return
      if (window.phase !== "open") window.unpaired = true
      Object.assign(window, { ...closed, unpaired: window.unpaired, phase: result === true ? "waking" : "closed" })
    },
    wake_up_all: ({ fiber }) => {
      const window = windows.get(fiber)
      if (window?.phase === "waking") window.phase = "closed"
    },
  }
  return { windows, monitor }
}
