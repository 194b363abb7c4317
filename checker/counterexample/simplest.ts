/**
 * The simplest run that breaks a property at a bound: with the fewest preemptive switches, and among those with the
 * fewest steps. Dijkstra's algorithm over pairs of a state and the fiber that ran last, whose costs are pairs
 * (preemptions, steps) in lexicographic order; the first violation taken from the queue is a simplest one.
 *
 * Preemptions come first because they are what a reader has to understand (Musuvathi and Qadeer, "Iterative context
 * bounding", PLDI 2007).
 */
import { type Engine, engineOf } from "../engine/engine.ts"
import { LimitReached, Unsound } from "../engine/fault.ts"
import { fiberOf, type Move } from "../engine/system.ts"
import { Visited } from "../explore/visited.ts"
import { hashText } from "../program/plain.ts"
import type { Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"

/** How the search for a simplest run ended. */
export type Simplest =
  | { readonly kind: "found"; readonly moves: ReadonlyArray<Move>; readonly preemptions: number }
  /** No run at this bound breaks the property. */
  | { readonly kind: "none" }
  /** There was more to search than the limit allows. */
  | { readonly kind: "tooLarge" }

/** A run, as its last move and the run before that; `undefined` is the empty run. */
type Path = { readonly move: Move; readonly before: Path } | undefined

/** Runs that wait to be looked at, by their number of steps. */
type Layer = Array<Array<Path>>

/** Runs between two pauses. */
const slice = 5_000

/**
 * Searches a program for the simplest run that breaks `property`, with a pause from time to time.
 *
 * @param limit how many pairs of a state and a fiber to look at, at most
 * @param first the move with which the run has to begin, where not any will do
 */
export function* simplestRun(
  program: Program,
  property: string,
  limit: number,
  first?: Move,
): Generator<void, Simplest> {
  try {
    return yield* new SimplestSearch(program, property, limit).run(first)
  } catch (error) {
    if (error instanceof LimitReached || error instanceof Unsound) return { kind: "tooLarge" }
    throw error
  }
}

class SimplestSearch {
  private readonly engine: Engine
  private readonly property: string
  private readonly limit: number
  private readonly seen = new Visited()
  /** The run that the engine stands at the end of: all its beginnings, shortest first. */
  private standing: Array<NonNullable<Path>> = []

  constructor(program: Program, property: string, limit: number) {
    this.engine = engineOf(program)
    this.property = property
    this.limit = limit
  }

  *run(first: Move | undefined): Generator<void, Simplest> {
    let sincePause = 0
    const initial = this.engine.begin()
    let layer: Layer = first === undefined ? [[undefined]] : [[], [{ move: first, before: undefined }]]
    for (let preemptions = 0; layer.length > 0; preemptions++) {
      const next: Layer = []
      for (let steps = 0; steps < layer.length; steps++) {
        for (const path of layer[steps] ?? []) {
          if (++sincePause % slice === 0) yield
          const violations = path === undefined ? initial : this.stand(path)
          if (this.breaks(violations)) return { kind: "found", moves: movesOf(path), preemptions }
          if (!this.isNew(path)) continue
          if (this.seen.size > this.limit) return { kind: "tooLarge" }
          const moves = this.engine.moves()
          if (moves.length === 0 && this.breaks(this.engine.end())) {
            return { kind: "found", moves: movesOf(path), preemptions }
          }
          const canGoOn = path !== undefined && moves.some((move) => fiberOf(move) === fiberOf(path.move))
          for (const move of moves) {
            const preempts = canGoOn && fiberOf(move) !== fiberOf(path.move)
            put(preempts ? next : layer, steps + 1, { move, before: path })
          }
        }
        layer[steps] = []
      }
      layer = next
    }
    return { kind: "none" }
  }

  private breaks(violations: ReadonlyArray<Violation>): boolean {
    return violations.some(({ property }) => property === this.property)
  }

  /** Whether the present state was not seen before with the fiber that ran last. */
  private isNew(path: Path): boolean {
    const salt = hashText(`ran last ${path && fiberOf(path.move)}`)
    return this.seen.add(this.engine.low ^ salt.low, this.engine.high ^ salt.high)
  }

  /** Takes the engine to the end of a run, back only as far as that run and the last one part. */
  private stand(path: NonNullable<Path>): ReadonlyArray<Violation> {
    const wanted: Array<NonNullable<Path>> = []
    for (let at: Path = path; at !== undefined; at = at.before) wanted.push(at)
    wanted.reverse()
    let common = 0
    while (common < this.standing.length && this.standing[common] === wanted[common]) common++
    while (this.engine.depth > common) this.engine.undo()
    this.standing = wanted
    let violations: ReadonlyArray<Violation> = []
    for (const { move } of wanted.slice(common)) violations = this.engine.take(move)
    return violations
  }
}

const put = (layer: Layer, steps: number, path: Path): void => {
  while (layer.length <= steps) layer.push([])
  layer[steps]?.push(path)
}

const movesOf = (path: Path): ReadonlyArray<Move> => {
  const moves: Array<Move> = []
  for (let at = path; at !== undefined; at = at.before) moves.push(at.move)
  return moves.reverse()
}
