/** Programs that differ from the correct one by a mutation, and one that tells more of itself. */
import type { Store } from "../program/store.ts"
import type { BoundPromise, BoundProperty, Fibers } from "../property/property.ts"
import type { NamedFiber, Program } from "../scenario/program.ts"
import type { Monitor, Taken } from "../scenario/scenario.ts"
import { type Mutation, mutationId } from "./mutation.ts"
import { operatorNamed } from "./operators/index.ts"

/** The program with a mutation. No names are interchangeable: the mutation may treat one of them specially. */
export const mutated = (program: Program, mutation: Mutation): Program => {
  const { rewrite } = operatorNamed(mutation.operator)
  return {
    ...program,
    mutant: mutationId(mutation),
    start: () => {
      const instance = program.start()
      const changed = (fiber: NamedFiber): NamedFiber => ({
        ...fiber,
        rewrite: () => rewrite(mutation, fiber.name, instance.store),
      })
      return {
        ...instance,
        interchangeable: [],
        fibers: instance.fibers.map(changed),
        forked: (name, effect) => changed(instance.forked(name, effect)),
      }
    },
  }
}

/**
 * The correct program, in which no names are interchangeable, and promises read in every state what they may read: what
 * properties read is then known when its states are explored.
 *
 * @param notes gets the names of the cells that monitors write
 */
export const telling = (program: Program, notes: Set<string>): Program => ({
  ...program,
  start: () => {
    const instance = program.start()
    const fibers = instance.fibers.map(({ name }) => name)
    const readers = instance.properties.flatMap((property) =>
      property.kind === "leadsTo" ? [readerOf(property, fibers)] : [],
    )
    const monitors = instance.monitors.map((monitor) => watched(monitor, instance.store, notes))
    return { ...instance, interchangeable: [], monitors, properties: [...instance.properties, ...readers] }
  },
})

/** A monitor of which it is known what it writes. */
const watched = (monitor: Monitor, store: Store, notes: Set<string>): Monitor =>
  Object.fromEntries(
    Object.entries(monitor).map(([name, watch]) => [
      name,
      (taken: Taken) => {
        const { mark } = store
        watch(taken)
        for (const cell of store.writtenSince(mark)) notes.add(cell.name)
      },
    ]),
  )

/** A property that always holds and reads what a promise reads, whichever of the fibers have ended. */
const readerOf = ({ from, to, ...stated }: BoundPromise, names: ReadonlyArray<string>): BoundProperty => {
  const ends: ReadonlyArray<Fibers["ended"]> = [
    () => true,
    () => false,
    ...names.flatMap((name) => [(fiber: string) => fiber === name, (fiber: string) => fiber !== name]),
  ]
  const look = (ended: Fibers["ended"]): void => {
    try {
      from?.({ ended })
      to({ ended })
    } catch {
      // Fibers may not be able to end so; what was read until then counts.
    }
  }
  return {
    ...stated,
    kind: "invariant",
    premise: () => true,
    holds: () => {
      for (const ended of ends) look(ended)
      return true
    },
    explain: () => "",
  }
}
