/** What a step waits for, and inside what code it is taken: what a deadlock's report says, and what some code forbids. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Taking } from "./lock.ts"

/** Who keeps another waiting, and how: `holds for writing`, as a sentence goes on behind "mm.mmap_lock, which cpu0 ...". */
export interface Hindrance {
  readonly fiber: string
  readonly how: string
}

/** What a guarded step waits for. */
export interface Wait {
  /** As a sentence goes on: `mm.mmap_lock`, `a grace period of srcu`. */
  readonly on: string
  /** What sort of thing that is, by which sections forbid it: `mmap_lock`. */
  readonly kind: string
  /** Who has to do something before it, in the present state: a pure read of cells. */
  readonly hindrances: () => ReadonlyArray<Hindrance>
  /** Whether who waits sleeps; who does not spins. */
  readonly sleeps: boolean
  /**
   * The locks among it, in the present state: the step takes them, or is a whole critical section of theirs. A pure read of
   * cells.
   */
  readonly takes?: () => ReadonlyArray<Taking>
}

/** Code that is run on behalf of another: a callback. */
export interface Section {
  /** As reports call it: `invalidate_range_start`. */
  readonly name: string
  /** Why code in it may not wait for something, as a sentence goes on; `undefined` where it may. */
  readonly forbids: (wait: Wait) => string | undefined
}

const none: ReadonlyArray<Section> = []

/** The sections that a fiber is in, the outermost first. */
export const Sections = Context.Reference<ReadonlyArray<Section>>("shootdown/program/Sections", {
  defaultValue: () => none,
})

/**
 * Runs code as a section: whoever waits in it is reported so, and a step in it that waits for what the section forbids
 * breaks the built-in property `context`, whether it would have had to wait or not.
 *
 * @example within({ name: "invalidate_range_start", forbids: ({ sleeps }) => sleeps ? "it may not sleep" : undefined }, callback)
 */
export const within = <A, E>(section: Section, code: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.updateService(code, Sections, (outer) => [...outer, section])
