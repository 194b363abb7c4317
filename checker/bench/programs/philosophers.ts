import type { Family } from "./published.ts"
import { litmus, type Threads, times } from "./threads.ts"

/**
 * Each philosopher takes the fork on one side, then the one on the other, then puts both down: the second first.
 *
 * @param ordered the last one takes them in the other order, so that nobody waits for ever
 */
export const philosophers = (n: number, ordered = false): Threads =>
  litmus(
    ...times(n, (i) => {
      const [a, b] = ordered && i === n - 1 ? [(i + 1) % n, i] : [i, (i + 1) % n]
      return `Lf${a} Lf${b} Uf${b} Uf${a}`
    }),
  )

/** All of them hold one fork in one state only, and come there in n! orders. */
export const philosophersPrograms: Family = {
  title: "Dining philosophers",
  source: "counted for this purpose",
  programs: [
    {
      name: "philosophers(2)",
      threads: philosophers(2),
      states: 19,
      schedules: 6,
      complete: 2,
      stuck: 1,
      deadlocked: { states: 1, schedules: 2 },
    },
    {
      name: "philosophers(3)",
      threads: philosophers(3),
      states: 87,
      schedules: 168,
      complete: 6,
      stuck: 1,
      deadlocked: { states: 1, schedules: 6 },
    },
    {
      name: "philosophers(4)",
      threads: philosophers(4),
      states: 391,
      schedules: 98_184,
      complete: 14,
      stuck: 1,
      deadlocked: { states: 1, schedules: 24 },
    },
    {
      name: "philosophers(5)",
      threads: philosophers(5),
      states: 1743,
      schedules: 66_468_720,
      complete: 30,
      stuck: 1,
      deadlocked: { states: 1, schedules: 120 },
    },
    {
      name: "philosophers(6)",
      threads: philosophers(6),
      states: 7759,
      schedules: 164_606_463_648,
      complete: 62,
      stuck: 1,
      deadlocked: { states: 1, schedules: 720 },
    },
    { name: "philosophers-ordered(2)", threads: philosophers(2, true), states: 16, schedules: 2, complete: 2 },
    // The tables say 73, 325, 1433 and 6349 states. Counted once more in the tests, without the engine.
    { name: "philosophers-ordered(3)", threads: philosophers(3, true), states: 72, schedules: 142, complete: 6 },
    { name: "philosophers-ordered(4)", threads: philosophers(4, true), states: 320, schedules: 64_000, complete: 14 },
    {
      name: "philosophers-ordered(5)",
      threads: philosophers(5, true),
      states: 1424,
      schedules: 49_719_072,
      complete: 30,
    },
    {
      name: "philosophers-ordered(6)",
      threads: philosophers(6, true),
      states: 6336,
      schedules: 112_803_418_080,
      complete: 62,
    },
  ],
}
