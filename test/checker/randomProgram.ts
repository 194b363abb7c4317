/**
 * Random small programs: a syntax tree that fast-check generates and shrinks, and its meaning as a scenario.
 *
 * Cells c0, c1 and c2 hold small numbers, `lock` is a mutex, `last` is who signed last. Each fiber has one local
 * variable, `r`: what it learnt last; each of the fibers that are there from the start has a cell of its own.
 */
import * as Effect from "effect/Effect"
import fc from "fast-check"
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
type Value = number | "r"

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

type Returns = "r" | "odd" | "nothing"

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

const place = fc.nat({ max: 2 })
const small = fc.nat({ max: 2 })
const value: fc.Arbitrary<Value> = fc.oneof(small, fc.constant("r" as const))

const plainInstruction: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ op: fc.constant("read" as const), at: place }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant("write" as const), at: place, value }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("swap" as const), at: place, expected: small, value }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("add" as const), at: place, value: small }) },
  { weight: 2, arbitrary: fc.constant({ op: "lock" as const }) },
  { weight: 2, arbitrary: fc.constant({ op: "unlock" as const }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("await" as const), at: place, value: small, reads: place }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("choose" as const), options: fc.integer({ min: 1, max: 3 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("assert" as const), at: place, not: small, value: small }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("fail" as const), when: small }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("die" as const), when: small }) },
)

const forking: fc.Arbitrary<Instruction> = fc.record({
  op: fc.constant("fork" as const),
  body: fc.array(plainInstruction, { minLength: 1, maxLength: 2 }),
  ending: fc.constantFrom("join" as const, "interrupt" as const, "leave" as const),
})

const personalInstruction: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 4, arbitrary: plainInstruction },
  {
    weight: 2,
    arbitrary: fc.constantFrom({ op: "count" as const }, { op: "sign" as const }, { op: "signed" as const }),
  },
)

const instruction: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 8, arbitrary: plainInstruction },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("branch" as const),
      on: small,
      yes: fc.array(plainInstruction, { maxLength: 2 }),
      no: fc.array(plainInstruction, { maxLength: 2 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("loop" as const),
      times: fc.integer({ min: 1, max: 2 }),
      until: small,
      body: fc.array(plainInstruction, { minLength: 1, maxLength: 2 }),
    }),
  },
)

const roundsOf = (body: fc.Arbitrary<Block>): fc.Arbitrary<Instruction> =>
  fc.record({
    op: fc.constant("rounds" as const),
    times: fc.integer({ min: 1, max: 2 }),
    until: small,
    body,
  })

const callOf = (inside: fc.Arbitrary<Instruction>, length: number): fc.Arbitrary<Instruction> =>
  fc.record({
    op: fc.constantFrom("call" as const, "attempt" as const),
    returns: fc.constantFrom<Returns>("r", "odd", "nothing"),
    body: fc.array(inside, { minLength: 1, maxLength: length }),
  })

const shortRounds = roundsOf(fc.array(plainInstruction, { minLength: 1, maxLength: 1 }))

const calling: fc.Arbitrary<Instruction> = callOf(
  fc.oneof(
    { weight: 6, arbitrary: plainInstruction },
    { weight: 1, arbitrary: callOf(plainInstruction, 2) },
    { weight: 1, arbitrary: shortRounds },
  ),
  2,
)

/** A checkpoint in a procedure names all live values: so the caller has none, but what the procedure returns. */
const callingLoop: fc.Arbitrary<Instruction> = fc.record({
  op: fc.constant("call" as const),
  returns: fc.constantFrom("r" as const, "odd" as const),
  body: fc.array(instruction, { minLength: 1, maxLength: 1 }),
})

const nested: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 12, arbitrary: instruction },
  { weight: 1, arbitrary: forking },
  { weight: 1, arbitrary: calling },
  { weight: 1, arbitrary: callingLoop },
  {
    weight: 1,
    arbitrary: roundsOf(
      fc.array(
        fc.oneof(
          { weight: 4, arbitrary: plainInstruction },
          { weight: 1, arbitrary: shortRounds },
          { weight: 1, arbitrary: callOf(plainInstruction, 2) },
        ),
        { minLength: 1, maxLength: 2 },
      ),
    ),
  },
)

const fibers = fc
  .constantFrom(
    { count: 2, length: 5 },
    { count: 2, length: 4 },
    { count: 3, length: 3 },
    { count: 3, length: 2 },
    { count: 4, length: 2 },
  )
  .chain(({ count, length }) =>
    fc.array(fc.array(nested, { minLength: 1, maxLength: length, size: "max" }), {
      minLength: count,
      maxLength: count,
    }),
  )

const limits: fc.Arbitrary<Limits> = fc.record({
  sum: fc.integer({ min: 2, max: 6 }),
  selector: small,
  one: small,
  other: small,
  final: fc.integer({ min: 2, max: 6 }),
})

export const randomProgram: fc.Arbitrary<RandomProgram> = fc.record({
  fibers,
  limits,
})

/** Random programs with fibers that do the same, the first `alike` of them. */
export const symmetricProgram: fc.Arbitrary<RandomProgram & { readonly alike: number }> = fc
  .record({
    shape: fc.constantFrom(
      { alike: 2, length: 3, others: 0 },
      { alike: 2, length: 2, others: 1 },
      { alike: 3, length: 2, others: 0 },
    ),
    same: fc.array(
      fc.oneof(
        { weight: 8, arbitrary: personalInstruction },
        { weight: 1, arbitrary: forking },
        { weight: 1, arbitrary: callOf(personalInstruction, 2) },
      ),
      { minLength: 3, maxLength: 3, size: "max" },
    ),
    other: fc.array(plainInstruction, { minLength: 1, maxLength: 2 }),
    limits,
  })
  .map(({ shape: { alike, length, others }, same, other, limits }) => ({
    alike,
    limits,
    fibers: [
      ...Array.from({ length: alike }, () => same.slice(0, length)),
      ...Array.from({ length: others }, () => other),
    ],
  }))

/** Looks, and acts if it likes what it saw: what goes wrong needs another fiber between. */
const checkThenAct: fc.Arbitrary<Block> = fc
  .record({ at: place, counter: place, writes: fc.integer({ min: 1, max: 2 }), adds: fc.integer({ min: 1, max: 2 }) })
  .map(({ at, counter, writes, adds }) => [
    { op: "read", at },
    {
      op: "branch",
      on: 0,
      yes: [
        { op: "write", at, value: writes },
        { op: "add", at: counter, value: adds },
      ],
      no: [],
    },
  ])

/** Random programs whose violations mostly need preemptions. */
export const racyProgram: fc.Arbitrary<RandomProgram> = fc.record({
  fibers: fc.array(checkThenAct, { minLength: 2, maxLength: 3 }),
  limits,
})

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
