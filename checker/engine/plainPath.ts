/**
 * A path that the memoised engine took, taken again by plain re-execution, which is the definition: where the two come
 * apart, and whose doing that is.
 */
import { labelOf, type Operation } from "../program/operation.ts"
import { canonicalText, type Plain, show } from "../program/plain.ts"
import type { Entry } from "../program/store.ts"
import type { NamedFiber, Program } from "../scenario/program.ts"
import { Execution } from "./execution.ts"
import { FiberRun } from "./fiberRun.ts"
import { type Answer, interruption } from "./history.ts"
import type { Node } from "./node.ts"
import { fiberOf, guardHolds, type Move, monitorsOf, optionOf, StepFailed } from "./system.ts"
import { describeResult, describeStanding, forgettingOf, type Past, tryOut } from "./witness.ts"

/** A state on a path as the memoised engine knows it, and the move that led there. */
export interface Frame {
  /** The state before; `undefined` for the first one. */
  readonly previous: Frame | undefined
  readonly move: Move
  readonly result: Plain | StepFailed
  readonly entries: ReadonlyArray<Entry>
  readonly at: ReadonlyArray<Node>
  /** The moves that are possible, once they were asked for. */
  moves: ReadonlyArray<Move> | undefined
}

/** Where plain re-execution comes apart from the memoised engine. */
export interface Disagreement {
  /** The fiber that it is about, by position and name, and the step at which it stands before. */
  readonly fiber: number
  readonly name: string
  readonly label: string
  /** The moves before that step. */
  readonly path: ReadonlyArray<Move>
  /** `cell x`, `the result`, or what else differs, and what it is to each. */
  readonly what: string
  readonly memoised: string
  readonly plain: string
}

/** Plain re-execution along a path. */
export class PlainPath {
  private readonly execution: Execution
  private readonly path: Array<Move> = []

  constructor(program: Program) {
    this.execution = new Execution(program)
  }

  /** Compares where the fibers stand in the present state, and which moves are possible. */
  compareState(frame: Frame): Disagreement | undefined {
    const { execution } = this
    for (const [fiber, node] of frame.at.entries()) {
      const memoised = standingOf(node)
      const plain = this.standing(fiber)
      if (memoised !== plain) return this.disagreement(fiber, "its next step", memoised, plain)
    }
    if (frame.moves === undefined) return undefined
    const possible = execution.moves()
    const odd = [...frame.moves, ...possible].find((move) => !frame.moves?.includes(move) || !possible.includes(move))
    if (odd === undefined) return undefined
    const can = (moves: ReadonlyArray<Move>) => (moves.includes(odd) ? "true" : "false")
    return this.disagreement(fiberOf(odd), "whether its step is possible", can(frame.moves), can(possible))
  }

  /** Makes the move of a frame, and compares what comes of it. */
  follow(frame: Frame): Disagreement | undefined {
    const { execution } = this
    const fiber = fiberOf(frame.move)
    if (!execution.moves().includes(frame.move)) {
      return this.disagreement(fiber, "whether its step is possible", "true", "false")
    }
    const before = this.standing(fiber)
    const broken = execution.follow(frame.move)
    const failed = execution.operation(fiber) === undefined && execution.actor(fiber)?.standing.kind === "parked"
    const [violation] = broken
    const result = failed && violation !== undefined ? new StepFailed(violation) : execution.lastResult
    const [memoised, plain] = [describeResult(frame.result), describeResult(result)]
    if (memoised !== plain) return this.disagreement(fiber, "the result", memoised, plain, before)
    for (const [position, cell] of execution.instance.store.cells.entries()) {
      const content = frame.entries[position]?.content
      if (Object.is(content, cell.entry.content)) continue
      return this.disagreement(fiber, `cell ${cell.name}`, show(content), show(cell.entry.content), before)
    }
    this.path.push(frame.move)
    return undefined
  }

  /** What the properties say of the present state, by position. */
  judgement(): ReadonlyArray<Plain> {
    return this.execution.tracker.evaluatedAnew()
  }

  private standing(fiber: number): string {
    const operation = this.execution.operation(fiber)
    if (operation !== undefined) return labelOf(operation)
    return this.execution.actor(fiber)?.standing.kind === "ended" ? atEnd : atError
  }

  private disagreement(
    fiber: number,
    what: string,
    memoised: string,
    plain: string,
    label = this.standing(fiber),
  ): Disagreement {
    const name = this.execution.fibers[fiber]?.name ?? `${fiber}`
    return { fiber, name, label, path: [...this.path], what, memoised, plain }
  }
}

const atEnd = "its end"
const atError = "an error"

const standingOf = ({ operation, ended }: Node): string => {
  if (operation !== undefined) return labelOf(operation)
  return ended ? atEnd : atError
}

/**
 * Whose doing a disagreement is, as a sentence: found by taking the path again with a second fiber beside the one in
 * question, which is told the same results and runs none of the bodies, or one of them.
 *
 * @param learnt the answers along which the memoised engine learnt the node at which it has the fiber
 */
export const causeOf = (program: Program, { fiber, path }: Disagreement, learnt: ReadonlyArray<Answer>): string => {
  const plain = takeAlong(program, path, fiber, "nothing").own
  const told = takeAlong(program, path, fiber, undefined)
  if (told.beside === plain) {
    const asLearnt = takeAs(program, path, fiber, learnt)
    const forgetting = told.past && asLearnt.past && forgettingOf(asLearnt.past, told.past)
    if (forgetting !== undefined && asLearnt.beside !== plain) return forgetting.why
  }
  const sharing = whoShares(program, path, fiber, plain)
  if (sharing !== undefined) {
    return `it uses a variable that fiber ${sharing.name} changes in or after ${sharing.label}: fibers share nothing but cells`
  }
  const keeper = told.steps.findIndex((_, ran) => takeAlong(program, path, fiber, ran).beside === plain)
  if (keeper >= 0) {
    return `the body or guard of ${told.steps[keeper]} keeps something for later, in a variable outside of it`
  }
  return told.beside === plain
    ? "the body or guard of a step keeps something for later, in a variable outside of it"
    : "it uses a variable that other code changes: fibers share nothing but cells"
}

interface Along {
  /** What the fiber, and the second one, do at the end of the path. */
  readonly own: string
  readonly beside: string
  /** How the second one came there. */
  readonly past: Past | undefined
  /** The labels of the fiber's steps on the path. */
  readonly steps: ReadonlyArray<string>
}

/** @param ran the number of the step whose body the second fiber runs too; `"nothing"` for no second fiber at all */
const takeAlong = (
  program: Program,
  path: ReadonlyArray<Move>,
  fiber: number,
  ran: number | "nothing" | undefined,
): Along => {
  const execution = new Execution(program)
  const steps: Array<string> = []
  const answers: Array<Answer> = []
  let of: NamedFiber | undefined
  let beside: FiberRun | undefined
  const keepUp = () => {
    const named = execution.fibers[fiber]
    if (ran === "nothing" || named === of || named === undefined) return
    of = named
    beside = new FiberRun(named)
    answers.length = 0
  }
  keepUp()
  for (const move of path) {
    const operation = execution.operation(fiberOf(move))
    const own = fiberOf(move) === fiber
    if (own && steps.length === ran && beside !== undefined) behaviour(execution, beside, optionOf(move))
    if (operation === undefined) break
    if (own) steps.push(labelOf(operation))
    const interrupted = operation.kind === "interrupt" && operation.args[0] === of?.name
    execution.follow(move)
    if (beside?.standing.kind === "parked") {
      if (own) answers.push(execution.lastResult)
      else if (interrupted && !beside.interrupted) answers.push(interruption)
      if (answers.length > beside.history.told) beside.answer(answers.at(-1))
    }
    keepUp()
  }
  const run = execution.actor(fiber)
  return {
    own: run === undefined ? "" : behaviour(execution, run, 0),
    beside: beside === undefined ? "" : behaviour(execution, beside, 0),
    past: beside && { history: beside.history, answers, origin: undefined },
    steps,
  }
}

/** What a fiber does at the end of the path if it is told what the memoised engine's was told. */
const takeAs = (
  program: Program,
  path: ReadonlyArray<Move>,
  fiber: number,
  learnt: ReadonlyArray<Answer>,
): Pick<Along, "beside" | "past"> => {
  const execution = new Execution(program)
  followAll(execution, path)
  const named = execution.fibers[fiber]
  if (named === undefined) return { beside: "", past: undefined }
  const run = new FiberRun(named)
  for (const answer of learnt) if (run.standing.kind === "parked") run.answer(answer)
  const past = { history: run.history, answers: learnt, origin: undefined }
  return { beside: behaviour(execution, run, 0), past }
}

/** The last step of another fiber that changes what the fiber does, on the cells as they are at the end of the path. */
const whoShares = (
  program: Program,
  path: ReadonlyArray<Move>,
  fiber: number,
  plain: string,
): { readonly name: string; readonly label: string } | undefined => {
  const ended = new Execution(program)
  followAll(ended, path)
  const contents = ended.instance.store.cells.map(({ entry }) => entry.content)
  const execution = new Execution(program)
  const { store } = execution.instance
  const behaviourThen = () => {
    const run = execution.actor(fiber)
    if (run === undefined) return ""
    const { mark } = store
    for (const [position, cell] of store.cells.entries()) store.put(cell, cell.entryOf(contents[position]))
    const text = behaviour(execution, run, 0)
    store.rollback(mark)
    return text
  }
  let found: { readonly name: string; readonly label: string } | undefined
  let before = behaviourThen()
  for (const move of path) {
    const operation = execution.operation(fiberOf(move))
    const name = execution.fibers[fiberOf(move)]?.name
    if (operation === undefined) break
    execution.follow(move)
    const after = behaviourThen()
    if (fiberOf(move) === fiber) found = undefined
    else if (before !== plain && after === plain && name !== undefined) {
      found = { name, label: labelOf(operation) }
    }
    before = after
  }
  return found
}

/** Follows moves as far as they go: a program that breaks the rules may take another way the second time. */
const followAll = (execution: Execution, path: ReadonlyArray<Move>): void => {
  for (const move of path) {
    if (execution.operation(fiberOf(move)) === undefined) return
    execution.follow(move)
  }
}

/** What a fiber does in the present state, as a text: equal for equal behaviour. */
const behaviour = (execution: Execution, run: FiberRun, option: number): string => {
  const { standing } = run
  if (standing.kind !== "parked") return describeStanding(standing)
  const { operation } = standing
  const place = describeStanding(standing)
  if (!canTryOut(operation)) return place
  if (!guardHolds(execution.instance, run, operation)) return `${place}, waiting`
  const monitors = monitorsOf(execution.instance, operation)
  const { result, changes } = tryOut(execution.instance, run, operation, option, monitors, execution)
  const written = [...changes].map(([{ name }, { after }]) => `${name}=${canonicalText(after.content)}`).sort()
  return [place, describeResult(result), ...written].join("\n")
}

/** Forks, joins and interruptions do nothing that a fiber could hide. */
const canTryOut = ({ kind }: Operation): boolean => kind === "step" || kind === "choice"
