/**
 * What the properties need to remember and the protocol does not: recorded from outside, in cells of its own, in the
 * same instant as the step that it is about.
 */
import { type Monitor, type Plain, type Struct, struct } from "../../../checker/index.ts"
import type { MirrorDevice } from "../../../model/driver/mirror.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { overlaps } from "../../../model/mm/range.ts"

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

/** The life of a subscription, and what its one reader does. */
export type Life = {
  stage: "new" | "inserted" | "removing" | "freed"
  /** The fiber that removes it. */
  remover: string
  /** `waiting` in read_begin, `sampled` behind it, `accepted` behind a read_retry that said no. */
  reader: "idle" | "waiting" | "sampled" | "accepted"
  /** Whether a callback set the sequence, or an invalidation was between its callback and its end, since the sample. */
  disturbed: boolean
  /** Whether the reader held the driver's lock when it began. */
  beganUnderLock: boolean
  /** Whether set_seq and read_retry were last executed with the driver's lock held. */
  lastUse: "none" | "locked" | "unlocked"
}

export interface History {
  readonly windows: ReadonlyMap<string, Struct<Window>>
  readonly lives: ReadonlyMap<string, Struct<Life>>
  /** The sequence that a fiber on the wait queue waits to see changed. */
  readonly sleepingFor: ReadonlyMap<string, Struct<{ seq: number }>>
  readonly monitor: Monitor
}

const noNames: ReadonlyArray<string> = []

/** Makes the record, with every device's subscription in the given stage. */
export const history = (
  mm: Mm,
  devices: ReadonlyArray<MirrorDevice>,
  invalidators: ReadonlyArray<string>,
  stageOf: (device: MirrorDevice) => Life["stage"],
): History => {
  const closed: Window = {
    phase: "closed",
    start: 0,
    end: 0,
    seq: 0,
    due: noNames,
    called: noNames,
    current: "",
    unpaired: false,
  }
  const windows = new Map(invalidators.map((name) => [name, struct(`window.${name}`, closed)]))
  const lives = new Map(
    devices.map((device) => {
      const life: Life = {
        stage: stageOf(device),
        remover: "",
        reader: "idle",
        disturbed: false,
        beganUnderLock: false,
        lastUse: "none",
      }
      return [device.name, struct(`life.${device.name}`, life)]
    }),
  )
  const fibers = [...invalidators, ...devices.map(({ name }) => name)]
  const sleepingFor = new Map(fibers.map((name) => [name, struct(`sleep.${name}`, { seq: 0 })]))
  const byName = new Map(devices.map((device) => [device.name, device]))

  const holdsLock = (fiber: string, device: string) => byName.get(device)?.lock.state.holder === fiber
  const betweenCallbackAndEnd = (device: string) =>
    [...windows.values()].some(
      (window) => (window.phase === "starting" || window.phase === "open") && window.called.includes(device),
    )
  const sampled = (life: Struct<Life>, device: string) => {
    life.reader = "sampled"
    life.disturbed = betweenCallbackAndEnd(device)
  }
  const used = (life: Struct<Life>, fiber: string, device: string) => {
    life.lastUse = holdsLock(fiber, device) ? "locked" : "unlocked"
  }
  const slept = (fiber: string, seq: number, done: boolean) => {
    const sleeper = sleepingFor.get(fiber)
    if (sleeper !== undefined) sleeper.seq = done ? 0 : seq
  }

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
      window.due = mm.subscriptions.state.tree.filter((name) => {
        const iv = mm.subscriptions.byName.get(name)
        return iv !== undefined && overlaps(iv.range, range)
      })
      window.called = noNames
      window.current = first ?? ""
    },
    mutex_unlock: ({ fiber, args }) => {
      const window = windows.get(fiber)
      if (window?.phase === "starting" && byName.get(window.current)?.lock.name === args[0]) {
        window.called = [...window.called, window.current]
      }
      const life = lives.get(fiber)
      if (life !== undefined) {
        life.reader = "idle"
        life.disturbed = false
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
    mmu_interval_notifier_insert: ({ args }) => {
      const life = lives.get(nameIn(args))
      if (life !== undefined) life.stage = "inserted"
    },
    mmu_interval_notifier_remove: ({ fiber, args }) => {
      const life = lives.get(nameIn(args))
      if (life === undefined) return
      life.stage = "removing"
      life.remover = fiber
    },
    "mmu_interval_notifier_remove: prepare_to_wait": ({ fiber, args, result }) =>
      slept(fiber, Number(args[0]), result === true),
    kfree: ({ args }) => {
      const life = lives.get(nameIn(args))
      if (life !== undefined) life.stage = "freed"
    },
    mmu_interval_read_begin: ({ fiber, args, result }) => {
      const life = lives.get(nameIn(args))
      if (life === undefined) return
      const { invalidating } = result as { readonly invalidating: boolean } // what the step returns
      life.beganUnderLock = holdsLock(fiber, nameIn(args))
      life.disturbed = false
      if (invalidating) life.reader = "waiting"
      else sampled(life, nameIn(args))
    },
    "mmu_interval_read_begin: prepare_to_wait": ({ fiber, args, result }) => {
      slept(fiber, Number(args[0]), result === true)
      const life = lives.get(fiber)
      if (life !== undefined && result === true) sampled(life, fiber)
    },
    mmu_interval_set_seq: ({ fiber, args }) => {
      const life = lives.get(nameIn(args))
      if (life === undefined) return
      used(life, fiber, nameIn(args))
      if (life.reader === "sampled") life.disturbed = true
    },
    mmu_interval_read_retry: ({ fiber, args, result }) => {
      const life = lives.get(nameIn(args))
      if (life === undefined) return
      used(life, fiber, nameIn(args))
      life.reader = result === true ? "idle" : "accepted"
      if (result === true) life.disturbed = false
    },
  }
  return { windows, lives, sleepingFor, monitor }
}

const nameIn = (args: ReadonlyArray<Plain>): string => String(args[0])
