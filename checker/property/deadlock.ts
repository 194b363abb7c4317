import { guardReads, type System, unended } from "../engine/system.ts"
import { labelOf, type Operation } from "../program/operation.ts"
import { show } from "../program/plain.ts"
import type { StoredCell } from "../program/store.ts"

/** The step that wrote a cell last. */
export interface LastWrite {
  readonly fiber: string
  readonly operation: Operation
}

/**
 * Who waits for what, in a state without moves: for each fiber the step it waits in, the cells its guard reads with
 * their contents, and, where known, who wrote them last.
 */
export const describeDeadlock = (system: System, lastWrites?: ReadonlyMap<StoredCell, LastWrite>): string =>
  unended(system)
    .map(({ name, fiber, operation }) => {
      const reads = guardReads(system, fiber).map((cell) => {
        const last = lastWrites?.get(cell)
        const by = last === undefined ? "" : `, last written by ${last.fiber} in ${labelOf(last.operation)}`
        return `${cell.name} (is ${show(cell.entry.content)}${by})`
      })
      const on = reads.length === 0 ? "nothing that could change" : reads.join(" and ")
      return `${name} waits in ${labelOf(operation)} for ${operation.kind === "join" ? "its end" : on}`
    })
    .join("; ")
