/**
 * The record of what subscriptions and their readers live through: what the properties need to remember and the
 * protocol does not. Recorded from outside, in cells of its own, in the same instant as the step that it is about.
 */
import { type Monitor, type Plain, type Struct, struct } from "../../../checker/index.ts"
import type { MirrorDevice } from "../../../model/driver/mirror.ts"
import { isOpen, type Windows } from "../windows.ts"

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
  /** Whether the reader, its sample accepted, has mapped something; and whether it has ever let go of the lock without. */
  mapped: boolean
  missed: boolean
}

export interface History {
  readonly lives: ReadonlyMap<string, Struct<Life>>
  /** The sequence that a fiber on the wait queue waits to see changed. */
  readonly sleepingFor: ReadonlyMap<string, Struct<{ seq: number }>>
  readonly monitor: Monitor
}

/** Makes the record, with every device's subscription in the given stage. */
export const history = (
  devices: ReadonlyArray<MirrorDevice>,
  windows: Windows,
  stageOf: (device: MirrorDevice) => Life["stage"],
): History => {
  const lives = new Map(
    devices.map((device) => {
      const life: Life = {
        stage: stageOf(device),
        remover: "",
        reader: "idle",
        disturbed: false,
        beganUnderLock: false,
        lastUse: "none",
        mapped: false,
        missed: false,
      }
      return [device.name, struct(`life.${device.name}`, life)]
    }),
  )
  const fibers = [...windows.keys(), ...devices.map(({ name }) => name)]
  const sleepingFor = new Map(fibers.map((name) => [name, struct(`sleep.${name}`, { seq: 0 })]))
  const byName = new Map(devices.map((device) => [device.name, device]))

  const holdsLock = (fiber: string, device: string) => byName.get(device)?.lock.state.holder === fiber
  const betweenCallbackAndEnd = (device: string) =>
    [...windows.values()].some((window) => isOpen(window) && window.called.includes(device))
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
    mutex_unlock: ({ fiber }) => {
      const life = lives.get(fiber)
      if (life === undefined) return
      if (life.reader === "accepted" && !life.mapped) life.missed = true
      life.mapped = false
      life.reader = "idle"
      life.disturbed = false
    },
    device_map: ({ fiber }) => {
      const life = lives.get(fiber)
      if (life !== undefined) life.mapped = true
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
  return { lives, sleepingFor, monitor }
}

const nameIn = (args: ReadonlyArray<Plain>): string => String(args[0])
