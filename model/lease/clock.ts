/** A clock of the model's own: leases time out by it, and it passes by steps like everything else. */
import type * as Effect from "effect/Effect"
import {
  type Cell,
  cell,
  enterLoop,
  guardedStep,
  procedure,
  type Struct,
  self,
  struct,
} from "../../checker/program/index.ts"

/** The time, in ticks, and who sleeps until when. */
export interface Clock {
  readonly state: Struct<{ jiffies: number }>
  /**
   * The last tick, at which whoever still sleeps is interrupted: the bound of the model, seen as a signal. 0 is no time
   * at all.
   */
  readonly end: number
  /** By fiber: the tick at which it is to be woken, `awake` when it does not sleep. */
  readonly alarms: ReadonlyMap<string, Cell<number>>
}

/** No alarm is set. */
export const awake = -1

/** Makes a clock at tick 0 for fibers that may sleep. */
export const clockOf = (name: string, end: number, sleepers: ReadonlyArray<string>): Clock => ({
  state: struct(name, { jiffies: 0 }),
  end,
  alarms: new Map(sleepers.map((fiber) => [fiber, cell(`${name}.alarm.${fiber}`, awake)])),
})

const alarmOf = (clock: Clock): Cell<number> => {
  const found = clock.alarms.get(self())
  if (found === undefined) throw new RangeError(`${self()} is not one of those that may sleep`)
  return found
}

/** Whether somebody is to be woken now. Time does not pass before that has happened. Within a guard. */
const isDue = ({ alarms, state }: Clock): boolean =>
  [...alarms.values()].some(({ value }) => value !== awake && value <= state.jiffies)

/**
 * The passing of time.
 *
 * @param may when a tick may come: always, or, where the exact time is asked, when everybody is waiting for it
 */
export const ticking = procedure(function* (clock: Clock, may: () => boolean = () => true) {
  const { state, end } = clock
  const head = yield* enterLoop("tick")
  for (;;) {
    yield* head()
    if (end === 0) return
    const now = yield* guardedStep(
      "tick",
      [],
      () => state.jiffies < end && !isDue(clock) && may(),
      () => {
        state.jiffies++
        return state.jiffies
      },
    )
    if (now === end) return
  }
})

/** Sets the running fiber's alarm, if it is not for ever past. Within a step. */
export const setAlarm = (clock: Clock, deadline: number): void => {
  alarmOf(clock).value = deadline
}

/** What ended a sleep. */
export type Woken = "woken" | "timeout" | "interrupted"

/** `wait_event_interruptible_timeout`, the alarm set: until woken, until the deadline, or until a signal. */
export const scheduleTimeout = (clock: Clock, name: string, woken: () => boolean): Effect.Effect<Woken> => {
  const { state, end } = clock
  const due = () => alarmOf(clock).value <= state.jiffies
  const interrupted = () => end > 0 && state.jiffies === end
  return guardedStep(
    name,
    [],
    () => woken() || due() || interrupted(),
    () => {
      const result: Woken = woken() ? "woken" : due() ? "timeout" : "interrupted"
      alarmOf(clock).value = awake
      return result
    },
  )
}
