/** A mutation of a program: one of its steps, named from outside, and what an operator makes of it. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { guardedStep, type Operation, type Step, step } from "../program/operation.ts"
import type { Plain } from "../program/plain.ts"
import type { Store } from "../program/store.ts"
import type { Rewrite } from "../scenario/program.ts"
import type { Facts } from "./facts.ts"

/** A mutation as data: it goes to other threads and into reports. Names of cells, labels and fibers are generic. */
export const Mutation = Schema.Struct({
  operator: Schema.String,
  /** The name of the step that is changed; of a lock, the label of its acquisition. */
  step: Schema.String,
  /** The step that changes places with it. */
  next: Schema.optionalKey(Schema.String),
  /** The fibers that are changed, where the mutation is of theirs only. */
  by: Schema.optionalKey(Schema.String),
  /** The fibers that are changed, where that goes without saying; without it, all. */
  fibers: Schema.optionalKey(Schema.Array(Schema.String)),
  /** The labels of the steps that release the lock. */
  releases: Schema.optionalKey(Schema.Array(Schema.String)),
  /** The cells that others wait for. */
  cells: Schema.optionalKey(Schema.Array(Schema.String)),
})
export type Mutation = typeof Mutation.Type

/** How a mutation is called: in reports, and where a spec says why it survives. */
export const mutationId = ({ operator, step, next, by }: Mutation): string =>
  [operator, step, ...(next === undefined ? [] : ["|", next]), ...(by === undefined ? [] : ["by", by])].join(" ")

/** Two steps that a mutated fiber takes one after the other, and that together are what the protocol does. */
export interface Parted {
  /** Names of the steps. */
  readonly first: string
  readonly second: string
  /** Whether the protocol takes the second one first; otherwise it takes both at once. */
  readonly isSwapped: boolean
}

/** A way to change steps. Each stands in a file of its own. */
export interface Operator {
  readonly name: string
  /** What it does, in a sentence. */
  readonly sentence: string
  /** The mutations that the steps of an exploration give. */
  readonly mutations: (facts: Facts) => ReadonlyArray<Omit<Mutation, "operator">>
  /** Whether what the mutation changes was taken in an exploration. */
  readonly applies: (mutation: Mutation, facts: Facts) => boolean
  /** What happens in a fiber instead. Called anew for each run of it. */
  readonly rewrite: (mutation: Mutation, fiber: string, store: Store) => Rewrite | undefined
  /**
   * Why the mutated program does the same as the correct one at this bound, if that is evident from the correct one;
   * only of complete explorations.
   */
  readonly equivalent: (mutation: Mutation, facts: Facts) => string | undefined
  /** What the mutation parts, if that is what it does: its programs may be proved equivalent by `sameness.ts`. */
  readonly parted?: (mutation: Mutation) => Parted
  /** Whether the mutation may lose a step that it holds back, as a complete exploration shows. */
  readonly loses?: (mutation: Mutation, facts: Facts) => boolean
}

/** What replaces operations and knows nothing of those before. */
export const rewriting = (replace: Rewrite["replace"]): Rewrite => ({ replace, remembers: () => false })

/** The step, if the operation is one of this name. */
export const stepNamed = (operation: Operation, name: string): Step | undefined =>
  operation.kind === "step" && operation.name === name ? operation : undefined

/** A cell by its position, and what it is to hold. */
export type Write = readonly [position: number, content: Plain]

/** What a body would return and write. */
export type Foreseen = readonly [result: Plain, writes: ReadonlyArray<Write>]

/** Runs a body and takes back what it wrote. Within a step. */
export const foresee = (store: Store, body: () => unknown): Foreseen => {
  const { result, writes } = store.foresee(() => body() as Plain) // made plain, or reported, by the engine
  return [result, writes.map(([{ position }, { content }]) => [position, content] as const)]
}

/** Writes what was foreseen. Within a step. */
export const apply = (store: Store, writes: ReadonlyArray<Write>): void => {
  for (const [position, content] of writes) {
    const cell = store.cells[position]
    if (cell !== undefined) store.write(cell, content)
  }
}

/** The step taken in two: one for which it waits and which foresees the rest, and one that writes the rest. */
export const inTwo = (
  { name, args, guard, wait }: Step,
  { store, first, foreseen }: { readonly store: Store; readonly first: string; readonly foreseen: () => Foreseen },
): Effect.Effect<Plain> =>
  Effect.flatMap(
    guard === undefined ? step(first, args, foreseen) : guardedStep(first, args, guard, foreseen, wait),
    ([result, writes]) =>
      step(name, args, (): Plain => {
        apply(store, writes)
        return result
      }),
  )
