import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { describeError } from "../engine/fault.ts"
import { checkGroups } from "../engine/interchange.ts"
import { firstOfEach, mentionedIn } from "../engine/renaming.ts"
import { cell } from "../program/cell.ts"
import type { Lock } from "../program/lock.ts"
import type { Operation } from "../program/operation.ts"
import { intern, type Plain } from "../program/plain.ts"
import { breakRule, runtime } from "../program/runtime.ts"
import { Access, Store, type StoredCell } from "../program/store.ts"
import { LockGraph } from "../property/lockGraph.ts"
import { type BoundProperty, bind } from "../property/property.ts"
import type { Bound, Monitor, Scenario } from "./scenario.ts"
import type { SeededBug } from "./seededBug.ts"

/** A program that can be explored: from `start` on it is the same every time. */
export interface Program {
  readonly scenario: string
  readonly bound: Bound
  /** The seeded bug that is switched on. */
  readonly mutant: string | undefined
  /** The property that the seeded bug is meant to break. */
  readonly breaks: string | undefined
  /** Whether it is written in steps. One that is not is explored by re-execution only, and has no states to match. */
  readonly inSteps: boolean
  /** A fresh instance, its fibers not yet started. Throws `SetupFailed` and nothing else. */
  readonly start: () => Instance
  /**
   * The names of steps that are known from outside: those that monitors watch, and those that the seeded bugs of the
   * scenario replace, interchangeable names as the first of their group. One that no fiber ever takes is probably mistaken. Throws `SetupFailed` and nothing else.
   */
  readonly namedSteps: () => ReadonlySet<string>
}

/** The setup of a scenario threw, or made something that is no program. */
export class SetupFailed extends Data.TaggedError("SetupFailed")<{ readonly message: string }> {}

/** What a seeded bug does to the operations of a fiber. */
export interface Rewrite {
  /** What happens instead of an operation; `undefined` where it does nothing. */
  readonly replace: (
    operation: Operation,
    original: Effect.Effect<Plain>,
  ) => Effect.Effect<unknown, unknown> | undefined
  /** Whether it may know now what came before: what a procedure has done is then not forgotten when it returns. */
  readonly remembers: () => boolean
}

/** A fiber of the program: its name, and the Effect that it runs, as often as the engine needs to. */
export interface NamedFiber {
  readonly name: string
  readonly effect: Effect.Effect<unknown, unknown>
  /** Made anew for each run of the fiber, so that it may keep state. */
  readonly rewrite: () => Rewrite | undefined
}

/** One set of cells, and the fibers and properties over it. */
export interface Instance {
  readonly store: Store
  readonly fibers: ReadonlyArray<NamedFiber>
  readonly properties: ReadonlyArray<BoundProperty>
  readonly monitors: ReadonlyArray<Monitor>
  /** Told of the locks that are taken, where a property asks for that. */
  readonly lockGraph: LockGraph | undefined
  /**
   * A cell for each lock, where data races are asked for: a step that takes the lock alone writes it, one that shares it
   * reads it, so that critical sections of one step, which leave the lock as it was, are ordered all the same.
   */
  readonly lockCells: ReadonlyMap<Lock, StoredCell>
  /** Names that may change places: none where a seeded bug is switched on, which may treat one of them specially. */
  readonly interchangeable: ReadonlyArray<ReadonlyArray<string>>
  /** A fiber that comes into being during a run, seeded bugs and all. */
  readonly forked: (name: string, effect: NamedFiber["effect"]) => NamedFiber
  /** What runs, where the program knows nothing of steps. */
  readonly plain?: PlainEffect
}

/** When a fiber goes on that was woken. */
export type Woken = "at once" | "later"

/** An Effect that knows nothing of steps, and how it is to be run: see `engine/effect/`. */
export interface PlainEffect {
  readonly main: Effect.Effect<unknown, unknown>
  /**
   * When a sleeping fiber may go on, in the order of the times at which sleepers wake: `passes` means always, as computing
   * takes time; `stands` means only when nobody else can go on.
   */
  readonly time: "passes" | "stands"
  /**
   * When a fiber goes on that was woken or interrupted, or that an `Effect.all` starts: `later` means at any time from then
   * on; `at once` means within the turn of whoever did it, which Effect's runtime does today. Neither has all schedules of the other; `either` is both,
   * one or the other throughout an execution.
   */
  readonly woken: Woken | "either"
  /** After how many operations a fiber yields, if sooner than Effect has it yield. */
  readonly yieldEvery: number | undefined
  /** Told how the main fiber ended, before the properties are judged. */
  readonly ended: (exit: Exit.Exit<unknown, unknown>, text: string) => void
}

export const programOf = <World>(
  scenario: Scenario<World>,
  bound: Bound,
  bug: SeededBug<World> | undefined,
  bugs: ReadonlyArray<SeededBug<World>> = [],
): Program => ({
  scenario: scenario.id,
  bound,
  mutant: bug?.id,
  breaks: bug?.breaks,
  inSteps: true,
  start: () => orSetupFailed(scenario.id, () => startOf(scenario, bound, bug)),
  namedSteps: () => orSetupFailed(scenario.id, () => namedStepsOf(scenario, bound, bugs)),
})

/** The same program without one of its fibers: it ends before its first step. */
export const withoutFiber = (program: Program, name: string): Program => {
  const drop = (fiber: NamedFiber): NamedFiber => (fiber.name === name ? { ...fiber, effect: Effect.void } : fiber)
  return {
    ...program,
    start: () => {
      const instance = program.start()
      return {
        ...instance,
        interchangeable: [],
        fibers: instance.fibers.map(drop),
        forked: (forked, effect) => drop(instance.forked(forked, effect)),
      }
    },
  }
}

/** Runs what a scenario's author wrote, for its setup. */
export const orSetupFailed = <A>(scenario: string, run: () => A): A => {
  try {
    return run()
  } catch (error) {
    throw new SetupFailed({ message: `the setup of scenario ${scenario} failed: ${describeError(error)}` })
  }
}

const namedStepsOf = <World>(
  scenario: Scenario<World>,
  bound: Bound,
  bugs: ReadonlyArray<SeededBug<World>>,
): ReadonlySet<string> => {
  const setup = settingUp(new Store(), () => scenario.setup(bound))
  const { world, fibers, monitors = [], interchangeable = [] } = setup
  const own = bugs.filter((bug) => bug.scenario === scenario.id)
  const replaced = own.flatMap((bug) => Object.keys(fibers).flatMap((fiber) => Object.keys(bug.at(world, fiber))))
  const alike = firstOfEach(interchangeable)
  const names = [...monitors.flatMap((monitor) => Object.keys(monitor)), ...replaced]
  return new Set(names.map((name) => String(alike(name))))
}

const startOf = <World>(scenario: Scenario<World>, bound: Bound, bug: SeededBug<World> | undefined): Instance => {
  const store = new Store()
  const { world, fibers, monitors, interchangeable = [] } = settingUp(store, () => scenario.setup(bound))
  const named = Object.entries(fibers)
  if (named.length === 0) breakRule("it has no fibers")
  const forked = (name: string, effect: NamedFiber["effect"]): NamedFiber => ({
    name,
    effect: Effect.isEffect(effect) ? effect : breakRule(`fiber ${name} is not an Effect`),
    rewrite: () => (bug === undefined ? undefined : rewriteOf(bug, world, name)),
  })
  const asksForGraph = scenario.properties.some(({ kind }) => kind === "lockInversions")
  const lockGraph = asksForGraph ? settingUp(store, () => new LockGraph(store.locks)) : undefined
  const asksForRaces = scenario.properties.some(({ kind }) => kind === "dataRaces")
  const lockCells = asksForRaces ? settingUp(store, () => lockCellsOf(store)) : new Map<Lock, StoredCell>()
  const groups = interchangeable.filter((names) => names.length > 1)
  checkGroups(groups)
  checkOrders(scenario.properties, groups)
  return {
    store,
    interchangeable: bug === undefined ? groups : [],
    fibers: named.map(([name, effect]) => forked(name, effect)),
    forked,
    properties: scenario.properties.map((property) => bind(property, world, lockGraph)),
    monitors: monitors ?? [],
    lockGraph,
    lockCells,
  }
}

const lockCellsOf = (store: Store): ReadonlyMap<Lock, StoredCell> =>
  new Map(
    store.locks.flatMap((lock) => {
      const { name } = cell(`${lock.name}, taken`, 0)
      const stored = store.cells.find((each) => each.name === name)
      return stored === undefined ? [] : [[lock, stored] as const]
    }),
  )

/** A lock order that names one of several interchangeable names tells it from the others. */
const checkOrders = <World>(
  properties: Scenario<World>["properties"],
  groups: ReadonlyArray<ReadonlyArray<string>>,
): void => {
  for (const property of properties) {
    if (property.kind !== "lockOrder") continue
    const [name] = mentionedIn(intern([property.order, property.single ?? []]), new Set(groups.flat()))
    if (name !== undefined) breakRule(`property ${property.id} names ${name}, which is interchangeable with others`)
  }
}

const rewriteOf = <World>(bug: SeededBug<World>, world: World, fiber: string): Rewrite | undefined => {
  const replacements = bug.at(world, fiber)
  if (Object.keys(replacements).length === 0) return undefined
  return {
    replace: (operation, original) =>
      Object.hasOwn(replacements, operation.name) ? replacements[operation.name]?.(original, operation) : undefined,
    remembers: () => true, // its closure is its own
  }
}

/** Runs a setup, whose cells go into the store. */
export const settingUp = <A>(store: Store, setup: () => A): A => {
  const before = runtime.setup
  runtime.setup = store
  runtime.setupBlamed = undefined
  store.access = Access.write
  try {
    const made = setup()
    return runtime.setupBlamed === undefined ? made : breakRule(runtime.setupBlamed)
  } finally {
    store.access = Access.none
    store.forget()
    runtime.setup = before
  }
}
