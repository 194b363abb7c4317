/**
 * The words that the published programs are written in. A step is one shared access or one operation on a lock; the
 * start and the end of a thread are none.
 */
import * as Effect from "effect/Effect"
import { type Cell, guardedStep, step } from "../../program/index.ts"

/** A shared variable of a program, by its name. */
export type Memory = (name: string) => Cell<number>

/** A program: its shared variables, and what its threads do with them. */
export interface Threads {
  readonly cells: ReadonlyArray<string>
  /** What all of them hold at the start; 0 unless said. */
  readonly initial?: number
  readonly fibers: (memory: Memory) => ReadonlyArray<Effect.Effect<unknown, unknown>>
}

export const read = (at: Cell<number>) => step(`R${at.name}`, () => at.value)

export const write = (at: Cell<number>, value: number) =>
  step(`W${at.name}`, () => {
    at.value = value
  })

/** An atomic fetch-and-add. */
export const add = (at: Cell<number>, value: number) =>
  step(`I${at.name}`, () => {
    const before = at.value
    at.value = before + value
    return before
  })

/** An atomic compare-and-swap; true where it swapped. */
export const swap = (at: Cell<number>, expected: number, value: number) =>
  step(`C${at.name}`, () => {
    if (at.value !== expected) return false
    at.value = value
    return true
  })

export const lock = (at: Cell<number>) =>
  guardedStep(
    `L${at.name}`,
    () => at.value === 0,
    () => {
      at.value = 1
    },
  )

export const unlock = (at: Cell<number>) =>
  step(`U${at.name}`, () => {
    at.value = 0
  })

/** A false assumption blocks the thread where it stands; it is no step. */
export const assume = (condition: boolean) =>
  condition
    ? Effect.void
    : guardedStep(
        "assume",
        () => false,
        () => undefined,
      )

/** `make(0)`, `make(1)` and so on. */
export const times = <A>(count: number, make: (index: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, index) => make(index))

/** `a0`, `a1` and so on. */
export const names = (prefix: string, count: number): ReadonlyArray<string> => times(count, (i) => `${prefix}${i}`)

const holds: Readonly<Record<string, (seen: number, value: number) => boolean>> = {
  "==": (seen, value) => seen === value,
  "!=": (seen, value) => seen !== value,
  ">": (seen, value) => seen > value,
}

/** One word of a thread; its result is false where the thread ends. */
const wordOf = (
  word: string,
): { readonly cell: string; readonly perform: (at: Cell<number>) => Effect.Effect<unknown> } => {
  const [, kind, cell = "", relation = "=", value = "1"] = /^([RWICLU])(\w+)(?:(==|!=|>|=)([\d:]+))?$/.exec(word) ?? []
  const [number = 0, other = 0] = value.split(":").map(Number)
  const condition = holds[relation]
  switch (kind) {
    case "R":
      return { cell, perform: (at) => Effect.map(read(at), (seen) => condition?.(seen, number) ?? true) }
    case "W":
      return { cell, perform: (at) => write(at, number) }
    case "I":
      return { cell, perform: (at) => add(at, number) }
    case "C":
      return { cell, perform: (at) => Effect.asVoid(swap(at, number, other)) }
    case "L":
      return { cell, perform: lock }
    case "U":
      return { cell, perform: unlock }
    default:
      throw new Error(`${word} is no word of a thread`)
  }
}

/**
 * Threads without loops, in the notation of litmus tests: `Rx` reads x, `Wx=2` writes 2 to it, `Ix=2` adds 2 to it
 * atomically, `Cx=0:2` swaps 0 for 2, `Lx` and `Ux` lock and unlock it; without a number, 1 is meant. Behind `Rx==1`,
 * `Rx!=1` and `Rx>1` the thread goes on only if that is so.
 */
export const litmus = (...threads: ReadonlyArray<string>): Threads => {
  const parsed = threads.map((thread) => thread.split(" ").map(wordOf))
  return {
    cells: [...new Set(parsed.flat().map(({ cell }) => cell))],
    fibers: (memory) =>
      parsed.map((words) =>
        Effect.gen(function* () {
          for (const { cell, perform } of words) if ((yield* perform(memory(cell))) === false) return
        }),
      ),
  }
}
