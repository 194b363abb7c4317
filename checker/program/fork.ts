/** Fibers that come and go during a run. */
import type * as Effect from "effect/Effect"
import { perform } from "./operation.ts"

/** A fiber that was forked: plain data, which may be kept in cells and returned by steps. */
export interface Forked<A> {
  readonly fiber: string
  /** Only in the type: what the fiber ends with. */
  readonly value?: A
}

/**
 * Starts a fiber, in one step: it runs beside the others from then on, whatever becomes of the one that started it.
 *
 * @param name how traces and messages call it; of the fibers that have not ended, no two have the same
 * @param effect what it does. If it is to be joined, it ends with plain data
 */
export const fork = <A>(name: string, effect: Effect.Effect<A, unknown>): Effect.Effect<Forked<A>> =>
  perform<Forked<A>>({ kind: "fork", name: "fork", args: [name], effect })

/** Waits until a fiber has ended. Its value, or `undefined` if it was interrupted. */
export const join = <A>(forked: Forked<A>): Effect.Effect<A | undefined> =>
  perform<A | undefined>({ kind: "join", name: "join", args: [forked.fiber] })

/**
 * Interrupts a fiber where it is, in one step, and does not wait: its finalisers run as steps of its own, and a region
 * that is uninterruptible is completed first. To wait for its end, `join` it. Nothing happens if it has ended.
 */
export const interrupt = (forked: Forked<unknown>): Effect.Effect<void> =>
  perform<void>({ kind: "interrupt", name: "interrupt", args: [forked.fiber] })
