/** What `bench` says of a program that does not count what is published. */
import * as Effect from "effect/Effect"
import { expect, it } from "vitest"
import type { Size } from "../../checker/bench/benchmark.ts"
import { countProgram, differences, skipped } from "../../checker/bench/counts.ts"
import type { Published } from "../../checker/bench/programs/index.ts"
import { litmus } from "../../checker/bench/programs/threads.ts"

const count = (row: Published, size: Size = "usual") => Effect.runPromise(countProgram(row, size))

/** Two threads that take two locks in different orders: 2 of 6 schedules end with both waiting. */
const crossed: Published = {
  name: "crossed",
  threads: litmus("La Lb Ub Ua", "Lb La Ua Ub"),
  states: 19,
  schedules: 6,
  deadlocked: { states: 1, schedules: 2 },
  complete: 2,
  stuck: 1,
}

it("nothing, where all is as published", async () => {
  const counts = await count(crossed)
  expect(counts).toMatchObject({ deadlocked: { states: 1, schedules: 2 }, trouble: undefined })
  expect(differences(crossed, counts)).toEqual([])
})

it("each number that differs", async () => {
  const wrong = { ...crossed, states: 5, schedules: 9, complete: 4, stuck: 3, deadlocked: { states: 0, schedules: 1 } }
  const counts = await count(crossed)
  expect(differences(wrong, counts)).toEqual([
    `${counts.states} states, 5 expected`,
    `${counts.merged} states with ends merged`,
    `${counts.schedules} schedules, 9 expected`,
    "2 classes of schedules, 4 expected",
    "1 deadlocked classes, 3 expected",
    "1 deadlocked states, 0 expected",
    "2 deadlocked schedules, 1 expected",
  ])
})

it("deadlocks where none are published", async () => {
  const { deadlocked: _, ...silent } = crossed
  expect(differences(silent, await count(silent))).toContain("1 deadlocked states, 0 expected")
  expect(differences({ ...silent, deadlocked: "unpublished" }, await count(silent))).toEqual([])
})

it("why the program is none that can be counted", async () => {
  const dying: Published = {
    name: "dying",
    threads: { cells: [], fibers: () => [Effect.die("no thread")] },
    states: 1,
    schedules: 1,
    complete: 1,
  }
  expect(differences(dying, await count(dying)).join()).toContain("died of no thread")
})

it("is not asked of what is too long for a size", async () => {
  const long = { ...crossed, states: 300, schedules: 300, complete: 300 }
  expect(skipped(await count(long, "quick"))).toBe(true)
  expect(skipped(await count(long))).toBe(false)
})
