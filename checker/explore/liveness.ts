/**
 * Promises (`leadsTo`) under weak fairness, decided on the graph of all states.
 *
 * A promise p leads to q: in every run, whenever p holds, q holds then or later (Manna and Pnueli, "The Temporal Logic
 * of Reactive and Concurrent Systems", 1992, section 4.2: response). Runs without an end count only if they are weakly
 * fair (there, section 2.5: justice): no fiber can go on from some point for ever and never does. What a fiber can do
 * now and then only, again and again, it need not ever do. Choices have no fairness: one option may be taken always.
 *
 * A promise is pending from a state in which it is made up to the one in which it is kept. It is broken by a run that
 * ends with it pending, or by a fair run that has it pending for ever. The second, if there is one, there is as a lasso:
 * the states that a run visits infinitely often lie in one strongly connected component of the graph of the states
 * where the promise is pending and not kept. A component has a fair run that stays in it if and only if each fiber has a
 * step that stays inside, or cannot go on in one state at least: then a cycle through all of these steps and states is
 * fair, and if it is not so, then some fiber can go on in all states and with every step leaves (Baier and Katoen,
 * "Principles of Model Checking", 2008, sections 3.5 and 5.2; Lichtenstein and Pnueli, POPL 1985). As more states only
 * help, it is enough to look at maximal components, which Tarjan's algorithm finds.
 *
 * A state's future is in the state, as always in the search of states, so histories that a checkpoint merges and the
 * ends of fibers make one state here too. Runs in which a fiber breaks down are left to the properties of safety.
 */
import type { Move } from "../engine/system.ts"
import { isPromise, unkept } from "../property/promises.ts"
import type { Program } from "../scenario/program.ts"
import { components } from "./components.ts"
import { fairCycle, type Inside, isFair } from "./fairness.ts"
import { kept, made, StateGraph } from "./graph.ts"
import { decisive, type Ending, endingOf, type Search, type SearchOptions } from "./strategy.ts"

/**
 * The search of infinite runs, to follow a search of states that has ended by itself; nothing where nothing is promised.
 *
 * @param stateLimit how many states to keep at most
 */
export const livenessSearch = (program: Program, options: SearchOptions, stateLimit?: number): Search | undefined => {
  const wanted = program
    .start()
    .properties.some(
      (property) => isPromise(property) && (options.target === undefined || property.id === options.target),
    )
  return wanted ? new LivenessSearch(program, options, stateLimit) : undefined
}

class LivenessSearch implements Search {
  private readonly graph: StateGraph
  private readonly work: Generator<void, Ending>
  private ending: Ending | undefined

  constructor(program: Program, options: SearchOptions, stateLimit?: number) {
    this.graph = new StateGraph(program, options, stateLimit)
    this.work = decide(this.graph, options)
  }

  get statistics() {
    return this.graph.statistics
  }

  get exercised() {
    return this.graph.exercised
  }

  get steps() {
    return this.graph.steps
  }

  advance(steps: number): Ending | undefined {
    try {
      for (let left = steps; left > 0 && this.ending === undefined; left--) {
        const { done, value } = this.work.next()
        if (done) this.ending = value
      }
    } catch (error) {
      this.ending = endingOf(error)
    }
    return this.ending
  }
}

function* decide(graph: StateGraph, options: SearchOptions): Generator<void, Ending> {
  const ending = yield* graph.build()
  if (ending !== undefined) return ending
  for (const [position, promise] of graph.promises.entries()) {
    const found = yield* broken(graph, position)
    if (found === undefined) continue
    const why = found.cycle === undefined ? "nothing can go on" : "the steps of a fair cycle repeat for ever"
    const violation = decisive([unkept(promise, why)], options)
    if (violation !== undefined) return { kind: "violated", violation, ...found }
  }
  return { kind: "exhausted" }
}

interface Found {
  readonly moves: ReadonlyArray<Move>
  readonly cycle?: number
}

/** A run that breaks a promise: a shortest one that ends, or else a lasso, as short as could be made. */
function* broken(graph: StateGraph, promise: number): Generator<void, Found | undefined> {
  const pending = new Pending(graph, promise)
  yield* pending.search()
  for (const state of pending.states()) {
    if (graph.isTerminal(state)) return { moves: graph.movesOf(pending.pathTo(state)) }
  }
  const component = yield* nearestFair(graph, pending)
  if (component === undefined) return undefined
  const lasso = yield* shortLasso(graph, pending, component)
  return { moves: graph.movesOf([...lasso.prefix, ...lasso.cycle]), cycle: lasso.prefix.length }
}

/**
 * Where a promise is pending: the states that are reached from one where it is made without passing one where it is
 * kept. Breadth-first search over pairs of a state and whether the promise is pending there.
 *
 * Representation: the pair of state s has the number 2s, or 2s + 1 where the promise is pending; `via` holds the edge by
 * which a pair was reached first, `before` the pair before, and `free` stands for neither.
 */
class Pending {
  private readonly graph: StateGraph
  private readonly promise: number
  private readonly via: Int32Array
  private readonly before: Int32Array
  private readonly order: Array<number> = []

  constructor(graph: StateGraph, promise: number) {
    this.graph = graph
    this.promise = promise
    this.via = new Int32Array(2 * graph.size).fill(free)
    this.before = new Int32Array(2 * graph.size).fill(free)
  }

  *search(): Generator<void> {
    const { graph, order } = this
    const initial = this.pairOf(0, false)
    this.via[initial] = root
    order.push(initial)
    for (const pair of order) {
      const state = pair >> 1
      for (let edge = graph.begin(state); edge < graph.end(state); edge++) {
        yield
        const next = this.pairOf(graph.targets.at(edge), (pair & 1) === 1)
        if (this.via[next] !== free) continue
        this.via[next] = edge
        this.before[next] = pair
        order.push(next)
      }
    }
  }

  /** The pair of a state, entered with the promise pending or not. */
  private pairOf(state: number, before: boolean): number {
    const label = this.graph.label(this.promise, state)
    return 2 * state + ((before || (label & made) !== 0) && (label & kept) === 0 ? 1 : 0)
  }

  /** The states where the promise is pending, the nearest to the initial state first. */
  *states(): Generator<number> {
    for (const pair of this.order) if ((pair & 1) === 1) yield pair >> 1
  }

  /** Where an edge from such a state leads, if the promise is pending there still. */
  target(edge: number): number | undefined {
    const to = this.graph.targets.at(edge)
    return (this.graph.label(this.promise, to) & kept) === 0 ? to : undefined
  }

  /** The edges of a shortest path from the initial state to this one with the promise pending. */
  pathTo(state: number): ReadonlyArray<number> {
    const path: Array<number> = []
    for (let pair = 2 * state + 1; this.via[pair] !== root; pair = this.before[pair] ?? 0)
      path.push(this.via[pair] ?? 0)
    return path.reverse()
  }
}

const free = -1
const root = -2

/** The fair component, of the states where the promise is pending, that is nearest to the initial state. */
function* nearestFair(graph: StateGraph, pending: Pending): Generator<void, ReadonlySet<number> | undefined> {
  const inFair = new Uint8Array(graph.size)
  const fair: Array<ReadonlySet<number>> = []
  for (const component of components(graph, pending.states(), (edge) => pending.target(edge))) {
    yield
    if (component === undefined) continue
    const members = new Set(component)
    if (!isFair(graph, component, (state) => members.has(state))) continue
    fair.push(members)
    for (const state of component) inFair[state] = 1
  }
  for (const state of pending.states()) {
    if (inFair[state] === 1) return fair.find((members) => members.has(state))
  }
  return undefined
}

/** How many states of a component to begin a cycle at, at most; and how many states to visit for that, about. */
const mostStarts = 64
const mostVisited = 100_000

/** The shortest of some lassos into a fair component: from several of its states on, the nearest first. */
function* shortLasso(graph: StateGraph, pending: Pending, component: ReadonlySet<number>) {
  const inside: Inside = (state) => component.has(state)
  let starts = Math.min(mostStarts, Math.ceil(mostVisited / component.size))
  let best: { readonly prefix: ReadonlyArray<number>; readonly cycle: ReadonlyArray<number> } | undefined
  for (const start of pending.states()) {
    if (!inside(start)) continue
    const prefix = pending.pathTo(start)
    if (best !== undefined && (starts-- <= 1 || prefix.length >= best.prefix.length + best.cycle.length)) break
    const cycle = yield* fairCycle(graph, start, inside)
    if (best === undefined || prefix.length + cycle.length < best.prefix.length + best.cycle.length) {
      best = { prefix, cycle }
    }
  }
  if (best === undefined) throw new Error("a fair component is empty")
  return best
}
