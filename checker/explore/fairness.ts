/** Weak fairness of fibers, in strongly connected parts of a graph of states: see `liveness.ts`. */
import type { StateGraph } from "./graph.ts"

/** A part of a graph of states: which states are in it. */
export type Inside = (state: number) => boolean

/** The fibers that can go on in a state. */
const enabledIn = (graph: StateGraph, state: number): ReadonlySet<number> => {
  const fibers = new Set<number>()
  for (let edge = graph.begin(state); edge < graph.end(state); edge++) fibers.add(graph.fiber(edge))
  return fibers
}

/**
 * Whether some fair run stays in a strongly connected component for ever: whether each fiber that can go on in all of
 * its states has a step that stays inside.
 */
export const isFair = (graph: StateGraph, component: ReadonlyArray<number>, inside: Inside): boolean => {
  const [first] = component
  if (first === undefined) return false
  const always = new Set(enabledIn(graph, first))
  const moving = new Set<number>()
  for (const state of component) {
    const enabled = enabledIn(graph, state)
    for (const fiber of always) if (!enabled.has(fiber)) always.delete(fiber)
    for (let edge = graph.begin(state); edge < graph.end(state); edge++) {
      if (inside(graph.targets.at(edge))) moving.add(graph.fiber(edge))
    }
  }
  return [...always].every((fiber) => moving.has(fiber))
}

/**
 * The edges of a short fair cycle through a state of a fair component: from place to place, each time to the nearest
 * where a fiber that has had no turn takes a step or cannot go on, and back. Pauses after each edge that it looks at.
 */
export function* fairCycle(graph: StateGraph, start: number, inside: Inside): Generator<void, ReadonlyArray<number>> {
  const cycle: Array<number> = []
  /** The fibers that could go on in all states of the cycle so far, and took no step. */
  let starved = enabledIn(graph, start)
  let at = start
  while (starved.size > 0) {
    const path = yield* shortestPath(graph, at, inside, (edge) => {
      if (starved.has(graph.fiber(edge))) return true
      const enabled = enabledIn(graph, graph.targets.at(edge))
      return [...starved].some((fiber) => !enabled.has(fiber))
    })
    for (const edge of path) {
      at = graph.targets.at(edge)
      const enabled = enabledIn(graph, at)
      starved = new Set([...starved].filter((fiber) => fiber !== graph.fiber(edge) && enabled.has(fiber)))
    }
    cycle.push(...path)
  }
  if (at === start) return cycle
  return [...cycle, ...(yield* shortestPath(graph, at, inside, (edge) => graph.targets.at(edge) === start))]
}

/** The edges of a shortest path inside, of one edge at least, whose last edge is a goal. Breadth-first. */
function* shortestPath(
  graph: StateGraph,
  from: number,
  inside: Inside,
  isGoal: (edge: number) => boolean,
): Generator<void, ReadonlyArray<number>> {
  /** For each state that was reached, the edge that it was reached by and the state that is before. */
  const reached = new Map<number, { readonly edge: number; readonly before: number } | undefined>([[from, undefined]])
  const pathTo = (state: number): ReadonlyArray<number> => {
    const path: Array<number> = []
    for (let step = reached.get(state); step !== undefined; step = reached.get(step.before)) path.push(step.edge)
    return path.reverse()
  }
  for (const state of reached.keys()) {
    for (let edge = graph.begin(state); edge < graph.end(state); edge++) {
      yield
      const to = graph.targets.at(edge)
      if (!inside(to)) continue
      if (isGoal(edge)) return [...pathTo(state), edge]
      if (!reached.has(to)) reached.set(to, { edge, before: state })
    }
  }
  throw new Error("a strongly connected component has a state that cannot be reached in it")
}
