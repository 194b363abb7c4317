/** Programs that read a pointer in read-side sections, replace what it points to, and free it behind a grace period. */
import * as Effect from "effect/Effect"
import {
  assert,
  type Cell,
  cell,
  checkpoint,
  guardedStep,
  type Setup,
  type Struct,
  step,
  struct,
} from "../../checker/index.ts"
import type { Domain } from "../../model/sync/gracePeriod.ts"
import { type Mutex, mutex } from "../../model/sync/mutex.ts"
import type { SrcuTree } from "../../model/sync/srcuTree.ts"
import { names } from "../define.ts"
import { type History, history } from "./history.ts"
import { domainsOf, type Implementation, type Kind } from "./implementations.ts"

/** What the properties and seeded bugs see. */
export interface SyncWorld {
  readonly kind: Kind
  readonly implementation: Implementation
  readonly small: Domain | undefined
  readonly tree: SrcuTree | undefined
  /** `gp`, the pointer that is protected: the name of the object that it points to. */
  readonly pointer: Cell<string>
  /** By name, whether an object is in use. */
  readonly objects: ReadonlyMap<string, Cell<"unused" | "live" | "freed">>
  /** A lock that the correct programs have no use for. */
  readonly lock: Mutex
  readonly updaters: ReadonlyArray<string>
  readonly history: History
}

export interface Shape {
  readonly kind: Kind
  readonly readers: number
  /** How often each reads; 0 is for ever. */
  readonly rounds: number
  /** How deep sections nest. */
  readonly nesting: number
  /** Fibers that replace the object and wait for a grace period, and how often each does. */
  readonly updaters: number
  readonly updates: number
  /** Fibers that replace the object and have it freed by a callback, and how often each does. */
  readonly callers: number
  readonly calls: number
  /** Fibers that wait for the callbacks meanwhile. */
  readonly flushers: number
  /** CPUs of the machine. */
  readonly cpus: number
  /** Where counters wrap; null for as early as may be. */
  readonly wrap: number | null
}

/**
 * The first power of two beyond the number of fibers that can have looked at an index before it flipped and count
 * themselves there while a scan adds up; the kernel relies on there being fewer tasks than its counters can count.
 */
const earliestWrap = ({ readers, updaters, callers }: Shape): number =>
  2 ** Math.ceil(Math.log2(readers + updaters + callers + 1))

/** Makes the program. Where nobody reads for ever it ends by taking the domain down. */
export const syncWorld = (shape: Shape): Setup<SyncWorld> => {
  const readers = names("reader", shape.readers)
  const updaters = names("updater", shape.updaters)
  const callers = names("caller", shape.callers)
  const flushers = names("flusher", shape.flushers)
  const replaced = shape.updaters * shape.updates + shape.callers * shape.calls
  const objects = new Map(
    names("object", 1 + replaced).map((name, i) => [name, cell<Life>(name, i === 0 ? "live" : "unused")]),
  )
  const pointer = cell("gp", "object0")
  const module = struct("module", { refcount: readers.length + updaters.length + callers.length + flushers.length })

  const free = (name: string) => {
    const object = objects.get(name)
    if (object !== undefined) object.value = "freed"
  }
  const { implementation, small, tree } = domainsOf(
    shape.kind,
    [...readers, ...updaters],
    (head) => step("rcu_callback", [head], () => free(head)),
    { cpus: shape.cpus, wrap: shape.wrap ?? earliestWrap(shape) },
  )
  const replace = step("rcu_assign_pointer", ["gp"], () => {
    const old = pointer.value
    const [name, fresh] = [...objects].find(([, { value }]) => value === "unused") ?? []
    if (name === undefined || fresh === undefined) throw new RangeError("there is no object left")
    fresh.value = "live"
    pointer.value = name
    return old
  })

  const reader = Effect.fnUntraced(function* (name: string) {
    for (let round = 0; shape.rounds === 0 || round < shape.rounds; round++) {
      yield* checkpoint("reader", shape.rounds === 0 ? 0 : round)
      yield* reads(implementation, name, pointer, shape.nesting)
    }
    yield* modulePut(module)
  })
  const updater = Effect.fnUntraced(function* (name: string) {
    for (let round = 0; round < shape.updates; round++) {
      yield* checkpoint("updater", round)
      const old = yield* replace
      yield* implementation.synchronize(name)
      yield* step("kfree", [old], () => {
        assert(objects.get(old)?.value !== "freed", `${old} is freed twice`)
        free(old)
      })
    }
    yield* modulePut(module)
  })
  const caller = Effect.fnUntraced(function* (_: string) {
    for (let round = 0; round < shape.calls; round++) {
      yield* checkpoint("caller", round)
      yield* implementation.call(yield* replace)
    }
    yield* modulePut(module)
  })
  const flusher = (name: string) => Effect.andThen(implementation.barrier(name), modulePut(module))
  /** The exit of a module: callbacks that are its code must have run before it is gone. */
  const rmmod = Effect.gen(function* () {
    yield* guardedStep(
      "delete_module",
      () => module.refcount === 0,
      () => undefined,
    )
    if (callers.length > 0) yield* implementation.barrier("rmmod")
    yield* implementation.cleanup
  })

  const record = history(shape.kind, [...readers, ...updaters], {
    synchronizes: updaters.length > 0,
    calls: callers.length > 0,
    ends: shape.rounds > 0,
  })
  return {
    world: {
      kind: shape.kind,
      implementation,
      small,
      tree,
      pointer,
      objects,
      lock: mutex("lock"),
      updaters,
      history: record,
    },
    fibers: {
      ...fibersOf(readers, reader),
      ...fibersOf(updaters, updater),
      ...fibersOf(callers, caller),
      ...fibersOf(flushers, flusher),
      ...implementation.workers,
      ...(shape.rounds === 0 ? {} : { rmmod }),
    },
    monitors: [record.monitor],
  }
}

type Life = "unused" | "live" | "freed"

const fibersOf = (fibers: ReadonlyArray<string>, program: (name: string) => Effect.Effect<void>) =>
  Object.fromEntries(fibers.map((name) => [name, program(name)]))

/** Finds the object and uses it, all in a section; sections further in do the same and end before it. */
const reads = (
  implementation: Implementation,
  name: string,
  pointer: Cell<string>,
  nesting: number,
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const section = yield* implementation.readLock(name)
    if (nesting > 1) yield* reads(implementation, name, pointer, nesting - 1)
    else yield* step("rcu_dereference", ["gp"], () => pointer.value)
    yield* implementation.readUnlock(name, section)
  })

/** `module_put`: a user of the module that is about to end. */
const modulePut = (module: Struct<{ refcount: number }>) =>
  step("module_put", () => {
    module.refcount--
  })
