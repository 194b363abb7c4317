import * as Effect from "effect/Effect"
import { expect } from "vitest"
import { type EffectProgram, effectProgram, runMoves } from "../../checker/index.ts"
import { run } from "./support.ts"

/** Options of Effect.all for what runs at once. */
export const together = { concurrency: "unbounded", discard: true } as const

/** A program in which what is woken goes on later. */
export const of = (program: () => Effect.Effect<unknown, unknown>, more = {}) =>
  effectProgram({ id: "test", program, woken: "later", ...more })

/** How many executions a program has, which holds. */
export const executions = async (program: EffectProgram, strategy = "dfs") => {
  const { outcome, statistics } = await run(program.entry.program(), strategy)
  expect(outcome).toBe("holds")
  return statistics.executions
}

/** Gives its turn away so many times. */
export const yielding = (times: number) => Effect.forEach(Array.from({ length: times }), () => Effect.yieldNow)

/** The steps of a run, each as `fiber: label -> result`. */
export const texts = (program: EffectProgram, moves: ReadonlyArray<number> | undefined) =>
  runMoves(program.entry.program(), moves ?? []).steps.map(
    ({ fiber, label, result }) => `${fiber}: ${label} -> ${String(result)}`,
  )
