/**
 * Small programs: a syntax tree, which programArbitrary.ts generates, and its meaning as a scenario.
 *
 * Cells c0, c1 and c2 hold small numbers, `lock` is a mutex, `last` is who signed last. Each fiber has one local
 * variable, `r`: what it learnt last; each of the fibers that are there from the start has a cell of its own.
 */
import * as Effect from "effect/Effect"
import {
  actionInvariant,
  assert,
  type Cell,
  cell,
  checkpoint,
  choose,
  enterLoop,
  fork,
  guardedStep,
  interrupt,
  join,
  type Monitor,
  type Property,
  procedure,
  type ScenarioEntry,
  step,
} from "../../checker/index.ts"
import { entryOf } from "./support.ts"

/** A number that is written, or `"r"`: the fiber's variable. */
export type Value = number | "r"

export type Instruction =
  | { readonly op: "read"; readonly at: number }
  | { readonly op: "write"; readonly at: number; readonly value: Value }
  | { readonly op: "swap"; readonly at: number; readonly expected: number; readonly value: Value }
  | { readonly op: "add"; readonly at: number; readonly value: number }
  | { readonly op: "lock" }
  | { readonly op: "unlock" }
  | { readonly op: "await"; readonly at: number; readonly value: number; readonly reads: number }
  | { readonly op: "choose"; readonly options: number }
  | { readonly op: "assert"; readonly at: number; readonly not: number; readonly value: number }
  | { readonly op: "fail"; readonly when: number }
  | { readonly op: "die"; readonly when: number }
  | { readonly op: "branch"; readonly on: number; readonly yes: Block; readonly no: Block }
  /** Counts in the fiber's own cell. */
  | { readonly op: "count" }
  /** Writes the fiber's name. */
  | { readonly op: "sign" }
  /** Looks whether the fiber's name was written last. */
  | { readonly op: "signed" }
  /** Another fiber, which is waited for, interrupted and waited for, or left alone. */
  | { readonly op: "fork"; readonly body: Block; readonly ending: "join" | "interrupt" | "leave" }
  /** A loop with a checkpoint that names all live values. */
  | { readonly op: "loop"; readonly times: number; readonly until: number; readonly body: Block }
  /** A loop that is entered: what is live outside need not be named, so loops may stand inside. */
  | { readonly op: "rounds"; readonly times: number; readonly until: number; readonly body: Block }
  /** A procedure, which returns what it learnt last, whether that is odd, or nothing. */
  | { readonly op: "call"; readonly returns: Returns; readonly body: Block }
  /** The same; if it fails, its caller goes on. */
  | { readonly op: "attempt"; readonly returns: Returns; readonly body: Block }

export type Returns = "r" | "odd" | "nothing"

export type Block = ReadonlyArray<Instruction>

/** Numbers that the properties compare with. */
export interface Limits {
  readonly sum: number
  readonly selector: number
  readonly one: number
  readonly other: number
  readonly final: number
}

export interface RandomProgram {
  readonly fibers: ReadonlyArray<Block>
  readonly limits: Limits
}

/** The instructions of a block and of the blocks inside. */
export const flatten = (block: Block): ReadonlyArray<Instruction> =>
  block.flatMap((each) => {
    if (each.op === "branch") return [each, ...flatten(each.yes), ...flatten(each.no)]
    return "body" in each ? [each, ...flatten(each.body)] : [each]
  })

interface World {
  readonly cells: ReadonlyArray<Cell<number>>
  readonly lock: Cell<boolean>
  readonly last: Cell<string>
  readonly own: ReadonlyMap<string, Cell<number>>
}

const at = (world: World, position: number): Cell<number> => {
  const found = world.cells[position]
  if (found === undefined) throw new Error(`there is no cell ${position}`)
  return found
}

const contents = ({ cells, lock }: World): string =>
  `${cells.map(({ value }) => value).join(" ")}${lock.value ? " locked" : ""}`

const modulus = 4

/** The fiber of the start that a label belongs to. */
const rootOf = (label: string): string => label.split(".")[0] ?? ""

/** Performs a block with the local variable at `r`, and ends with its new content. */
const meaning = (world: World, block: Block, path: string, start: number): Effect.Effect<number, string> =>
  Effect.gen(function* () {
    let r = start
    for (const [position, each] of block.entries()) {
      const label = `${path}.${position}`
      r = yield* one(world, each, label, r)
    }
    return r
  })

const one = (world: World, each: Instruction, label: string, r: number): Effect.Effect<number, string> => {
  const contentOf = (of: Value) => (of === "r" ? r : of)
  switch (each.op) {
    case "read":
      return step(label, () => at(world, each.at).value)
    case "write":
      return Effect.as(
        step(label, () => {
          at(world, each.at).value = contentOf(each.value)
        }),
        r,
      )
    case "swap":
      return step(label, () => {
        const target = at(world, each.at)
        if (target.value !== each.expected) return 0
        target.value = contentOf(each.value)
        return 1
      })
    case "add":
      return step(label, () => {
        const target = at(world, each.at)
        const before = target.value
        target.value = (before + each.value) % modulus
        return before
      })
    case "lock":
      return guardedStep(
        label,
        () => !world.lock.value,
        () => {
          world.lock.value = true
          return r
        },
      )
    case "unlock":
      return step(label, () => {
        world.lock.value = false
        return r
      })
    case "await":
      return guardedStep(
        label,
        () => at(world, each.at).value === each.value,
        () => at(world, each.reads).value,
      )
    case "choose":
      return choose(
        label,
        Array.from({ length: each.options }, (_, option) => option),
      )
    case "assert":
      return step(label, () => {
        const target = at(world, each.at)
        const before = target.value
        target.value = each.value
        assert(before !== each.not, `${before} was found`)
        return before
      })
    case "fail":
      return r === each.when ? Effect.fail(`failed at ${label}`) : Effect.succeed(r)
    case "die":
      return r === each.when ? Effect.die(`died at ${label}`) : Effect.succeed(r)
    case "count":
      return step(label, () => {
        const own = world.own.get(rootOf(label))
        if (own === undefined) return 0
        own.value = (own.value + 1) % modulus
        return own.value
      })
    case "sign":
      return step(label, () => {
        world.last.value = rootOf(label)
        return r
      })
    case "signed":
      return step(label, () => (world.last.value === rootOf(label) ? 1 : 0))
    case "fork":
      return Effect.gen(function* () {
        const forked = yield* fork(`${label}.fork`, meaning(world, each.body, `${label}.in`, r))
        if (each.ending === "leave") return r
        if (each.ending === "interrupt") yield* interrupt(forked)
        return (yield* join(forked)) ?? r
      })
    case "branch":
      return meaning(world, r === each.on ? each.yes : each.no, `${label}${r === each.on ? "y" : "n"}`, r)
    case "loop":
      return Effect.gen(function* () {
        let inside = r
        for (let times = 0; times < each.times && (times === 0 || inside !== each.until); times++) {
          yield* checkpoint(label, times, inside)
          inside = yield* meaning(world, each.body, label, inside)
        }
        return inside
      })
    case "rounds":
      return Effect.gen(function* () {
        const head = yield* enterLoop("rounds")
        let inside = r
        for (let times = 0; times < each.times && (times === 0 || inside !== each.until); times++) {
          yield* head(times, inside)
          inside = yield* meaning(world, each.body, label, inside)
        }
        return inside
      })
    case "call":
      return Effect.map(called(world, each, label, r), (result) => result ?? r)
    case "attempt":
      return Effect.match(called(world, each, label, r), {
        onFailure: () => 2,
        onSuccess: (result) => result ?? r,
      })
  }
}

const called = procedure(function* (
  world: World,
  { body, returns }: Instruction & { readonly op: "call" | "attempt" },
  label: string,
  r: number,
) {
  const inside = yield* meaning(world, body, label, r)
  return returns === "nothing" ? undefined : returns === "odd" ? inside % 2 : inside
})

const propertiesOf = (limits: Limits): ReadonlyArray<Property<World>> => [
  {
    kind: "invariant",
    id: "sum",
    statement: "The first two cells stay small together.",
    source: "test",
    holds: (world) => at(world, 0).value + at(world, 1).value <= limits.sum,
    explain: contents,
  },
  {
    kind: "invariant",
    id: "selected",
    statement: "Which cell is looked at depends on another one.",
    source: "test",
    holds: (world) =>
      at(world, 2).value === limits.selector
        ? at(world, 0).value !== limits.one
        : at(world, 1).value !== limits.other || !world.lock.value,
    explain: contents,
  },
  {
    kind: "invariant",
    id: "premised",
    statement: "Under the lock a cell does not have that content.",
    source: "test",
    premise: (world) => world.lock.value && at(world, 1).value === limits.one,
    holds: (world) => at(world, 2).value !== limits.other || !(world.lock.value && at(world, 1).value === limits.one),
    explain: contents,
  },
  actionInvariant<World, ReadonlyArray<number>>({
    id: "grows",
    statement: "The first cell never shrinks while the second is kept.",
    source: "test",
    observe: (world) => [at(world, 0).value, at(world, 1).value],
    premise: (before, after) => before[1] === after[1],
    holds: (before, after) => before[1] !== after[1] || (after[0] ?? 0) >= (before[0] ?? 0),
    explain: (before, after) => `${before.join(" ")} became ${after.join(" ")}`,
  }),
  {
    kind: "atEnd",
    id: "final",
    statement: "The cells are small in the end.",
    source: "test",
    premise: (world) => at(world, 1).value !== limits.selector,
    holds: ({ cells }) => cells.reduce((total, { value }) => total + value, 0) <= limits.final,
    explain: contents,
  },
  {
    kind: "progress",
    id: "unlocked",
    statement: "Nobody waits for a lock for ever.",
    source: "test",
    stuck: (world, waiting) => world.lock.value && waiting.some(({ step }) => step.endsWith("0")),
  },
]

/** The contents of all cells: c0, c1, c2, and the lock as 0 or 1. */
export type Contents = ReadonlyArray<number>

/** Told of every step that plain re-execution takes. */
export type Observer = (before: Contents, after: Contents) => void

/** Calls the observer after every step, whatever its name. */
const watching = (world: World, observer: Observer): Monitor => {
  const look = () => [...world.cells.map(({ value }) => value), world.lock.value ? 1 : 0]
  let before: Contents = look()
  const watch = () => {
    const after = look()
    observer(before, after)
    before = after
  }
  const entry = { value: watch, configurable: true, enumerable: true, writable: true }
  return new Proxy<Monitor>({}, { get: () => watch, getOwnPropertyDescriptor: () => entry })
}

/** The scenario that a syntax tree stands for. */
export const interpret = (
  { fibers, limits, alike = 0 }: RandomProgram & { readonly alike?: number },
  observer?: Observer,
): ScenarioEntry =>
  entryOf(() => {
    const world: World = {
      cells: [0, 1, 2].map((n) => cell(`c${n}`, 0)),
      lock: cell("lock", false),
      last: cell("last", ""),
      own: new Map(fibers.map((_, n) => [`f${n}`, cell(`f${n}.own`, 0)])),
    }
    return {
      world,
      interchangeable: [fibers.slice(0, alike).map((_, n) => `f${n}`)],
      fibers: Object.fromEntries(
        fibers.map((block, position) => [`f${position}`, meaning(world, block, `f${position}`, 0)]),
      ),
      monitors: observer === undefined ? [] : [watching(world, observer)],
    }
  }, propertiesOf(limits))

/**
 * What must be reported of the properties of states and steps, computed from all steps of all schedules: the same
 * properties, written a second time, so that the checker's incremental evaluation is not its own judge.
 */
export const expectedViolations = (
  limits: Limits,
  edges: ReadonlyArray<readonly [before: Contents, after: Contents]>,
): ReadonlySet<string> => {
  const found = new Set<string>()
  for (const state of [[0, 0, 0, 0], ...edges.map(([, after]) => after)]) {
    const [c0 = 0, c1 = 0, c2 = 0, lock = 0] = state
    const text = `${c0} ${c1} ${c2}${lock === 1 ? " locked" : ""}`
    if (c0 + c1 > limits.sum) found.add(`sum: ${text}`)
    const selected = c2 === limits.selector ? c0 === limits.one : c1 === limits.other && lock === 1
    if (selected) found.add(`selected: ${text}`)
    if (lock === 1 && c1 === limits.one && c2 === limits.other) found.add(`premised: ${text}`)
  }
  for (const [before, after] of edges) {
    const [b0 = 0, b1 = 0] = before
    const [a0 = 0, a1 = 0] = after
    if (b1 === a1 && a0 < b0) found.add(`grows: ${b0} ${b1} became ${a0} ${a1}`)
  }
  return found
}
