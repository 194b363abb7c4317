/** What strategies go through a program with, and back. */

import { digestText, type Hash } from "../program/plain.ts"
import { addTimes } from "../property/coverage.ts"
import type { Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"
import { notTheSame, Unsound } from "./fault.ts"
import { Memoised } from "./memoised.ts"
import { execute, type PlainExecution } from "./plainExecution.ts"
import { fiberOf, type Move, type Others, type System } from "./system.ts"
import type { Compared } from "./witnesses.ts"

/** A program that is executed step by step and can be taken back. */
export interface Engine extends System, Others {
  /** How many moves lead to the present state. */
  readonly depth: number
  /**
   * Counts the moves that are possible now, by fiber.
   *
   * @param ways gets these numbers, and no more
   * @returns how many fibers can go on
   */
  countWays(ways: Array<number>): number
  /** Takes the last move back. */
  undo(): void
  /** What it returns goes to the present state, again and again. No move can be taken back then. */
  wayBack(): () => void
  /** How often each property was evaluated with its premise true, so far. */
  readonly exercised: ReadonlyArray<{ readonly id: string; readonly times: number }>
  /** How often steps were taken, by name; 0 for those that fibers have reached and never took. */
  stepsTaken(): ReadonlyMap<string, number>
  /** What was checked on the way, where the engine checks the rules that it rests on. */
  readonly compared?: Compared | undefined
}

/** The engine for a program: it remembers what it learns of steps; without them it runs the program again to go back. */
export const engineOf = (program: Program): Engine =>
  program.inSteps ? new Memoised(program) : new ReExecution(program)

/** Goes back by starting again. */
class ReExecution implements Engine {
  private readonly program: Program
  private readonly path: Array<Move> = []
  /** By depth: what its fiber stood at when the move was made. */
  private readonly names: Array<string | undefined> = []
  private readonly steps = new Map<string, number>()
  private readonly counted: Array<{ readonly id: string; times: number }> = []
  private execution: PlainExecution
  /** Whether the execution is where the path leads to. */
  private isThere = true
  private hash: Hash | undefined

  constructor(program: Program) {
    this.program = program
    this.execution = execute(program)
  }

  private get there(): PlainExecution {
    if (this.isThere) return this.execution
    this.count()
    this.execution = execute(this.program)
    this.execution.begin()
    for (const [depth, move] of this.path.entries()) {
      const same = this.execution.operation(fiberOf(move))?.name === this.names[depth]
      if (!same || !this.execution.moves().includes(move)) throw new Unsound(notTheSame(depth + 1).message)
      this.execution.follow(move)
    }
    this.isThere = true
    return this.execution
  }

  private count(): void {
    for (const [position, { id, times }] of this.execution.tracker.exercised.entries()) {
      const total = this.counted[position]
      if (total === undefined) this.counted.push({ id, times })
      else total.times += times
    }
  }

  get exercised() {
    return this.execution.tracker.exercised.map(({ id, times }, position) => ({
      id,
      times: times + (this.counted[position]?.times ?? 0),
    }))
  }

  stepsTaken(): ReadonlyMap<string, number> {
    return this.steps
  }

  get depth(): number {
    return this.path.length
  }

  undo(): void {
    if (this.path.pop() === undefined) throw new Error("there is no move to take back")
    this.isThere = false
    this.hash = undefined
  }

  wayBack(): () => void {
    const path = [...this.path]
    return () => {
      this.path.splice(0, this.path.length, ...path)
      this.isThere = false
      this.hash = undefined
    }
  }

  take(move: Move): ReadonlyArray<Violation> {
    const { there } = this
    const name = there.operation(fiberOf(move))?.name
    addTimes(this.steps, name, 1)
    this.names[this.path.length] = name
    const violations = there.take(move)
    this.path.push(move)
    this.hash = undefined
    return violations
  }

  countWays(ways: Array<number>): number {
    const { fibers } = this.there
    ways.length = fibers.length
    ways.fill(0)
    let able = 0
    for (const move of this.there.moves()) {
      const fiber = fiberOf(move)
      if (ways[fiber] === 0) able++
      ways[fiber] = (ways[fiber] ?? 0) + 1
    }
    return able
  }

  begin() {
    return this.there.begin()
  }
  end() {
    return this.there.end()
  }
  moves() {
    return this.there.moves()
  }
  operation(fiber: number) {
    return this.there.operation(fiber)
  }
  hasEnded(fiber: number) {
    return this.there.hasEnded(fiber)
  }
  place(fiber: number) {
    return this.there.place(fiber)
  }
  get width() {
    return this.there.width
  }
  valueOf(fiber: string) {
    return this.there.valueOf(fiber)
  }
  isRunning(fiber: string) {
    return this.there.isRunning(fiber)
  }
  actor(fiber: number) {
    return this.there.actor(fiber)
  }
  deadlock() {
    return this.there.deadlock()
  }
  get rest() {
    return this.there.rest
  }
  get instance() {
    return this.there.instance
  }
  get fibers() {
    return this.there.fibers
  }
  get tracker() {
    return this.there.tracker
  }

  /** Of two runs it is not known that they lead to one state: each is its own. */
  private get fingerprint(): Hash {
    this.hash ??= digestText(this.path.join())
    return this.hash
  }
  get low() {
    return this.fingerprint.low
  }
  get high() {
    return this.fingerprint.high
  }
}
