import type * as Effect from "effect/Effect"
import {
  assert,
  enterLoop,
  guardedStep,
  type Plain,
  procedure,
  type Struct,
  self,
  step,
  struct,
} from "../../checker/program/index.ts"

/** A wait queue: the fibers that sleep on it, and those that were woken and have not gone on yet; sorted by name. */
export interface WaitQueue {
  readonly name: string
  readonly state: Struct<{ sleepers: ReadonlyArray<string>; woken: ReadonlyArray<string> }>
}

const nobody: ReadonlyArray<string> = []

/** Makes a queue on which nobody sleeps. */
export const waitQueue = (name: string): WaitQueue => ({
  name,
  state: struct(name, { sleepers: nobody, woken: nobody }),
})

/**
 * `wait_event`: queues up and looks at the condition in one step (a wake-up in between would take the sleeper off the
 * queue again, so nothing is hidden by that), sleeps until woken, and looks again. Whoever comes and is on the queue
 * already has not slept, or has left without taking itself off; who sleeps and is not on it is never woken.
 *
 * @param caller the function that waits; its steps are `caller: prepare_to_wait` and `caller: schedule`
 * @param args shown with both steps
 * @param condition a pure read of cells
 * @param mayLook when the condition can be evaluated at all, for one that takes a lock
 */
export const waitEvent = procedure(function* (
  queue: WaitQueue,
  caller: string,
  args: ReadonlyArray<Plain>,
  condition: () => boolean,
  mayLook: () => boolean = () => true,
) {
  const head = yield* enterLoop(`${caller}: wait_event`)
  for (;;) {
    yield* head()
    const done = yield* guardedStep(`${caller}: prepare_to_wait`, args, mayLook, () => {
      const { sleepers, woken } = queue.state
      assert(
        ![...sleepers, ...woken].includes(self()),
        `${self()} is on the queue ${queue.name}: it was not woken, or never left it`,
      )
      const met = condition()
      if (!met) queue.state.sleepers = [...sleepers, self()].sort()
      return met
    })
    if (done) return
    yield* guardedStep(
      `${caller}: schedule`,
      args,
      () => queue.state.woken.includes(self()),
      () => {
        queue.state.woken = queue.state.woken.filter((name) => name !== self())
      },
    )
  }
})

/** `wake_up_all` */
export const wakeUpAll = (queue: WaitQueue): Effect.Effect<void> =>
  step("wake_up_all", [queue.name], () => wakeSleepers(queue))

/** `__wake_up_common`: takes all sleepers off the queue. Within a step. */
export const wakeSleepers = ({ state }: WaitQueue): void => {
  state.woken = [...state.woken, ...state.sleepers].sort()
  state.sleepers = nobody
}
