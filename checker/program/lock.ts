/** Locks, as far as the checker knows them: by their names, their kinds and who holds them. */
import { breakRule, runtime } from "./runtime.ts"

/** Who holds a lock. */
export interface Holder {
  readonly fiber: string
  /** Whether others may hold it at the same time, as readers do. */
  readonly shared: boolean
}

/** A lock. What it does is the program's own: steps that wait for it and write its cells. */
export interface Lock {
  /** Its own, as reports call it: `mm.mmap_lock`. */
  readonly name: string
  /** What sort of lock it is, whose ever it is: `mmap_lock`. A lock order may name it. */
  readonly kind: string
  /** Who holds it in the present state: a pure read of cells. */
  readonly holders: () => ReadonlyArray<Holder>
}

/** That a step takes a lock, or is taken while nobody else holds it. */
export interface Taking {
  readonly lock: Lock
  readonly shared: boolean
  /** Whether it is said to be taken inside another of its kind (`spin_lock_nested`). */
  readonly nested?: boolean
}

/** Makes a lock known in the program that is being set up, so that properties can tell what a fiber holds. */
export const declareLock = <L extends Lock>(lock: L): L => {
  const store = runtime.setup ?? breakRule(`lock ${lock.name} is made outside the setup of a scenario`)
  store.locks.push(lock)
  return lock
}

/** The locks that a fiber holds in the present state. */
export const heldBy = (
  fiber: string,
  locks: ReadonlyArray<Lock>,
): ReadonlyArray<{ readonly lock: Lock; readonly shared: boolean }> =>
  locks.flatMap((lock) => {
    const own = lock.holders().find((holder) => holder.fiber === fiber)
    return own === undefined ? [] : [{ lock, shared: own.shared }]
  })
