/**
 * The memoised engine without its trust. It goes where `Memoised` goes and, as it goes, checks the rules that programs
 * must obey for that engine to mean what plain re-execution means; a rule that is broken ends the search by name.
 *
 * - Each node is learnt a second time, by a fiber that is told the results and runs none of the bodies.
 * - Each guard and body is run again in every state in which it is looked up: by the node's own fiber, by that second
 *   one, and by fibers whose histories a checkpoint has made equivalent to the node's. All must do the same.
 * - What properties say of a state is evaluated again.
 * - Paths are taken again by plain re-execution, step by step, and on from there: the first time that a step reads
 *   something new, that a fiber comes to a node in a new way, or that a fiber moves from a node while another is at one.
 *
 * The first and the third leave nothing out of what is visited, but very long histories; the second has a limit to the
 * histories for one node, and the last is a sample within an allowance. So a run that reports nothing is no proof.
 */
import type { Operation } from "../program/operation.ts"
import { show } from "../program/plain.ts"
import type { Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"
import { Unsound } from "./fault.ts"
import type { FiberRun } from "./fiberRun.ts"
import { answersTo } from "./history.ts"
import { Memoised, type MemoisedOptions, type Snapshot } from "./memoised.ts"
import type { Node, Outcome } from "./node.ts"
import { causeOf, type Disagreement, type Frame, PlainPath } from "./plainPath.ts"
import { fiberOf, guardHolds, type Move, StepFailed } from "./system.ts"
import { differenceOf, takeBack, tryOut, type Witness } from "./witness.ts"
import { type Compared, differenceOfGuards, Witnesses } from "./witnesses.ts"

/** How many steps a comparison with plain re-execution goes on beyond the present state. */
const stepsBeyond = 40

/** How many steps plain re-execution may take: so many at once, and so many for each step of the search. */
const allowedAtOnce = 50_000
const allowedForEach = 0.5

/** To set a program up takes as long as so many steps. */
const setUpSteps = 20

/** See above. @throws Unsound, from whatever it is asked, when a rule is broken */
export class Paranoid extends Memoised {
  private readonly counts: Compared = { histories: 0, steps: 0, paths: 0 }
  private readonly program: Program
  /** The states from the first one, or the one restored, to the present one, which is at `depth`. */
  private readonly frames: Array<Frame> = []
  /** The way to each state that was taken down. */
  private readonly roads = new WeakMap<Snapshot, Frame>()
  private readonly witnesses: Witnesses
  /** Nodes by number, and the pairs of them that met. */
  private readonly numbers = new Map<Node, number>()
  private readonly pairs = new Set<number>()
  /** What the last step came to. */
  private performed: Outcome["result"] = undefined
  private somethingNew = false
  /** Whether a comparison goes on beyond the state of the search. */
  private beyond = false
  private stepsAnew = 0
  /** How many steps plain re-execution has taken. */
  private plainSteps = 0

  constructor(program: Program, options: MemoisedOptions = {}) {
    super(program, options)
    this.program = program
    this.witnesses = new Witnesses(this.instance, this, this.counts)
  }

  override get compared(): Compared {
    return this.counts
  }

  override moves(): ReadonlyArray<Move> {
    const moves = super.moves()
    this.present.moves = moves
    return moves
  }

  override countWays(ways: Array<number>): number {
    this.moves()
    return super.countWays(ways)
  }

  /** Every move is made, and compared. */
  protected override get mayLookAhead(): boolean {
    return false
  }

  override take(move: Move): ReadonlyArray<Violation> {
    const violations = super.take(move)
    this.judgeAnew()
    return violations
  }

  override step(move: Move): ReadonlyArray<Violation> {
    const previous = this.present
    const mover = this.node(fiberOf(move))
    this.somethingNew = false
    const violations = super.step(move)
    this.frames[this.depth] = this.frameAfter(previous, move)
    for (const node of previous.at) if (this.witnesses.follow(node)) this.somethingNew = true
    for (const node of this.at) this.witnesses.of(node)
    if (this.beyond) return violations
    this.stepsAnew++
    const met = this.meet(mover, previous.at)
    if (this.somethingNew && this.mayTake(2)) this.comparePath(fiberOf(move), stepsBeyond)
    else if (met && this.mayTake(1)) this.comparePath(fiberOf(move), 0)
    return violations
  }

  override judge(): ReadonlyArray<Violation> {
    const violations = super.judge()
    this.judgeAnew()
    return violations
  }

  override end(): ReadonlyArray<Violation> {
    if (this.mayTake(1)) this.comparePath(0, 0)
    return super.end()
  }

  override snapshot(): Snapshot {
    const snapshot = super.snapshot()
    this.roads.set(snapshot, this.present)
    return snapshot
  }

  override restore(snapshot: Snapshot): void {
    super.restore(snapshot)
    const road = this.roads.get(snapshot)
    if (road === undefined) throw new Error("the state was not taken down here")
    this.frames[0] = road
  }

  /** Paths do this better: they go on when the fiber waits, and they are taken whenever something new is read. */
  protected override compareAlone(): void {}

  override canPerform(node: Node): boolean {
    const leaves = node.guard?.leaves
    const can = super.canPerform(node)
    if (leaves === undefined) return can
    if (leaves !== node.guard?.leaves) this.witnesses.note(node, this.present.entries, { holds: can })
    const own = this.nodes.parked(node)
    const compare = (run: FiberRun, operation: Operation | undefined, witness: Witness | undefined) => {
      if (operation === undefined) return
      const difference = differenceOfGuards(can, guardHolds(this.instance, run, operation))
      if (difference !== undefined) this.witnesses.blame(node, witness, difference)
    }
    compare(own.run, own.operation, undefined)
    for (const witness of this.witnesses.of(node)) compare(witness.run, witness.operation, witness)
    return can
  }

  protected override perform(node: Node, option: number): Outcome {
    const { instance } = this
    const { store } = instance
    const leaves = node.outcomes[option]?.leaves
    if (leaves === undefined) return this.noted(super.perform(node, option))
    const { run, operation } = this.nodes.parked(node)
    const again = tryOut(instance, run, operation, option, node.monitors, this)
    const others = this.witnesses.of(node).flatMap((witness) => {
      if (witness.operation === undefined) return []
      return [{ witness, effects: tryOut(instance, witness.run, witness.operation, option, node.monitors, this) }]
    })
    this.counts.steps += 1 + others.length
    const { mark } = store
    const outcome = super.perform(node, option)
    const changes = takeBack(store, mark)
    const effects = { result: outcome.result, changes }
    for (const { witness, effects: second } of [{ witness: undefined, effects: again }, ...others]) {
      const difference = differenceOf(effects, second)
      if (difference !== undefined) this.witnesses.blame(node, witness, difference)
    }
    for (const [cell, { after }] of changes) store.put(cell, after)
    if (leaves !== node.outcomes[option]?.leaves) {
      this.somethingNew = true
      this.witnesses.note(node, this.present.entries, { option, effects })
    }
    return this.noted(outcome)
  }

  private noted(outcome: Outcome): Outcome {
    this.performed = outcome.result
    return outcome
  }

  private get present(): Frame {
    const { depth, frames } = this
    const frame = frames[depth] ?? this.frameAfter(undefined, 0)
    frames[depth] = frame
    return frame
  }

  private frameAfter(previous: Frame | undefined, move: Move): Frame {
    const entries = this.instance.store.cells.map(({ entry }) => entry)
    return { previous, move, result: this.performed, entries, at: [...this.at], moves: undefined }
  }

  /** Whether a fiber moves from a node, for the first time, while another is where it is. */
  private meet(mover: Node, at: ReadonlyArray<Node>): boolean {
    const before = this.pairs.size
    for (const other of at) this.pairs.add(this.numberOf(mover) * 2 ** 24 + this.numberOf(other))
    return this.pairs.size > before
  }

  private numberOf(node: Node): number {
    const number = this.numbers.get(node) ?? this.numbers.size
    this.numbers.set(node, number)
    return number
  }

  private mayTake(share: number): boolean {
    return this.plainSteps < share * (allowedAtOnce + allowedForEach * this.stepsAnew)
  }

  /** Takes the path to the present state by plain re-execution, and goes on from there with one fiber first. */
  private comparePath(fiber: number, steps: number): void {
    const { depth, last, tracker } = this
    const path = new PlainPath(this.program)
    this.counts.paths++
    this.plainSteps += setUpSteps
    const frames = [this.present]
    for (let { previous } = this.present; previous !== undefined; previous = previous.previous) frames.push(previous)
    frames.reverse()
    for (const [position, frame] of frames.entries()) {
      if (position > 0) this.plainSteps++
      this.expectNone(position > 0 ? path.follow(frame) : undefined, frames)
      if (frame.result instanceof StepFailed) return
      this.expectNone(path.compareState(frame), frames)
    }
    this.compareJudgement(path)
    this.beyond = true
    const { counting } = tracker.present
    tracker.present.counting = false
    for (let taken = 0; taken < steps; taken++) {
      const moves = this.moves()
      this.expectNone(path.compareState(this.present), frames)
      const move = moves.find((each) => fiberOf(each) === fiber) ?? moves[0]
      if (move === undefined) break
      this.step(move)
      frames.push(this.present)
      this.plainSteps++
      this.expectNone(path.follow(this.present), frames)
      if (this.rest === "broken") break
    }
    while (this.depth > depth) this.undo()
    tracker.present.counting = counting
    this.last = last
    this.beyond = false
  }

  private expectNone(disagreement: Disagreement | undefined, frames: ReadonlyArray<Frame>): void {
    if (disagreement === undefined) return
    const { fiber, name, label, path, what, memoised, plain } = disagreement
    const node = frames[path.length]?.at[fiber]
    const cause = node === undefined ? "" : `: ${causeOf(this.program, disagreement, answersTo(node))}`
    const steps = path.length === 1 ? "1 step" : `${path.length} steps`
    throw new Unsound(
      `fiber ${name}, at ${label} after ${steps} of one schedule: ${what} is ${plain} by plain re-execution, and ${memoised} by the results of its steps alone${cause}`,
    )
  }

  /** Compares what properties say of the present state with what they say of it under plain re-execution. */
  private compareJudgement(path: PlainPath): void {
    const plain = path.judgement()
    this.tracker.evaluatedAnew().forEach((says, position) => {
      if (Object.is(says, plain[position])) return
      throw this.impure(position, `${show(says)}, and ${show(plain[position])} in the same state of plain re-execution`)
    })
  }

  /** Compares what properties are known to say of the present state with what they say when they are asked again. */
  private judgeAnew(): void {
    const anew = this.tracker.evaluatedAnew()
    this.tracker.remembered().forEach((says, position) => {
      if (says === undefined || Object.is(says, anew[position])) return
      throw this.impure(position, `${show(says)}, and ${show(anew[position])} when it is asked again in the same state`)
    })
  }

  private impure(position: number, how: string): Unsound {
    const id = this.tracker.exercised[position]?.id
    return new Unsound(`property ${id} says ${how}: it must depend on nothing but cells`)
  }
}
