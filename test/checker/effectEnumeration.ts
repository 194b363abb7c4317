/**
 * All schedules of an Effect program, enumerated in the plainest way: a scheduler that keeps what it is told to run, and
 * runs it in every order. It shares no code with the checker and knows nothing of what the tasks are for.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Scheduler, SchedulerDispatcher } from "effect/Scheduler"

interface Task {
  readonly run: () => void
  /** The fiber that goes on with it, where it is known: it must not be put off again. */
  readonly of: unknown
}

interface Timer {
  readonly at: number
  readonly run: () => void
}

/** One execution, by the choices made so far and then always the first. */
class Enumerated implements Scheduler, SchedulerDispatcher {
  readonly executionMode = "sync"
  readonly tasks: Array<Task> = []
  timers: ReadonlyArray<Timer> = []
  now = 0
  private readonly putsOff: boolean
  private granted: unknown
  private putOff: unknown

  /** @param putsOff whether a fiber that was resumed waits until it is chosen, instead of going on at once */
  constructor(putsOff: boolean) {
    this.putsOff = putsOff
  }
  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    if (!this.putsOff || fiber.currentOpCount !== 1) return false
    if (this.granted === fiber) {
      this.granted = undefined
      return false
    }
    this.putOff = fiber
    return true
  }
  makeDispatcher(): SchedulerDispatcher {
    return this
  }
  scheduleTask(run: () => void): void {
    this.tasks.push({ run, of: this.putOff })
    this.putOff = undefined
  }
  flush(): void {}

  readonly clock: Pick<Clock.Clock, "sleep"> = {
    sleep: (duration) =>
      Effect.callback((resume) => {
        const timer = { at: this.now + Duration.toMillis(duration), run: () => resume(Effect.void) }
        this.timers = [...this.timers, timer]
        return Effect.sync(() => {
          this.timers = this.timers.filter((other) => other !== timer)
        })
      }),
  }

  /** What can be run now. */
  choices(): ReadonlyArray<() => void> {
    const earliest = Math.min(...this.timers.map(({ at }) => at))
    return [
      ...this.tasks.map((task) => () => {
        this.tasks.splice(this.tasks.indexOf(task), 1)
        this.granted = task.of
        task.run()
        this.granted = undefined
      }),
      ...this.timers
        .filter(({ at }) => at === earliest)
        .map((timer) => () => {
          this.timers = this.timers.filter((other) => other !== timer)
          this.now = timer.at
          timer.run()
        }),
    ]
  }
}

/**
 * The ways in which a program can end: what `describe` says of its exits, and `stuck` where it waits for ever.
 *
 * @param most how many schedules to run at most; with more, nothing is known
 */
export const enumerate = <A, E>(
  program: () => Effect.Effect<A, E>,
  describe: (exit: Exit.Exit<A, E>) => string,
  putsOff: boolean,
  most: number,
): ReadonlySet<string> | undefined => {
  const outcomes = new Set<string>()
  const path: Array<{ taken: number; of: number }> = []
  for (let schedules = 0; ; schedules++) {
    if (schedules === most) return undefined
    const execution = new Enumerated(putsOff)
    const clock = Context.make(Clock.Clock, Object.assign(Object.create(null), execution.clock))
    const fiber = Effect.runForkWith(clock)(program(), { scheduler: execution })
    for (let depth = 0; ; depth++) {
      const exit = fiber.pollUnsafe()
      const choices = execution.choices()
      if (exit !== undefined || choices.length === 0) {
        outcomes.add(exit === undefined ? "stuck" : describe(exit))
        path.length = depth
        break
      }
      const choice = path[depth] ?? { taken: 0, of: choices.length }
      path[depth] = choice
      choices[choice.taken]?.()
    }
    while (path.length > 0) {
      const last = path.at(-1)
      if (last !== undefined && last.taken + 1 < last.of) {
        last.taken++
        break
      }
      path.pop()
    }
    if (path.length === 0) return outcomes
  }
}
