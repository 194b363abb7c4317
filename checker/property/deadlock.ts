import { describeWait } from "../engine/sections.ts"
import { guardReads, type System, unended, waitingFor } from "../engine/system.ts"
import { labelOf, type Operation } from "../program/operation.ts"
import { show } from "../program/plain.ts"
import type { StoredCell } from "../program/store.ts"

/** The step that wrote a cell last. */
export interface LastWrite {
  readonly fiber: string
  readonly operation: Operation
}

type LastWrites = ReadonlyMap<StoredCell, LastWrite>

/**
 * Who waits for what, in a state without moves: for each fiber the step it waits in, the code it is in, and what keeps it
 * waiting: what the step says itself, or the cells that its guard reads, with their contents and, where known, who wrote
 * them last. Then who waits for whom in a circle, or for a fiber that has ended.
 */
export const describeDeadlock = (system: System, lastWrites: LastWrites = new Map()): string => {
  const waitsFor = new Map<string, ReadonlyArray<string>>()
  const texts = unended(system).map(({ name, fiber, operation }) => {
    const { text, others } = waitOf(system, name, fiber, operation, lastWrites)
    waitsFor.set(name, others)
    const inside = operation.within === undefined ? "" : `, called in ${operation.within.join(" in ")},`
    return `${name} waits in ${labelOf(operation)}${inside} for ${text}`
  })
  return [...texts, ...describeWaits(waitsFor)].join("; ")
}

/** What a fiber waits for, in words, and the fibers that have to do something before it. */
const waitOf = (
  system: System,
  name: string,
  fiber: number,
  operation: Operation,
  lastWrites: LastWrites,
): { readonly text: string; readonly others: ReadonlyArray<string> } => {
  if (operation.kind === "join") return { text: "its end", others: operation.args }
  const wait = waitingFor(system, fiber)
  if (wait !== undefined && wait.hindrances.length > 0) {
    return { text: describeWait(wait.on, wait.hindrances), others: wait.hindrances.map(({ fiber }) => fiber) }
  }
  const cells = guardReads(system, fiber)
  return { text: describeReads(cells, lastWrites), others: writersOf(name, operation, cells, lastWrites) }
}

const describeReads = (cells: ReadonlyArray<StoredCell>, lastWrites: LastWrites): string => {
  const reads = cells.map((cell) => {
    const last = lastWrites.get(cell)
    const by = last === undefined ? "" : `, last written by ${last.fiber} in ${labelOf(last.operation)}`
    return `${cell.name} (is ${show(cell.entry.content)}${by})`
  })
  return reads.length === 0 ? "nothing that could change" : reads.join(" and ")
}

/**
 * Who wrote last what a guard reads. Of its own writes one by the same step counts: who takes a lock twice waits for
 * itself, but who entered itself in a queue waits for somebody to take it out.
 */
const writersOf = (
  name: string,
  operation: Operation,
  cells: ReadonlyArray<StoredCell>,
  lastWrites: LastWrites,
): ReadonlyArray<string> =>
  cells.flatMap((cell) => {
    const last = lastWrites.get(cell)
    if (last === undefined) return []
    return last.fiber !== name || labelOf(last.operation) === labelOf(operation) ? [last.fiber] : []
  })

/** The fibers that wait, each with those whose end it waits for, or that wrote last what its guard reads. */
type WaitsFor = ReadonlyMap<string, ReadonlyArray<string>>

/** A shortest circle of fibers that wait for one another; where there is none, who waits for fibers that have ended. */
const describeWaits = (waitsFor: WaitsFor): ReadonlyArray<string> => {
  const circles = [...waitsFor.keys()]
    .map((name) => circleThrough(name, waitsFor))
    .filter((circle) => circle !== undefined)
  const [shortest] = circles.sort((a, b) => a.length - b.length)
  if (shortest !== undefined) {
    const [first = ""] = shortest
    if (shortest.length === 1) return [`${first} waits for itself`]
    return [shortest.map((name, i) => `${name} waits for ${shortest[i + 1] ?? first}`).join(", ")]
  }
  return [...waitsFor].flatMap(([name, others]) => {
    const [ended] = others
    return ended !== undefined && others.every((other) => !waitsFor.has(other))
      ? [`${name} waits for ${ended}, which has ended`]
      : []
  })
}

/** A shortest circle in which a fiber waits: itself, the one it waits for, and so on. Breadth-first. */
const circleThrough = (name: string, waitsFor: WaitsFor): ReadonlyArray<string> | undefined => {
  const seen = new Set<string>()
  let paths: ReadonlyArray<ReadonlyArray<string>> = [[name]]
  while (paths.length > 0) {
    const longer: Array<ReadonlyArray<string>> = []
    for (const path of paths) {
      for (const next of waitsFor.get(path.at(-1) ?? "") ?? []) {
        if (next === name) return path
        if (seen.has(next) || !waitsFor.has(next)) continue
        seen.add(next)
        longer.push([...path, next])
      }
    }
    paths = longer
  }
  return undefined
}
