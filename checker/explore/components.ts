/** A directed graph: states by number, each with a range of edges. */
export interface Digraph {
  readonly size: number
  /** The numbers of a state's edges: from `begin` up to, not including, `end`. */
  begin(state: number): number
  end(state: number): number
}

/**
 * The strongly connected components in which there is a cycle, of the part of a graph that is reached from the roots
 * (Tarjan, "Depth-first search and linear graph algorithms", SIAM Journal on Computing 1972; here without recursion).
 * Yields each as soon as it is complete, and nothing, as a pause, from time to time.
 *
 * @param target where an edge leads; `undefined` where it is left out
 */
export function* components(
  graph: Digraph,
  roots: Iterable<number>,
  target: (edge: number) => number | undefined,
): Generator<ReadonlyArray<number> | undefined> {
  /** In which order states were reached, from 1; 0 for those that were not, and `left` behind their component. */
  const reached = new Uint32Array(graph.size)
  const left = 0xffffffff
  /** The earliest state known to be reachable that is in no complete component. */
  const lowest = new Uint32Array(graph.size)
  const nextEdge = new Uint32Array(graph.size)
  const path: Array<number> = []
  const open: Array<number> = []
  let count = 0

  const enter = (state: number) => {
    reached[state] = lowest[state] = ++count
    nextEdge[state] = graph.begin(state)
    path.push(state)
    open.push(state)
  }
  const lower = (state: number, to: number) => {
    lowest[state] = Math.min(lowest[state] ?? 0, to)
  }

  for (const root of roots) {
    if (reached[root] === 0) enter(root)
    for (let state = path.at(-1); state !== undefined; state = path.at(-1)) {
      yield
      const edge = nextEdge[state] ?? 0
      if (edge < graph.end(state)) {
        nextEdge[state] = edge + 1
        const to = target(edge)
        if (to === undefined) continue
        if (reached[to] === 0) enter(to)
        else if (reached[to] !== left) lower(state, reached[to] ?? 0)
        continue
      }
      path.pop()
      const above = path.at(-1)
      if (above !== undefined) lower(above, lowest[state] ?? 0)
      if (lowest[state] !== reached[state]) continue
      const component = open.splice(open.lastIndexOf(state))
      for (const member of component) reached[member] = left
      if (component.length > 1 || hasLoop(graph, state, target)) yield component
    }
  }
}

const hasLoop = (graph: Digraph, state: number, target: (edge: number) => number | undefined): boolean => {
  for (let edge = graph.begin(state); edge < graph.end(state); edge++) if (target(edge) === state) return true
  return false
}
