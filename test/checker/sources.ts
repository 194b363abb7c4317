/** Programs that worker threads can load: see `checker/campaign/source.ts`. */
import * as Effect from "effect/Effect"
import type { Source } from "../../checker/campaign/source.ts"
import { cell, guardedStep, type Program, type Property } from "../../checker/index.ts"
import { interpret, type RandomProgram } from "./randomProgram.ts"
import { programOf } from "./support.ts"

/** Fibers that count to `to`, each in its own cell: `(to + 1) ** fibers` states. */
interface Grid {
  readonly kind: "grid"
  readonly fibers: number
  readonly to: number
  /** What the first fiber does at the end of its counting, if something else. */
  readonly last?: "loops" | "looks at the clock"
  /** How far each fiber may get ahead of the next one: it waits then. */
  readonly ahead?: number
  /** The sum that must not be reached. */
  readonly limit?: number
}

interface Random {
  readonly kind: "random"
  readonly program: RandomProgram & { readonly alike?: number }
}

export type Argument = Grid | Random

/** How worker threads get a program. JSON says all of an argument. */
export const sourceOf = (argument: Argument): Source => ({
  module: import.meta.url,
  argument: JSON.parse(JSON.stringify(argument)),
})

/** Called in this thread and in the others. */
export const program = (argument: Argument): Program =>
  argument.kind === "grid" ? grid(argument) : interpret(argument.program).program()

const grid = ({ fibers, to, last, ahead, limit }: Grid): Program => {
  const names = Array.from({ length: fibers }, (_, position) => `f${position}`)
  const properties: ReadonlyArray<Property<ReadonlyArray<{ readonly value: number }>>> = [
    {
      kind: "invariant",
      id: "limited",
      statement: "The sum stays below the limit.",
      source: "test",
      premise: (cells) => cells.some(({ value }) => value === to),
      holds: (cells) => cells.reduce((sum, { value }) => sum + value, 0) !== limit,
    },
  ]
  return programOf(() => {
    const cells = names.map((name) => cell(`${name}.count`, 0))
    const counting = (position: number) =>
      Effect.gen(function* () {
        const own = cells[position]
        const next = cells[position + 1]
        if (own === undefined) return
        for (let count = 1; count <= to; count++) {
          yield* guardedStep(
            `count(${count})`,
            () => ahead === undefined || next === undefined || own.value < next.value + ahead,
            () => {
              own.value = count
              if (position > 0 || count < to) return
              if (last === "looks at the clock") Date.now()
              while (last === "loops") own.value = count
            },
          )
        }
      })
    return { world: cells, fibers: Object.fromEntries(names.map((name, position) => [name, counting(position)])) }
  }, properties)
}
