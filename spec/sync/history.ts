/**
 * The record of sections, grace periods and callbacks: what was promised at each call. Recorded from outside, by steps
 * that the small models and the algorithm have in common or that do the same in them.
 */
import { type Cell, cell, type Monitor, type Struct, struct, type Taken } from "../../checker/index.ts"
import type { Kind } from "./implementations.ts"

/** Open sections by reader: how many, of those that are nested. */
type Owed = Readonly<Record<string, number>>

export interface History {
  /** By reader: how many sections are open, and the object that was found in the outermost. */
  readonly readers: ReadonlyMap<string, Struct<{ depth: number; holds: string }>>
  readonly waits: Struct<{
    /** By who waits for a grace period, or by callback: the sections that were open at the call and still are. */
    owed: Readonly<Record<string, Owed>>
    /** How many of the grace periods that are waited for, or were, had sections to wait for. */
    waited: boolean
    /** What was said to be over while a section was still open that had been at the call. */
    early: ReadonlyArray<string>
  }>
  readonly callbacks: Struct<{
    /** Those that have not run, in the order of their calls. */
    queued: ReadonlyArray<string>
    /** Those that ran, and those that did before one queued earlier. */
    ran: ReadonlyArray<string>
    outOfOrder: ReadonlyArray<string>
    /** By who waits in a barrier: the callbacks that were queued at the call. */
    barriers: Readonly<Record<string, ReadonlyArray<string>>>
    barrierWaited: boolean
    barrierEarly: ReadonlyArray<string>
  }>
  /** What was still there when the domain was taken down, or the module that uses it; null before that. */
  readonly cleanup: Cell<ReadonlyArray<string> | null>
  readonly monitor: Monitor
}

/**
 * Makes the record of a program.
 *
 * @param kind who provides the grace periods: their steps are called differently
 * @param names the fibers that read
 * @param watched what else the program does: wait for grace periods, queue callbacks, end
 */
export const history = (
  kind: Kind,
  names: ReadonlyArray<string>,
  watched: { readonly synchronizes: boolean; readonly calls: boolean; readonly ends: boolean },
): History => {
  const readers = new Map(names.map((name) => [name, struct(`history.${name}`, { depth: 0, holds: "" })]))
  const nothing: ReadonlyArray<string> = []
  const nobody: Readonly<Record<string, never>> = {}
  const waits: History["waits"] = struct("history", { owed: nobody, waited: false, early: nothing })
  const callbacks: History["callbacks"] = struct("history", {
    queued: nothing,
    ran: nothing,
    outOfOrder: nothing,
    barriers: nobody,
    barrierWaited: false,
    barrierEarly: nothing,
  })
  const cleanup = cell<ReadonlyArray<string> | null>("history.cleanup", null)

  const enter = ({ fiber }: Taken) => {
    const reader = readers.get(fiber)
    if (reader !== undefined) reader.depth++
  }
  const leave = ({ fiber }: Taken) => {
    const reader = readers.get(fiber)
    if (reader === undefined) return
    reader.depth--
    if (reader.depth === 0) reader.holds = ""
    waits.owed = mapValues(waits.owed, (owed) => atMost(owed, fiber, reader.depth))
  }
  const begin = (what: string) => {
    const open = [...readers].flatMap(([name, { depth }]) => (depth === 0 ? [] : [[name, depth] as const]))
    waits.owed = { ...waits.owed, [what]: Object.fromEntries(open) }
    if (open.length > 0) waits.waited = true
  }
  const end = (what: string) => {
    const { [what]: owed, ...others } = waits.owed
    waits.owed = others
    if (Object.keys(owed ?? {}).length > 0) waits.early = [...waits.early, what]
  }
  const queue = ({ args }: Taken) => {
    callbacks.queued = [...callbacks.queued, String(args[1])]
  }
  const beginBarrier = ({ fiber }: Taken) => {
    callbacks.barriers = { ...callbacks.barriers, [fiber]: callbacks.queued }
    if (callbacks.queued.length > 0) callbacks.barrierWaited = true
  }
  const endBarrier = ({ fiber }: Taken) => {
    const { [fiber]: owed = [], ...others } = callbacks.barriers
    callbacks.barriers = others
    if (owed.some((head) => callbacks.queued.includes(head)))
      callbacks.barrierEarly = [...callbacks.barrierEarly, fiber]
  }

  const rcuOrSrcu = kind === "rcu" ? "rcu" : "srcu"
  const enters = kind === "srcutree" ? "__srcu_read_lock: srcu_lock_count" : `${rcuOrSrcu}_read_lock`
  const leaves = kind === "srcutree" ? "__srcu_read_unlock" : `${rcuOrSrcu}_read_unlock`
  const reads: Monitor = {
    [enters]: enter,
    [leaves]: leave,
    rcu_dereference: ({ fiber, result }) => {
      const reader = readers.get(fiber)
      if (reader !== undefined) reader.holds = String(result)
    },
  }
  const synchronizes: Monitor = {
    [`synchronize_${rcuOrSrcu}`]: ({ fiber }) => begin(fiber),
    [`synchronize_${rcuOrSrcu}: wait_for_completion`]: ({ fiber }) => end(fiber),
  }
  const calls: Monitor = {
    // The sections that matter are those at the call; a barrier counts on what is in the list.
    [`call_${rcuOrSrcu}`]: (taken) => {
      begin(String(taken.args[1]))
      if (kind !== "srcutree") queue(taken)
    },
    ...(kind === "srcutree" ? { srcu_gp_start_if_needed: queue } : {}),
    rcu_callback: ({ args }) => {
      const head = String(args[0])
      end(head)
      if (callbacks.queued[0] !== head) callbacks.outOfOrder = [...callbacks.outOfOrder, head]
      callbacks.queued = callbacks.queued.filter((other) => other !== head)
      callbacks.ran = [...callbacks.ran, head]
    },
    [`${rcuOrSrcu}_barrier`]: beginBarrier,
    [`${rcuOrSrcu}_barrier: wait_for_completion`]: endBarrier,
  }
  const cleansUp: Monitor = {
    [kind === "rcu" ? "free_module" : "cleanup_srcu_struct"]: ({ result }) => {
      cleanup.value = Array.isArray(result) ? result.map(String) : []
    },
  }
  const monitor: Monitor = {
    ...reads,
    ...(watched.synchronizes ? synchronizes : {}),
    ...(watched.calls ? calls : {}),
    ...(watched.ends ? cleansUp : {}),
  }
  return { readers, waits, callbacks, cleanup, monitor }
}

const mapValues = <A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B): Readonly<Record<string, B>> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]))

/** Of a reader that has `depth` sections open no more than that are owed; sections are left in the order of nesting. */
const atMost = (owed: Owed, reader: string, depth: number): Owed => {
  const { [reader]: own = 0, ...others } = owed
  const left = Math.min(own, depth)
  return left === 0 ? others : { ...others, [reader]: left }
}
