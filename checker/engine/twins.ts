/**
 * Checks that interchangeable names are: whatever is learnt of the program is learnt a second time with two of the
 * names in each other's place, and must come out the same but for them.
 *
 * By induction this vouches for every state that the search matches with another: the first state is its own twin; a
 * fiber's twin, told the twins of the answers, reaches the twin of its operation; a guard holds, a body writes and
 * returns, and a property says in the twin of a state the twin of what it does in the state. Swaps of neighbours are
 * enough, as they make up all permutations.
 */
import { labelOf, type Operation } from "../program/operation.ts"
import { type Plain, show } from "../program/plain.ts"
import type { Entry, Store, StoredCell } from "../program/store.ts"
import type { Instance } from "../scenario/program.ts"
import { NotInterchangeable } from "./fault.ts"
import { FiberRun } from "./fiberRun.ts"
import { answersTo, type History, interruption, type Way } from "./history.ts"
import type { Interchange } from "./interchange.ts"
import { type Renaming, renamingOf } from "./renaming.ts"
import { guardHolds, monitorsOf, type Others, perform, StepFailed } from "./system.ts"

/** What an operation did in a state. */
interface Done {
  readonly result: Plain | StepFailed
  readonly cells: ReadonlyArray<StoredCell>
  readonly entries: ReadonlyArray<Entry>
}

interface Swap {
  readonly names: string
  readonly rename: Renaming
  /** The cells that are others in the twin, with those. */
  readonly cells: ReadonlyArray<readonly [StoredCell, StoredCell]>
  /** The fibers whose twins were run, parked; by the way there. */
  readonly runs: WeakMap<Way, FiberRun>
}

export class Twins {
  private readonly instance: Instance
  private readonly store: Store
  private readonly swaps: ReadonlyArray<Swap>

  constructor(instance: Instance, interchange: Interchange) {
    this.instance = instance
    this.store = instance.store
    const byName = new Map(this.store.cells.map((cell) => [cell.name, cell]))
    this.swaps = interchange.swaps.map(([a, b]) => {
      const rename = renamingOf(
        new Map([
          [a, b],
          [b, a],
        ]),
      )
      // A cell without a twin is its own, until `start` says so.
      const cells = this.store.cells.map((cell) => [cell, byName.get(String(rename(cell.name))) ?? cell] as const)
      return { names: `${a} and ${b}`, rename, cells, runs: new WeakMap() }
    })
  }

  /** Checks the cells, the first state and the names of the fibers. */
  start(): void {
    const { fibers } = this.instance
    for (const { names, rename, cells } of this.swaps) {
      for (const [cell, twin] of cells) {
        if (twin.name !== rename(cell.name)) {
          throw unequal(names, `there is a cell ${cell.name} and no cell ${rename(cell.name)}`)
        }
        if (rename(cell.entry.content) === twin.entry.content) continue
        const [mine, other] = [show(cell.entry.content), show(twin.entry.content)]
        throw unequal(names, `in the first state cell ${cell.name} is ${mine} where cell ${twin.name} is ${other}`)
      }
      for (const { name } of fibers) {
        if (!fibers.some((fiber) => fiber.name === rename(name))) {
          throw unequal(names, `there is a fiber ${name} and no fiber ${rename(name)}`)
        }
      }
    }
  }

  /** Checks where a fiber has come to. */
  place(way: Way, run: FiberRun): void {
    for (const swap of this.swaps) {
      const twin = this.twinOf(swap, way)
      const mine = standingText(run, swap.rename)
      const other = standingText(twin, (value) => value)
      if (mine !== other) {
        const stood = standingText(run, (value) => value)
        throw unequal(swap.names, `${run.name} reaches ${stood} where ${twin.name} reaches ${other}`)
      }
    }
  }

  /** Checks what a guard said in the present state. */
  guard(way: Way, holds: boolean): void {
    for (const swap of this.swaps) {
      const { run, operation } = this.parked(swap, way)
      const same = this.inTwin(swap, () => guardHolds(this.instance, run, operation)) === holds
      if (!same) throw unequal(swap.names, `the guard of ${labelOf(operation)} is another for ${run.name}`)
    }
  }

  /** Checks what an operation did; the present state is the one before. */
  outcome(way: Way, of: Operation, option: number, done: Done, others: Others): void {
    for (const swap of this.swaps) {
      const { run, operation } = this.parked(swap, way)
      const monitors = monitorsOf(this.instance, operation)
      const after = new Map(swap.cells.map(([cell]) => [cell, cell.entry.content]))
      for (const [position, cell] of done.cells.entries()) after.set(cell, done.entries[position]?.content)
      this.inTwin(swap, () => {
        const chosen = twinOption(swap, of, option, operation)
        const result = perform(this.instance, run, operation, chosen, monitors, others)
        const where = `${labelOf(operation)} of fiber ${run.name}`
        if (result instanceof StepFailed || done.result instanceof StepFailed) {
          if (result instanceof StepFailed && done.result instanceof StepFailed) return
          throw unequal(swap.names, `${where} ${result instanceof StepFailed ? "fails" : "does not fail"}`)
        }
        if (result !== swap.rename(done.result)) throw unequal(swap.names, `${where} returns ${show(result)}`)
        for (const [cell, twin] of swap.cells) {
          if (twin.entry.content === swap.rename(after.get(cell))) continue
          throw unequal(swap.names, `${where} leaves ${show(twin.entry.content)} in cell ${twin.name}`)
        }
      })
    }
  }

  /**
   * Checks what a property says in the present state.
   *
   * @param says whether it says the twin of that in the twin of the state, which is present while it runs
   */
  property(id: string, says: (rename: Renaming) => boolean): void {
    for (const swap of this.swaps) {
      if (!this.inTwin(swap, () => says(swap.rename))) throw treatsSpecially(swap.names, id)
    }
  }

  /** Checks a relation between two values that were observed. */
  relation(id: string, holds: boolean, relate: (rename: Renaming) => boolean): void {
    for (const { names, rename } of this.swaps) if (relate(rename) !== holds) throw treatsSpecially(names, id)
  }

  /** Runs something in the twin of the present state. */
  private inTwin<A>(swap: Swap, run: () => A): A {
    const { store } = this
    const { mark } = store
    const twins = swap.cells.map(([cell, twin]) => [twin, twin.entryOf(swap.rename(cell.entry.content))] as const)
    try {
      for (const [twin, entry] of twins) if (twin.entry !== entry) store.put(twin, entry)
      return run()
    } finally {
      store.rollback(mark)
    }
  }

  private parked(swap: Swap, way: Way): { readonly run: FiberRun; readonly operation: Operation } {
    const run = this.twinOf(swap, way)
    if (run.standing.kind !== "parked") throw unequal(swap.names, `fiber ${run.name} is elsewhere`)
    return { run, operation: run.standing.operation }
  }

  /** The twin of a fiber, run along the twin of its way. */
  private twinOf(swap: Swap, way: Way): FiberRun {
    const known = swap.runs.get(way)
    if (known !== undefined) return known
    const run = this.startOf(swap, way)
    for (const answer of answersTo(way)) {
      if (run.standing.kind !== "parked")
        throw unequal(swap.names, `fiber ${run.name} does not go on as the other does`)
      run.answer(answer === interruption ? interruption : swap.rename(answer))
    }
    swap.runs.set(way, run)
    return run
  }

  private startOf(swap: Swap, { fiber, forkedBy }: Way): FiberRun {
    const name = String(swap.rename(fiber.name))
    if (forkedBy === undefined) {
      const twin = this.instance.fibers.find((other) => other.name === name)
      if (twin === undefined) throw unequal(swap.names, `there is no fiber ${name}`)
      return new FiberRun(twin)
    }
    const { run, operation } = this.parked(swap, forkedBy)
    if (operation.kind !== "fork") throw unequal(swap.names, `fiber ${run.name} does not fork ${name}`)
    const origin: History = run.history
    return new FiberRun(this.instance.forked(name, operation.effect), origin)
  }
}

const treatsSpecially = (names: string, id: string) => unequal(names, `property ${id} treats them differently`)

const unequal = (names: string, how: string) =>
  new NotInterchangeable(`${names} are declared interchangeable, and ${how}`)

/** Where a fiber stands, as a text, with other names. */
const standingText = ({ standing }: FiberRun, rename: Renaming): string => {
  switch (standing.kind) {
    case "ended":
      return standing.value === undefined ? "its end" : `its end with ${show(rename(standing.value))}`
    case "broken":
      return `an end that breaks ${standing.violation.property}`
    case "parked": {
      const { operation } = standing
      const args = operation.args.map((arg) => show(rename(arg)))
      const label = `${String(rename(operation.name))}(${args.join(", ")})`
      if (operation.kind !== "choice") return label
      return `${label}, a choice of ${operation.options.map((option) => show(rename(option))).toSorted()}`
    }
  }
}

/** The option of the twin's choice that is the twin of an option. */
const twinOption = (swap: Swap, of: Operation, option: number, twin: Operation): number => {
  if (of.kind !== "choice" || twin.kind !== "choice") return option
  const wanted = swap.rename(of.options[option])
  const found = twin.options.indexOf(wanted)
  if (found < 0) throw unequal(swap.names, `${labelOf(twin)} offers no ${show(wanted)}`)
  return found
}
