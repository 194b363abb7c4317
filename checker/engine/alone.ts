/** Compares a fiber that was learnt with another one: the rules that a single run of a fiber cannot show to be kept. */
import type { Instance } from "../scenario/program.ts"
import type { FiberRun } from "./fiberRun.ts"
import { changeable, expectSame, failed, hasFailed, type Node } from "./node.ts"
import type { Nodes } from "./nodes.ts"
import type { Operations } from "./operations.ts"
import { guardHolds, perform, StepFailed } from "./system.ts"
import type { Whereabouts } from "./whereabouts.ts"

/** How many steps a fiber goes on alone in a comparison. */
const stepsAlone = 40

/**
 * Lets a fiber go on alone from the present state, as it was learnt and as another one in turn, and compares what their
 * steps do to the cells and return. The state then is what it was.
 *
 * A fresh one was told the same: a body that assigned a variable for a later step when it read something else shows here,
 * for the learnt fiber remembers what was read first. One with another past stands at the same node by a promise of a
 * checkpoint or a procedure: what that should have named shows here.
 *
 * @param other it goes on
 * @throws NotDeterministic when they differ
 */
export const compareAlone = (
  from: Node,
  other: FiberRun,
  instance: Instance,
  nodes: Nodes,
  operations: Operations,
  others: Whereabouts,
): void => {
  const { store } = instance
  const { mark: start } = store
  let node = from
  for (let taken = 0; taken < stepsAlone; taken++) {
    expectSame(other, node)
    const { standing } = other
    if (standing.kind !== "parked") break
    if (standing.operation.kind !== "step" && standing.operation.kind !== "choice") break
    const { run, operation } = nodes.parked(node)
    const enabled = guardHolds(instance, other, standing.operation)
    if (guardHolds(instance, run, operation) !== enabled) throw changeable(node)
    if (!enabled) break
    const { mark } = store
    const result = perform(instance, other, standing.operation, 0, node.monitors, others)
    const { low, high } = store
    store.rollback(mark)
    const { result: learnt } = operations.run(node, 0)
    const next = learnt instanceof StepFailed ? failed(node) : nodes.after(node, learnt)
    const same = result instanceof StepFailed ? hasFailed(next) : next === node.next.get(result)
    if (!same || store.low !== low || store.high !== high) throw changeable(node)
    if (result instanceof StepFailed) break
    other.answer(result)
    node = next
  }
  store.rollback(start)
}
