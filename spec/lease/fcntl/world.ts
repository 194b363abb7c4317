/** A file on which a process has a lease (fcntl F_SETLEASE), and others that open it. */
import * as Effect from "effect/Effect"
import {
  type Cell,
  cell,
  choose,
  guardedStep,
  type Monitor,
  type Setup,
  type Struct,
  self,
  step,
  struct,
} from "../../../checker/index.ts"
import { type Broken, breakLease } from "../../../model/lease/breakLease.ts"
import { awake, type Clock, clockOf, ticking } from "../../../model/lease/clock.ts"
import {
  downgradeLease,
  genericAddLease,
  genericDeleteLease,
  getWriteAccess,
  putFileAccess,
} from "../../../model/lease/grantLease.ts"
import { type LeaseContext, type LeaseType, leaseAlloc, leaseContext } from "../../../model/lease/lease.ts"
import { names } from "../../define.ts"

/** What the properties and seeded bugs of leases see. */
export interface FcntlWorld {
  readonly leases: LeaseContext
  readonly clock: Clock
  readonly leaseBreakTime: number
  /** Who has the file open, having seen to the leases, and for what. */
  readonly opened: Struct<{ [fiber: string]: LeaseType | "" }>
  /** How often the holder has been told, since it has had its lease, to give it up or to be content to read; stops at 2. */
  readonly told: Struct<{ unlock: number; downgrade: number }>
  /** Whether the holder has a signal. */
  readonly signal: Cell<boolean>
  /** What the holder did to its lease that the list then did not show. */
  readonly slips: Struct<{ lost: string }>
  /** Whether the holder has asked for a lease, and has not given it up or been refused it. */
  readonly held: Cell<boolean>
  /** When an opener began to wait, and went on; -1 before. */
  readonly waiting: Struct<{ from: number; until: number }>
}

export interface Shape {
  /** Processes that open the file. */
  readonly openers: number
  readonly leaseBreakTime: number
  /** The last tick; 0 is without time, where the holder gives its lease up when it is told to: nobody waits for ever. */
  readonly end: number
  /** Time passes only when everybody waits for it, and the holder has its lease and never answers. */
  readonly exact: boolean
}

/** Makes it. */
export const fcntlWorld = (shape: Shape): Setup<FcntlWorld> => {
  const openers = names("opener", shape.openers)
  const clock = clockOf("clock", shape.end, openers)
  const told = struct("told", { unlock: 0, downgrade: 0 })
  const signal = cell("SIGIO", false)
  const leases = leaseContext("file", clock, shape.leaseBreakTime, {
    // lease_break_callback
    lmBreak: (lease) => {
      signal.value = true
      const what = lease.unlockPending ? "unlock" : "downgrade"
      told[what] = Math.min(2, told[what] + 1)
      return lease
    },
  })
  const opened = struct<{ [fiber: string]: LeaseType | "" }>(
    "opened",
    Object.fromEntries(openers.map((name) => [name, ""])),
  )
  const waiting = struct("waiting", { from: -1, until: -1 })
  const slips = struct("slips", { lost: "" })
  const held = cell("held", false)
  const running = cell<ReadonlyArray<string>>("running", openers)
  const over = () => running.value.length === 0 || (shape.end > 0 && clock.state.jiffies === shape.end)
  const waitsForTime = () =>
    running.value.every(
      (name) =>
        (clock.alarms.get(name)?.value ?? awake) !== awake && leases.blocked.value.some(({ fiber }) => fiber === name),
    )
  const fibers: Record<string, Effect.Effect<unknown, unknown>> = {
    holder: holds(leases, signal, over, shape),
    ...Object.fromEntries(openers.map((name) => [name, opens(leases, running, shape.exact)])),
    ...(shape.end === 0 ? {} : { clock: ticking(clock, shape.exact ? waitsForTime : undefined) }),
  }
  return {
    world: { leases, clock, leaseBreakTime: shape.leaseBreakTime, opened, told, signal, slips, held, waiting },
    fibers,
    monitors: [monitor({ leases, clock, opened, told, slips, held, waiting })],
  }
}

type Watched = Omit<FcntlWorld, "leaseBreakTime" | "signal">

const monitor = ({ leases, clock, opened, told, slips, held, waiting }: Watched): Monitor => ({
  "generic_add_lease: smp_mb": ({ result }) => {
    if (result === "0" && leases.leases.value.length === 0) slips.lost = "it was granted"
    held.value = result === "0"
  },
  generic_delete_lease: () => {
    if (leases.leases.value.length > 0) slips.lost = "it was given up"
    held.value = false
  },
  lease_modify: () => {
    if (leases.leases.value.some(({ type, downgradePending }) => type !== "read" || downgradePending)) {
      slips.lost = "it became one to read"
    }
  },
  locks_insert_lock_ctx: () => {
    told.unlock = 0
    told.downgrade = 0
    held.value = true
  },
  do_dentry_open: ({ fiber, args: [, type] }) => {
    opened[fiber] = type === "write" ? "write" : "read"
  },
  put_file_access: ({ fiber }) => {
    if (opened[fiber] !== undefined) opened[fiber] = ""
  },
  __break_lease: ({ result }) => {
    if (result === "wait" && waiting.from < 0) waiting.from = clock.state.jiffies
  },
  "__break_lease: restart": ({ result }) => {
    if (result !== "wait" && waiting.until < 0) waiting.until = clock.state.jiffies
  },
})

/** The holder asks for a lease, and when it is told that somebody else wants the file, it does one of what it may do. */
const holds = Effect.fnUntraced(function* (
  leases: LeaseContext,
  signal: Cell<boolean>,
  over: () => boolean,
  { exact: silent, end }: Shape,
) {
  const type = silent ? "write" : yield* choose("F_SETLEASE", ["read", "write"])
  const granted = yield* genericAddLease(leases, leaseAlloc("holder", "lease", type))
  if (granted === "-EAGAIN" || silent) return
  const told = yield* guardedStep(
    "sigwaitinfo",
    [],
    () => signal.value || over(),
    () => signal.value,
  )
  const answers = type === "write" ? (["F_UNLCK", "F_RDLCK", "none"] as const) : (["F_UNLCK", "none"] as const)
  const answer = told && end > 0 ? yield* choose("answer", answers) : "F_UNLCK"
  if (answer === "F_RDLCK") yield* downgradeLease(leases, "holder")
  if (answer === "F_UNLCK") yield* genericDeleteLease(leases, "holder")
})

/** A process opens the file, with O_NONBLOCK or without, and closes it. */
const opens = Effect.fnUntraced(function* (leases: LeaseContext, running: Cell<ReadonlyArray<string>>, waits: boolean) {
  const type = waits ? "write" : yield* choose("open", ["read", "write"])
  const block = waits || (yield* choose("O_NONBLOCK", [false, true])) === false
  yield* getWriteAccess(leases, type)
  const broken: Broken = yield* breakLease(leases, "lease", type, block)
  if (broken === "0") yield* step("do_dentry_open", [leases.name, type], () => undefined)
  yield* putFileAccess(leases)
  yield* step("exit", () => {
    running.value = running.value.filter((name) => name !== self())
  })
})
