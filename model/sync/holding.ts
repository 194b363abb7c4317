/** What locks have in common, whatever sort they are. */
import { assert, type Hindrance, type Holder, type Lock, type Struct, self } from "../../checker/program/index.ts"

/** A lock that one fiber holds alone: `holder`, empty when it is free. */
export interface HeldAlone extends Lock {
  readonly state: Struct<{ holder: string }>
}

/** Two never have a lock at once. Within a step that takes it. */
export const expectFree = ({ name, state: { holder } }: HeldAlone): void =>
  assert(holder === "", `${self()} takes ${name}, which ${holder} holds`)

/** `lockdep_assert_held`: the running fiber has the lock. Within a step. */
export const assertHeld = ({ name, state: { holder } }: HeldAlone): void =>
  assert(holder === self(), `${self()} needs ${name}, which ${holder === "" ? "nobody" : holder} holds`)

/** Who gives a lock back has it. Within a step. */
export const giveBack = ({ name, state }: HeldAlone): void => {
  assert(state.holder === self(), `${self()} gives back ${name}, which it does not hold`)
  state.holder = ""
}

/** Who holds what another waits for; nobody where the name is empty. */
export const holding = (holder: string, how = "holds"): ReadonlyArray<Hindrance> =>
  holder === "" ? [] : [{ fiber: holder, how }]

/** The holder of a lock that one fiber holds alone, as properties are told of it. */
export const alone = (holder: string): ReadonlyArray<Holder> =>
  holder === "" ? [] : [{ fiber: holder, shared: false }]
