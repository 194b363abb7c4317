/**
 * Fibers that bear witness of what a node says: real ones, each run from the start along one history that leads to the
 * node. They are told the results and run none of the bodies, so what a body left behind for later is not there.
 */
import { labelOf, type Operation } from "../program/operation.ts"
import { type Plain, show } from "../program/plain.ts"
import type { Entry, Store, StoredCell } from "../program/store.ts"
import type { Instance, NamedFiber } from "../scenario/program.ts"
import type { Monitor } from "../scenario/scenario.ts"
import { FiberRun, type Standing } from "./fiberRun.ts"
import type { Answer, History, Since } from "./history.ts"
import { type Others, perform, StepFailed } from "./system.ts"

/** How a fiber came to where it is. */
export interface Past {
  readonly history: History
  /** All that it was told. */
  readonly answers: ReadonlyArray<Answer>
  /** The history of the fiber that forked it. */
  readonly origin: History | undefined
}

/** A fiber that was run along a history. */
export class Witness implements Past {
  readonly fiber: NamedFiber
  readonly origin: History | undefined
  readonly answers: ReadonlyArray<Answer>
  readonly run: FiberRun

  /** It stops earlier where the fiber has nothing left to be told. */
  constructor(fiber: NamedFiber, origin: History | undefined, answers: ReadonlyArray<Answer> = []) {
    this.fiber = fiber
    this.origin = origin
    this.answers = answers
    this.run = new FiberRun(fiber, origin)
    for (const answer of answers) {
      if (this.run.standing.kind !== "parked") break
      this.run.answer(answer)
    }
  }

  /** Another one, that is told one answer more. */
  after(answer: Answer): Witness {
    return new Witness(this.fiber, this.origin, [...this.answers, answer])
  }

  get history(): History {
    return this.run.history
  }

  get operation(): Operation | undefined {
    const { standing } = this.run
    return standing.kind === "parked" ? standing.operation : undefined
  }
}

/** Where a fiber forgot what it still needed, in words. */
export interface Forgetting {
  /** As a sentence goes on: `for a fiber that`. */
  readonly who: string
  readonly why: string
}

/**
 * Of two fibers whose histories are equivalent and that differ all the same: the checkpoint or procedure that makes them
 * so. That is the last one; or, if that is the head of a loop or a call to which they came differently, the last before
 * it; or the last of the fiber that forked them.
 */
export const forgettingOf = (one: Past, other: Past): Forgetting | undefined => {
  let [a, b] = [one.history.since, other.history.since]
  while (a?.entry !== undefined && b?.entry !== undefined) {
    if (a.kind === "call") {
      // Nothing is forgotten where something is called.
      a = a.entry.since
      b = b.entry.since
      continue
    }
    const [before, then] = [one.answers.slice(0, a.entry.told), other.answers.slice(0, b.entry.told)]
    if (before.length === then.length && before.every((answer, position) => Object.is(answer, then[position]))) break
    if (a.entry.since === undefined || b.entry.since === undefined) break
    a = a.entry.since
    b = b.entry.since
  }
  const since = b ?? other.origin?.since
  return since === undefined || since.kind === "call" ? undefined : forgettingAt(since)
}

const forgettingAt = ({ kind, label, last }: Since): Forgetting =>
  kind === "head" || last === undefined
    ? {
        who: `came to ${label} with the same live values and another past`,
        why: `${label} does not name a value that is still needed`,
      }
    : {
        who: `came from the procedure that ends behind ${labelOf(last)} with the same result and another past`,
        why: `the procedure that ends behind ${labelOf(last)} leaves something to its caller that its result does not say`,
      }

/** Where a fiber stands, in words: equal for equal standings. */
export const describeStanding = (standing: Standing): string => {
  switch (standing.kind) {
    case "parked": {
      const { operation } = standing
      const label = labelOf(operation)
      if (operation.kind === "choice") return `${label}, a choice of ${show(operation.options)}`
      return operation.kind === "step" && operation.guard !== undefined ? `${label}, which waits` : label
    }
    case "ended":
      return standing.value === undefined ? "its end" : `its end with ${show(standing.value)}`
    case "broken":
      return `an error: ${standing.violation.message}`
  }
}

/** What a cell had before an operation, and what it has after it. */
interface Change {
  readonly before: Entry
  readonly after: Entry
}

/** What performing an operation in a state does: its result, and the cells that are then different. */
export interface Effects {
  readonly result: Plain | StepFailed
  readonly changes: ReadonlyMap<StoredCell, Change>
}

/** What was written since the mark. It is taken back. */
export const takeBack = (store: Store, mark: number): Effects["changes"] => {
  const written = store.writtenSince(mark).map((cell) => [cell, cell.entry] as const)
  store.rollback(mark)
  return new Map(
    written.flatMap(([cell, after]) => (cell.entry === after ? [] : [[cell, { before: cell.entry, after }]])),
  )
}

/** Performs an operation in the present state, and takes it back. */
export const tryOut = (
  instance: Instance,
  run: FiberRun,
  operation: Operation,
  option: number,
  monitors: ReadonlyArray<Monitor[string]>,
  others: Others,
): Effects => {
  const { mark } = instance.store
  const result = perform(instance, run, operation, option, monitors, others)
  return { result, changes: takeBack(instance.store, mark) }
}

/** Something that is one value here and another there. */
export interface Difference {
  /** `the result`, or a cell. */
  readonly what: string
  readonly first: string
  readonly second: string
}

/** Where two effects on the same state differ. */
export const differenceOf = (first: Effects, second: Effects): Difference | undefined => {
  if (!sameResult(first.result, second.result)) {
    return { what: "the result", first: describeResult(first.result), second: describeResult(second.result) }
  }
  for (const [cell, { before, after }] of [...first.changes, ...second.changes]) {
    const contents = [first, second].map(({ changes }) => (changes.get(cell)?.after ?? before).content)
    if (contents.every((content) => Object.is(content, after.content))) continue
    const [one, other] = contents.map(show)
    return { what: `cell ${cell.name}`, first: one ?? "", second: other ?? "" }
  }
  return undefined
}

const sameResult = (one: Plain | StepFailed, other: Plain | StepFailed): boolean =>
  one instanceof StepFailed && other instanceof StepFailed
    ? one.violation.message === other.violation.message
    : Object.is(one, other)

/** A result in words. */
export const describeResult = (result: Plain | StepFailed): string =>
  result instanceof StepFailed ? `an error: ${result.violation.message}` : show(result)
