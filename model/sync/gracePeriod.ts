/**
 * Grace periods, as those who wait for them may rely on: the small model that RCU and SRCU share and that other models
 * use. A wait, or a callback, remembers which read-side sections were open when it began and waits until these have
 * been left; sections that begin later do not matter to it.
 *
 * This is the weakest thing that keeps the promise. The kernel may wait longer, for sections that began after the call;
 * so what holds with every return that this model allows holds with the kernel's. Nor does it hide a deadlock: that the
 * call was made is seen by nobody, so a section that begins behind the call and blocks could as well have begun before it.
 * `srcuTree.ts` is the algorithm itself, and `spec/sync` checks it against the same properties.
 */
import type * as Effect from "effect/Effect"
import {
  assert,
  type Cell,
  cell,
  fork,
  guardedStep,
  procedure,
  type Struct,
  self,
  step,
  struct,
  type Wait,
} from "../../checker/program/index.ts"

/** Open read-side sections: the fiber that is inside, and the numbers of its sections. */
export type Sections = Readonly<Record<string, ReadonlyArray<number>>>

/** An entry of the list of callbacks: a callback with the sections it waits for, or the mark of a barrier. */
export type Queued =
  | { readonly kind: "callback"; readonly head: string; readonly awaited: Sections }
  | { readonly kind: "barrier"; readonly waiter: string }

/** What the kernel calls the operations of one flavour. */
export interface Flavour {
  readonly readLock: string
  readonly readUnlock: string
  readonly synchronize: string
  readonly call: string
  readonly invoke: string
  readonly barrier: string
}

/** Readers that share their grace periods. */
export interface Domain {
  readonly name: string
  readonly flavour: Flavour
  /** Per fiber that may read, the numbers of its open sections: a bit, unless sections nest. */
  readonly readers: ReadonlyMap<string, Cell<ReadonlyArray<number>>>
  readonly state: Struct<{
    /** By the fiber that waits for a grace period: the sections that it still waits for. */
    awaited: Readonly<Record<string, Sections>>
    /** In the order of queueing; an entry leaves the list when its callback has returned. */
    callbacks: ReadonlyArray<Queued>
  }>
}

/**
 * Makes a domain that nobody reads in.
 *
 * @param readers the fibers that may enter a read-side section, by name
 */
export const domain = (name: string, flavour: Flavour, readers: ReadonlyArray<string>): Domain => {
  const none: ReadonlyArray<number> = []
  const awaited: Readonly<Record<string, Sections>> = {}
  const callbacks: ReadonlyArray<Queued> = []
  return {
    name,
    flavour,
    readers: new Map(readers.map((reader) => [reader, cell(`${name}.${reader}`, none)])),
    state: struct(name, { awaited, callbacks }),
  }
}

const sectionsOf = ({ name, readers }: Domain, reader: string): Cell<ReadonlyArray<number>> => {
  const sections = readers.get(reader)
  if (sections === undefined) throw new RangeError(`${reader} was not named as a reader of ${name}`)
  return sections
}

/** Whether a fiber is inside a read-side section. Within a step or a property. */
export const isInside = ({ readers }: Domain, reader: string): boolean => (readers.get(reader)?.value.length ?? 0) > 0

/** The fibers inside a section. */
export const inside = (gp: Domain): ReadonlyArray<string> =>
  [...gp.readers.keys()].filter((reader) => isInside(gp, reader))

/** All open sections: what a grace period that begins now waits for. */
const present = (gp: Domain): Sections =>
  Object.fromEntries(inside(gp).map((reader) => [reader, sectionsOf(gp, reader).value]))

/** Enters a section and returns its number, the lowest that is free. */
export const readLock = (gp: Domain): Effect.Effect<number> =>
  step(gp.flavour.readLock, [gp.name], () => {
    const sections = sectionsOf(gp, self())
    const section = sections.value.findIndex((number, position) => number !== position)
    const entered = section < 0 ? sections.value.length : section
    sections.value = [...sections.value, entered].sort((a, b) => a - b)
    return entered
  })

/** Leaves a section, which need not be the one entered last; who waited for it no longer does. */
export const readUnlock = (gp: Domain, section: number): Effect.Effect<void> =>
  step(gp.flavour.readUnlock, [gp.name, section], () => leave(gp, section))

/** Leaves the section that was entered last. */
export const readUnlockLast = (gp: Domain): Effect.Effect<void> =>
  step(gp.flavour.readUnlock, [gp.name], () => leave(gp, sectionsOf(gp, self()).value.length - 1))

const leave = (gp: Domain, section: number): void => {
  const sections = sectionsOf(gp, self())
  assert(sections.value.includes(section), `${self()} leaves a section of ${gp.name} that it is not in`)
  sections.value = sections.value.filter((number) => number !== section)
  const without = (awaited: Sections) => withoutSection(awaited, self(), section)
  gp.state.awaited = Object.fromEntries(
    Object.entries(gp.state.awaited).map(([waiter, awaited]) => [waiter, without(awaited)]),
  )
  gp.state.callbacks = gp.state.callbacks.map((queued) =>
    queued.kind === "callback" ? { ...queued, awaited: without(queued.awaited) } : queued,
  )
}

const withoutSection = (awaited: Sections, reader: string, section: number): Sections => {
  const { [reader]: own, ...others } = awaited
  const rest = (own ?? []).filter((number) => number !== section)
  return rest.length === 0 ? others : { ...others, [reader]: rest }
}

/** Whether sections have been left: those that are awaited are taken out when they are. */
const haveLeft = (awaited: Sections): boolean => Object.keys(awaited).length === 0

/** A wait for the sections that are awaited. */
const gracePeriod = (gp: Domain, awaited: () => Sections): Wait => ({
  on: `a grace period of ${gp.name}`,
  kind: "grace period",
  sleeps: true,
  hindrances: () => Object.keys(awaited()).map((fiber) => ({ fiber, how: "holds up inside a section" })),
})

/** Waits until all sections that are open now have been left. */
export const synchronize = procedure(function* (gp: Domain) {
  yield* step(gp.flavour.synchronize, [gp.name], () => {
    gp.state.awaited = { ...gp.state.awaited, [self()]: present(gp) }
  })
  yield* guardedStep(
    `${gp.flavour.synchronize}: wait_for_completion`,
    [gp.name],
    () => haveLeft(gp.state.awaited[self()] ?? {}),
    () => {
      const { [self()]: _, ...others } = gp.state.awaited
      gp.state.awaited = others
    },
    gracePeriod(gp, () => gp.state.awaited[self()] ?? {}),
  )
})

/**
 * Queues a callback, which runs when all sections that are open now have been left and the callbacks queued before it
 * have returned: one list per domain, worked off by one fiber at a time. Does not wait.
 *
 * @param head names the callback among those that have not run
 * @param callback what it does; it runs as a fiber of its own, `domain/head`
 */
export const call = procedure(function* (gp: Domain, head: string, callback: Effect.Effect<unknown>) {
  yield* step(gp.flavour.call, [gp.name, head], () => {
    gp.state.callbacks = [...gp.state.callbacks, { kind: "callback", head, awaited: present(gp) }]
  })
  yield* fork(`${gp.name}/${head}`, invoke(gp, head, callback))
})

const invoke = procedure(function* (gp: Domain, head: string, callback: Effect.Effect<unknown>) {
  yield* guardedStep(
    gp.flavour.invoke,
    [gp.name, head],
    () => isReady(gp, head),
    () => undefined,
    gracePeriod(gp, () => awaitedBy(gp, head)),
  )
  yield* callback
  yield* step(`${gp.flavour.invoke}: done`, [gp.name, head], () => {
    const rest = gp.state.callbacks.filter((queued) => queued.kind !== "callback" || queued.head !== head)
    // Marks of barriers that have come to the front are reached.
    const next = rest.findIndex(({ kind }) => kind === "callback")
    gp.state.callbacks = next < 0 ? [] : rest.slice(next)
  })
})

const isReady = (gp: Domain, head: string): boolean => {
  const [first] = gp.state.callbacks
  return first?.kind === "callback" && first.head === head && haveLeft(first.awaited)
}

/** The sections that a callback waits for, itself and by those that come before it in the list. */
const awaitedBy = (gp: Domain, head: string): Sections => {
  const position = gp.state.callbacks.findIndex((queued) => queued.kind === "callback" && queued.head === head)
  const before = gp.state.callbacks.slice(0, position + 1)
  return Object.assign({}, ...before.map((queued) => (queued.kind === "callback" ? queued.awaited : {})))
}

/** Waits until all callbacks queued so far have returned; not for a grace period if there are none. */
export const barrier = procedure(function* (gp: Domain) {
  yield* step(gp.flavour.barrier, [gp.name], () => {
    if (gp.state.callbacks.length === 0) return
    gp.state.callbacks = [...gp.state.callbacks, { kind: "barrier", waiter: self() }]
  })
  yield* guardedStep(
    `${gp.flavour.barrier}: wait_for_completion`,
    [gp.name],
    () => gp.state.callbacks.every((queued) => queued.kind !== "barrier" || queued.waiter !== self()),
    () => undefined,
    {
      on: `the callbacks of ${gp.name}`,
      kind: "grace period",
      sleeps: true,
      hindrances: () =>
        gp.state.callbacks
          .slice(
            0,
            gp.state.callbacks.findIndex((queued) => queued.kind === "barrier" && queued.waiter === self()),
          )
          .flatMap((queued) =>
            queued.kind === "callback" ? [{ fiber: `${gp.name}/${queued.head}`, how: "has not returned from" }] : [],
          ),
    },
  )
})
