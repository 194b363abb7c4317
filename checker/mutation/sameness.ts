/**
 * Proofs that a mutant which no property has killed does the same as the protocol, from every state of both at one bound.
 *
 * By movers (Lipton, "Reduction", CACM 1975), where two steps stand apart that the protocol takes at once or in the other
 * order: if the first one commutes with whatever others do behind it, or the second one, which never waits, with whatever
 * they do before it, then each run of the mutant is a run of the protocol, up to the order of steps that commute. No fiber
 * can tell them apart. It may have fewer runs: who takes a lock a step earlier keeps others out of that step. Whether steps
 * commute is computed in each state, with what cells hold there: both orders are possible, return the same and leave the
 * same behind. That is sameness to fibers: what a property sees between the two steps is asked by exploring the mutant. And
 * it is of runs that end: who waits for ever at the first of two that are swapped, while others go round without an end, has
 * not taken the other. Stated promises ask for that, and those are asked by exploring, too.
 *
 * By memory, for any mutant: if each state of the cells and of which fibers have ended, each change of them by each fiber
 * and each end is one of the protocol's, then no invariant of these can be stated that holds of the protocol and breaks in
 * the mutant. Of promises it says nothing: those that are stated are asked by exploring, too. States are compared by
 * 64-bit fingerprints.
 */
import * as Effect from "effect/Effect"
import { Memoised } from "../engine/memoised.ts"
import type { Node, Outcome } from "../engine/node.ts"
import { attempt } from "../engine/supervised.ts"
import { fiberOf, type Move, StepFailed } from "../engine/system.ts"
import type { Entry, StoredCell } from "../program/store.ts"
import type { Program } from "../scenario/program.ts"
import type { Parted } from "./mutation.ts"

type Contents = (cell: StoredCell) => Entry

const present: Contents = ({ entry }) => entry

/** The contents after an outcome. */
const behind = (contents: Contents, { cells, entries }: Outcome): Contents => {
  const written = new Map(cells.map((cell, position) => [cell, entries[position]]))
  return (cell) => written.get(cell) ?? contents(cell)
}

/** One way to go on for one fiber. */
interface Way {
  readonly node: Node
  readonly option: number
}

const waysOf = (node: Node): ReadonlyArray<Way> =>
  Array.from({ length: node.options }, (_, option) => ({ node, option }))

/** Of steps that stand apart: which of the two may be moved to the other. */
class Movers {
  readonly parted: Parted
  first = true
  second = true
  private readonly engine: Memoised

  constructor(engine: Memoised, parted: Parted) {
    this.engine = engine
    this.parted = parted
  }

  get isOpen(): boolean {
    return this.first || this.second
  }

  get reason(): string {
    const { first, second, isSwapped } = this.parted
    const which = this.second ? second : first
    return isSwapped
      ? `the two commute, and ${which} with whatever others do between them`
      : `${this.second ? "its second half" : "its first half"} commutes with whatever others do in between`
  }

  /** Looks at the present state. */
  look(isEnd: boolean): void {
    const { at } = this.engine
    for (const node of at) {
      if (!this.isOpen) return
      // A fiber that is interrupted between the two takes one of them only, and in the mutant it is the other one.
      if (this.parted.isSwapped && node.operation?.kind === "interrupt") this.refute()
      if (this.isBetween(node)) {
        if (isEnd || node.interrupted) this.refute()
        else if (this.second) this.second = this.mayComeEarlier({ node, option: 0 })
      }
      if (node.operation?.kind === "step" && node.operation.name === this.parted.first) {
        // Who waits here for ever has not taken the other one, which in the protocol comes before.
        if (isEnd && this.parted.isSwapped) this.refute()
        else this.lookAtFirst(node)
      }
    }
  }

  private lookAtFirst(node: Node): void {
    const way = { node, option: 0 }
    const outcome = this.outcomeOf(way, present)
    const next = outcome?.next
    if (next === undefined || !this.isBetween(next)) return
    const { isSwapped } = this.parted
    const then = { node: next, option: 0 }
    if (isSwapped && !(this.commute(way, () => then) && this.commute(then, () => way))) this.refute()
    else if (this.first) this.first = this.others(node).every((other) => this.commute(way, () => other))
  }

  /** Whether the second is possible now, and the same whatever others do before it. */
  private mayComeEarlier(second: Way): boolean {
    const isPossible = this.outcomeOf(second, present) !== undefined
    return isPossible && this.others(second.node).every((other) => this.commute(other, () => second))
  }

  private refute(): void {
    this.first = false
    this.second = false
  }

  /** Whether a fiber that stands there has taken the first and not the second. */
  private isBetween({ operation, parent }: Node): boolean {
    const { first, second } = this.parted
    return (
      operation?.kind === "step" &&
      operation.name === second &&
      parent?.operation?.kind === "step" &&
      parent.operation.name === first
    )
  }

  private others(node: Node): ReadonlyArray<Way> {
    return this.engine.at.flatMap((other) => (other === node ? [] : waysOf(other)))
  }

  /** Whether, where one is possible and then the other, that is the same as the other and then the one. */
  private commute(one: Way, otherOf: (one: Outcome) => Way): boolean {
    if (one.node.outcomes.length === 0) return one.node.operation?.kind !== "interrupt"
    const first = this.outcomeOf(one, present)
    if (first === undefined) return true
    const other = otherOf(first)
    if (other.node.outcomes.length === 0) return other.node.operation?.kind !== "interrupt"
    const then = this.outcomeOf(other, behind(present, first))
    if (then === undefined) return true
    const otherFirst = this.outcomeOf(other, present)
    const oneThen = otherFirst && this.outcomeOf(one, behind(present, otherFirst))
    if (otherFirst === undefined || oneThen === undefined) return false
    const failed = [first, then, otherFirst, oneThen].some(({ result }) => result instanceof StepFailed)
    if (failed || first.result !== oneThen.result || then.result !== otherFirst.result) return false
    const [so, otherwise] = [behind(behind(present, first), then), behind(behind(present, otherFirst), oneThen)]
    return [first, then, otherFirst, oneThen].every(({ cells }) => cells.every((cell) => so(cell) === otherwise(cell)))
  }

  private outcomeOf({ node, option }: Way, contents: Contents): Outcome | undefined {
    return this.engine.operations.whatIf(node, option, contents)
  }
}

/** Told of what a walk meets. */
interface Visitor {
  /** A state, once for each, in the engine; at an end, nobody can go on. */
  readonly state: (isEnd: boolean, memory: string) => void
  /** A step: who takes it, between which states of memory. */
  readonly change: (fiber: string, before: string, after: string) => void
  /** Whether there is anything left to find out. */
  readonly isOpen: () => boolean
}

/** A visit of every state of a program; no property is asked. */
class Walk {
  readonly engine: Memoised
  private readonly maxStates: number
  private readonly visited = new Set<string>()
  private readonly stack: Array<{ readonly memory: string; readonly moves: Array<Move> }> = []

  constructor(program: Program, maxStates: number) {
    const start = () => ({ ...program.start(), interchangeable: [], properties: [] })
    this.engine = new Memoised({ ...program, start })
    this.maxStates = maxStates
    this.engine.begin()
  }

  /** Goes on for so many steps. Returns whether every state has been visited; `undefined` while that is open. */
  advance(steps: number, visitor: Visitor): boolean | undefined {
    const { engine, stack } = this
    if (this.visited.size === 0) this.enter(this.memory, visitor)
    for (let left = steps; left > 0; left--) {
      const top = stack.at(-1)
      if (top === undefined) return true
      if (!visitor.isOpen() || this.visited.size > this.maxStates) return false
      const move = top.moves.pop()
      if (move === undefined) {
        stack.pop()
        if (engine.depth > 0) engine.undo()
        continue
      }
      const fiber = engine.fibers[fiberOf(move)]?.name ?? ""
      engine.step(move)
      const { memory } = this
      visitor.change(fiber, top.memory, memory)
      if (this.visited.has(this.place)) engine.undo()
      else this.enter(memory, visitor)
    }
    return undefined
  }

  private enter(memory: string, visitor: Visitor): void {
    const moves = [...this.engine.moves()]
    this.visited.add(this.place)
    visitor.state(moves.length === 0, memory)
    this.stack.push({ memory, moves })
  }

  private get place(): string {
    return `${this.engine.low} ${this.engine.high}`
  }

  /** The cells, and which fibers have ended. */
  private get memory(): string {
    const { at, instance } = this.engine
    const ended = at.flatMap(({ ended, fiber }) => (ended ? fiber.name : [])).sort()
    return [instance.store.low, instance.store.high, ...ended].join(" ")
  }
}

/** The changes of a program's memory by its fibers, and how it may stay for ever. */
export class Behaviour {
  private readonly changes = new Set<string>()
  private readonly ends = new Set<string>()

  /** Of a correct program; `undefined` if it has more states than may be visited. */
  static readonly of = Effect.fnUntraced(function* (program: Program, maxStates = Number.POSITIVE_INFINITY) {
    const behaviour = new Behaviour()
    const isWhole = yield* walked(program, maxStates, () => ({
      state: (isEnd, memory) => {
        if (isEnd) behaviour.ends.add(memory)
      },
      change: (...change) => void behaviour.changes.add(change.join("\n")),
      isOpen: () => true,
    }))
    return isWhole ? behaviour : undefined
  })

  has(fiber: string, before: string, after: string): boolean {
    return this.changes.has([fiber, before, after].join("\n"))
  }

  canEnd(memory: string): boolean {
    return this.ends.has(memory)
  }
}

const slice = 2_000

const walked = Effect.fnUntraced(function* (
  program: Program,
  maxStates: number,
  visitorOf: (engine: Memoised) => Visitor,
) {
  const walk = yield* attempt(() => new Walk(program, maxStates))
  const visitor = visitorOf(walk.engine)
  let isWhole: boolean | undefined
  while (isWhole === undefined) isWhole = yield* attempt(() => walk.advance(slice, visitor))
  return isWhole
})

/** What comparing a mutated program with the correct one came to; see above. */
export type Sameness =
  | { readonly kind: "proved"; readonly reason: string }
  /** The mutated program has more states than may be visited, and those that were visited do not refute it. */
  | { readonly kind: "open" }
  | { readonly kind: "refuted" }

/**
 * Whether a mutated program does the same as the correct one.
 *
 * @param correct what the correct program does at the same bound; without it, what movers prove
 * @param maxStates of the mutated program; if it has more, nothing is proved
 */
export const samenessOf = Effect.fnUntraced(function* (
  program: Program,
  parted: Parted | undefined,
  correct: Behaviour | undefined,
  maxStates: number,
) {
  let isInMemory = correct !== undefined
  let movers: Movers | undefined
  const isWhole = yield* walked(program, maxStates, (engine) => {
    movers = parted && new Movers(engine, parted)
    return {
      state: (isEnd, memory) => {
        movers?.look(isEnd)
        isInMemory &&= !isEnd || correct?.canEnd(memory) === true
      },
      change: (...change) => {
        isInMemory &&= correct?.has(...change) === true
      },
      isOpen: () => isInMemory || movers?.isOpen === true,
    }
  })
  const isMoved = movers?.isOpen === true
  if (!isMoved && !isInMemory) return refuted
  if (!isWhole) return undecided
  const reason = movers !== undefined && isMoved ? movers.reason : inMemory
  return { kind: "proved", reason } satisfies Sameness
})

const refuted: Sameness = { kind: "refuted" }
const undecided: Sameness = { kind: "open" }
const inMemory = "it brings memory into no state, and changes it in no way, that the protocol does not"
