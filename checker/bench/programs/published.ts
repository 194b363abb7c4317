import { cell } from "../../program/index.ts"
import { type Program, programOf } from "../../scenario/program.ts"
import { scenario } from "../../scenario/scenario.ts"
import type { Threads } from "./threads.ts"

/**
 * A program with published numbers. They were counted without any reduction, by two methods that have nothing of this
 * checker; where ours are other ones, the table says so.
 */
export interface Published {
  readonly name: string
  readonly threads: Threads
  /** Distinct pairs of memory and, for each thread, the history of what it has read; final ones included. */
  readonly states?: number
  /** Maximal schedules. */
  readonly schedules?: number
  /** Where a thread waits for ever, for a lock or because of a false assumption; nowhere, unless said. */
  readonly deadlocked?: Deadlocked | "unpublished"
  /** Classes of schedules that differ only in the order of independent steps, of those in which all threads end. */
  readonly complete: number
  /** Of those in which a thread waits for ever; none, unless said. */
  readonly stuck?: number
}

/** How often not all threads come to their end. */
export interface Deadlocked {
  /** Distinct states with nothing left to do in which a thread waits. */
  readonly states: number
  /** Schedules that lead there. */
  readonly schedules: number
}

/** Programs that come from one place. */
export interface Family {
  readonly title: string
  readonly source: string
  readonly programs: ReadonlyArray<Published>
}

/**
 * The program of a row.
 *
 * @param reversed with its fibers in the other order, which changes no number
 */
export const publishedProgram = ({ name, threads }: Pick<Published, "name" | "threads">, reversed = false): Program => {
  const { cells, fibers, initial = 0 } = threads
  const setup = () => {
    const memory = new Map(cells.map((each) => [each, cell(each, initial)]))
    const made = fibers((wanted) => {
      const found = memory.get(wanted)
      if (found === undefined) throw new Error(`there is no cell ${wanted}`)
      return found
    })
    const named = made.map((fiber, position) => [`t${position}`, fiber] as const)
    return { world: undefined, fibers: Object.fromEntries(reversed ? named.toReversed() : named) }
  }
  return programOf(
    scenario({ id: name, summary: "a program with published numbers", setup, properties: [] }),
    {},
    undefined,
  )
}
