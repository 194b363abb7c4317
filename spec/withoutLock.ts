/** What seeded bugs do that forget a lock, or give it up too early. */
import { type Operation, type Plain, type Replacement, self, step } from "../checker/index.ts"
import type { HeldAlone } from "../model/sync/holding.ts"

type Held = Pick<HeldAlone, "state">

/** The step is taken whoever has the lock, as if that one were another's; who has it keeps it. */
const as =
  (lockOf: (operation: Operation) => Held | undefined, holder: () => string): Replacement =>
  (original, operation) => {
    const lock = lockOf(operation)
    if (operation.kind !== "step" || lock === undefined) return original
    const { name, args, body } = operation
    return step(name, args, () => {
      const { state } = lock
      const before = state.holder
      state.holder = holder()
      const result = body() as Plain // what a body returns is made plain, or reported, by the engine
      state.holder = before
      return result
    })
  }

/** A critical section of one step is entered without its lock. */
export const withoutLock = (lockOf: (operation: Operation) => Held | undefined): Replacement => as(lockOf, () => "")

/** A step that gives the lock back is taken by who has given it back already. */
export const behindUnlock = (lockOf: (operation: Operation) => Held | undefined): Replacement => as(lockOf, self)
