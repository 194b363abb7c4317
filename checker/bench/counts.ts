/** Counts the states and schedules of a program with published numbers. */
import * as Effect from "effect/Effect"
import { bounded } from "../explore/bounded.ts"
import { dfs } from "../explore/dfs.ts"
import { explore } from "../explore/explore.ts"
import { optimal } from "../explore/optimal/optimal.ts"
import { states } from "../explore/states.ts"
import type { SearchOptions, Strategy } from "../explore/strategy.ts"
import { builtIn } from "../property/violation.ts"
import type { BoundedReport } from "../report/bench.ts"
import { figure } from "../report/text.ts"
import type { Size } from "./benchmark.ts"
import type { BoundedProgram } from "./programs/bounded.ts"
import { type Deadlocked, type Published, publishedProgram } from "./programs/index.ts"

/** What the checker counts; `undefined` what a bench of the size leaves out. */
export interface Counts {
  /** With no histories merged. */
  readonly states: number | undefined
  /** With the ends of a thread merged. */
  readonly merged: number | undefined
  readonly schedules: number | undefined
  /** Of the classes of schedules, those in which all threads end, and those in which not; and executions cut off. */
  readonly classes: { readonly complete: number; readonly stuck: number; readonly blocked: number } | undefined
  readonly deadlocked: { readonly [what in keyof Deadlocked]: number | undefined }
  /** Why an exploration did not end by itself, so that its count means nothing. */
  readonly trouble: string | undefined
}

/** The most states, schedules, schedules within a bound and classes of schedules that are counted in a program. */
const limits: Readonly<Record<Size, { readonly [what in "states" | "schedules" | "bounded" | "classes"]: number }>> = {
  quick: { states: 200, schedules: 100, bounded: 100, classes: 100 },
  usual: { states: 20_000, schedules: 6_000, bounded: 50_000, classes: 6_000 },
  full: {
    states: Number.POSITIVE_INFINITY,
    schedules: 1_000_000,
    bounded: Number.POSITIVE_INFINITY,
    classes: Number.POSITIVE_INFINITY,
  },
}

/** Explores a program to its end and counts; a deadlock is no trouble, anything else that breaks is. */
const count = Effect.fnUntraced(function* (
  row: Pick<Published, "name" | "threads">,
  strategy: Strategy,
  more: Partial<SearchOptions>,
) {
  let deadlocked = 0
  let broken: string | undefined
  const options: SearchOptions = {
    maxSteps: 1_000,
    seed: 1,
    survey: {
      violation: ({ property, message }) => {
        if (property !== builtIn.deadlock) broken ??= message
      },
      final: (_cells, waiting) => {
        if (waiting) deadlocked++
      },
    },
    ...more,
  }
  const { reason, statistics, violation } = yield* explore(publishedProgram(row), strategy, options, {})
  return { ...statistics, deadlocked, trouble: broken ?? violation?.message ?? reason }
})

/** Counts what a bench of a size counts of a program. */
export const countProgram = Effect.fnUntraced(function* (row: Published, size: Size) {
  const { classes: mostClasses, states: mostStates, schedules: mostSchedules } = limits[size]
  const few = row.states !== undefined && row.states <= mostStates
  const apart = few ? yield* count(row, states, { keepEnds: true }) : undefined
  const merged = few ? yield* count(row, states, {}) : undefined
  const all = row.schedules !== undefined && row.schedules <= mostSchedules ? yield* count(row, dfs, {}) : undefined
  const { complete, stuck = 0 } = row
  const reduced = complete + stuck <= mostClasses ? yield* count(row, optimal, {}) : undefined
  return {
    states: apart?.states,
    merged: merged?.states,
    schedules: all?.executions,
    classes: reduced && {
      complete: reduced.executions - reduced.deadlocked,
      stuck: reduced.deadlocked,
      blocked: reduced.blocked,
    },
    deadlocked: { states: apart?.deadlocked, schedules: all?.deadlocked },
    trouble: apart?.trouble ?? merged?.trouble ?? all?.trouble ?? reduced?.trouble,
  } satisfies Counts
})

/** Counts the schedules within each bound, as many as a bench of a size counts. */
export const countBounded = Effect.fnUntraced(function* (
  program: BoundedProgram,
  by: "preemptions" | "delays",
  size: Size,
) {
  const expected = program[by]
  const counts = yield* Effect.forEach(expected, (number, most) =>
    number <= limits[size].bounded ? count(program, bounded, { [by]: most }) : Effect.succeed(undefined),
  )
  const differences = counts.flatMap((counted, most) => {
    if (counted === undefined) return []
    if (counted.trouble !== undefined) return [counted.trouble]
    const wanted = expected[most] ?? 0
    if (counted.executions === wanted) return []
    return [`${figure(counted.executions)} schedules of at most ${most} ${by}, ${figure(wanted)} expected`]
  })
  const measured = counts.map((counted) => counted?.executions ?? null)
  const left = measured.every((number) => number === null)
  const verdict = left ? "skipped" : differences.length === 0 ? "agrees" : "differs"
  return { name: program.name, by, expected, measured, verdict, differences } satisfies BoundedReport
})

/** A sentence for each number that is not as published, and for merging that made states more. */
export const differences = (row: Published, counts: Counts): ReadonlyArray<string> => {
  const { deadlocked = { states: 0, schedules: 0 } } = row
  const published = deadlocked === "unpublished" ? undefined : deadlocked
  const compare = (what: string, counted: number | undefined, expected: number | undefined) =>
    counted === undefined || expected === undefined || counted === expected
      ? []
      : [`${figure(counted)} ${what}, ${figure(expected)} expected`]
  return [
    ...(counts.trouble === undefined ? [] : [counts.trouble]),
    ...compare("states", counts.states, row.states),
    ...((counts.merged ?? 0) <= (row.states ?? 0) ? [] : [`${figure(counts.merged ?? 0)} states with ends merged`]),
    ...compare("schedules", counts.schedules, row.schedules),
    ...compare("classes of schedules", counts.classes?.complete, row.complete),
    ...compare("deadlocked classes", counts.classes?.stuck, row.stuck ?? 0),
    ...compare("executions cut off", counts.classes?.blocked, 0),
    ...compare("deadlocked states", counts.deadlocked.states, published?.states),
    ...compare("deadlocked schedules", counts.deadlocked.schedules, published?.schedules),
  ]
}

/** Whether nothing of a program was counted. */
export const skipped = ({ classes, schedules, states }: Counts): boolean =>
  states === undefined && schedules === undefined && classes === undefined
