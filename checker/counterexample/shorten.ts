/**
 * Makes a failing run simpler where the simplest one is out of reach: leaves out stretches of its schedule (delta
 * debugging; Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", TSE 2002) and joins what one
 * fiber does, as long as the same property breaks. A schedule is followed loosely: an entry that is not possible is
 * passed over.
 */
import { type Engine, engineOf } from "../engine/engine.ts"
import { LimitReached, Unsound } from "../engine/fault.ts"
import { fiberOf, type Move, moveOf } from "../engine/system.ts"
import { HappensBefore } from "../property/happensBefore.ts"
import { together } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"

/** An entry of a schedule that means the same at every bound. */
export interface Entry {
  readonly fiber: string
  readonly option: number
}

export interface Shortened {
  readonly moves: ReadonlyArray<Move>
  readonly preemptions: number
}

/** How many steps to execute in all, and how many turns of a program without steps, which is executed again and again. */
const stepLimit = 3_000_000
const turnLimit = 300_000

/**
 * The simplest variation found of a schedule that breaks the property; `undefined` if the schedule itself does not.
 * Pauses after each improvement.
 */
export function* shorten(
  program: Program,
  property: string,
  schedule: ReadonlyArray<Entry>,
): Generator<void, Shortened | undefined> {
  const follower = new Follower(program, property)
  try {
    let best = follower.follow(schedule)
    for (let found = best; found !== undefined; found = improve(follower, found)) {
      best = found
      yield
    }
    return best
  } catch (error) {
    if (error instanceof LimitReached || error instanceof Unsound) return undefined
    throw error
  }
}

/** The first variation that is simpler, or nothing. */
const improve = (follower: Follower, best: Followed): Followed | undefined => {
  for (const candidate of variations(best.entries)) {
    if (follower.steps > follower.limit) return undefined
    const found = follower.follow(candidate)
    if (found !== undefined && isSimpler(found, best)) return found
  }
  return undefined
}

/** Variations of a schedule: without a stretch, the long ones first; and with a fiber's next block pulled forward. */
function* variations(entries: ReadonlyArray<Entry>): Generator<ReadonlyArray<Entry>> {
  for (let size = entries.length >> 1; size >= 1; size >>= 1) {
    for (let start = 0; start + size <= entries.length; start += size) {
      yield [...entries.slice(0, start), ...entries.slice(start + size)]
    }
  }
  const starts = entries.flatMap(({ fiber }, i) => (fiber === entries[i - 1]?.fiber ? [] : [i]))
  for (const [position, start] of starts.entries()) {
    const end = starts[position + 1] ?? entries.length
    const fiber = entries[start]?.fiber
    const again = starts.find((other) => other > start && entries[other]?.fiber === fiber)
    if (again === undefined) continue
    const againEnd = starts.find((other) => other > again) ?? entries.length
    const [before, between] = [entries.slice(0, end), entries.slice(end, again)]
    const [block, after] = [entries.slice(again, againEnd), entries.slice(againEnd)]
    yield [...before, ...block, ...between, ...after]
    yield [...entries.slice(0, start), ...between, ...entries.slice(start, end), ...block, ...after]
  }
}

interface Followed extends Shortened {
  readonly entries: ReadonlyArray<Entry>
}

const isSimpler = (a: Followed, b: Followed): boolean =>
  a.preemptions < b.preemptions || (a.preemptions === b.preemptions && a.moves.length < b.moves.length)

class Follower {
  steps = 0
  readonly limit: number
  private readonly engine: Engine
  private readonly order: HappensBefore
  private readonly property: string

  constructor(program: Program, property: string) {
    this.limit = program.inSteps ? stepLimit : turnLimit
    this.engine = engineOf(program)
    this.order = new HappensBefore(this.engine)
    this.property = property
    this.engine.begin()
  }

  /** Follows a schedule until the property breaks. */
  follow(schedule: ReadonlyArray<Entry>): Followed | undefined {
    const { engine } = this
    while (engine.depth > 0) engine.undo()
    this.order.begin()
    const taken: Array<Entry> = []
    const moves: Array<Move> = []
    let preemptions = 0
    let last: number | undefined
    for (const entry of schedule) {
      const possible = engine.moves()
      const fiber = engine.fibers.findIndex(({ name }) => name === entry.fiber)
      const move = moveOf(fiber, entry.option)
      if (fiber < 0 || !possible.includes(move)) continue
      if (last !== undefined && last !== fiber && possible.some((other) => fiberOf(other) === last)) preemptions++
      last = fiber
      taken.push(entry)
      moves.push(move)
      this.steps++
      const races = this.order.step(move)
      const violations = together(engine.take(move), races)
      const ended = engine.moves().length === 0 ? engine.end() : []
      if ([...violations, ...ended].some(({ property }) => property === this.property)) {
        return { entries: taken, moves, preemptions }
      }
    }
    return undefined
  }
}
