/**
 * Random small programs without an end, and what is promised in them, judged by the checker and by a second opinion: an
 * interpreter of the syntax tree, and a search for accepting cycles of a Büchi automaton that counts the fibers' turns.
 */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type Cell, cell, checkpoint, choose, guardedStep, type Property, runMoves, step } from "../../checker/index.ts"
import { long } from "../long.ts"
import { programOf, run, survey } from "./support.ts"

/** One instruction of a fiber: what it does, and which instruction comes next. */
type Instruction =
  | { readonly op: "set"; readonly at: number; readonly value: number; readonly next: number }
  | {
      readonly op: "wait"
      readonly at: number
      readonly value: number
      readonly becomes: number
      readonly next: number
    }
  | {
      readonly op: "swap"
      readonly at: number
      readonly value: number
      readonly becomes: number
      readonly next: number
      readonly otherwise: number
    }
  | { readonly op: "choose"; readonly next: number; readonly otherwise: number }

/** A predicate of states: a cell has a value, or a fiber has ended. */
type Test =
  | { readonly is: "cell"; readonly at: number; readonly value: number }
  | { readonly is: "ended"; readonly fiber: number }

interface Promised {
  readonly from: Test | null
  readonly to: Test
}

interface LoopingProgram {
  /** An instruction number beyond the last one is the fiber's end. */
  readonly fibers: ReadonlyArray<ReadonlyArray<Instruction>>
  readonly promises: ReadonlyArray<Promised>
}

const cells = 2
const mostInstructions = 4
const at = fc.nat({ max: cells - 1 })
const value = fc.nat({ max: 2 })
const next = fc.nat({ max: mostInstructions })

const instruction: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant("set" as const), at, value, next }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("wait" as const), at, value, becomes: value, next }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant("swap" as const), at, value, becomes: value, next, otherwise: next }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("choose" as const), next, otherwise: next }) },
)

const test: fc.Arbitrary<Test> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ is: fc.constant("cell" as const), at, value }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("ended" as const), fiber: fc.nat({ max: 1 }) }) },
)

const loopingProgram: fc.Arbitrary<LoopingProgram> = fc.record({
  fibers: fc.array(fc.array(instruction, { minLength: 1, maxLength: mostInstructions }), {
    minLength: 2,
    maxLength: 3,
  }),
  promises: fc.array(fc.record({ from: fc.option(test), to: test }), { minLength: 2, maxLength: 3 }),
})

// The program as the checker sees it.

type World = ReadonlyArray<Cell<number>>

const cellAt = (world: World, position: number): Cell<number> => {
  const found = world[position]
  if (found === undefined) throw new Error(`there is no cell ${position}`)
  return found
}

const one = (world: World, each: Instruction, label: string): Effect.Effect<number> => {
  switch (each.op) {
    case "set":
      return step(label, () => {
        cellAt(world, each.at).value = each.value
        return each.next
      })
    case "wait":
      return guardedStep(
        label,
        () => cellAt(world, each.at).value === each.value,
        () => {
          cellAt(world, each.at).value = each.becomes
          return each.next
        },
      )
    case "swap":
      return step(label, () => {
        if (cellAt(world, each.at).value !== each.value) return each.otherwise
        cellAt(world, each.at).value = each.becomes
        return each.next
      })
    case "choose":
      return Effect.map(choose(label, [0, 1]), (option) => (option === 0 ? each.next : each.otherwise))
  }
}

const meaning = (world: World, instructions: ReadonlyArray<Instruction>): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let position = 0; ; ) {
      const each = instructions[position]
      if (each === undefined) return
      yield* checkpoint("at", position)
      position = yield* one(world, each, String(position))
    }
  })

const predicate =
  (of: Test) =>
  (world: World, { ended }: { readonly ended: (name: string) => boolean }) =>
    of.is === "cell" ? cellAt(world, of.at).value === of.value : ended(`f${of.fiber}`)

const idOf = (position: number) => `promise${position}`

const interpret = ({ fibers, promises }: LoopingProgram) =>
  programOf<World>(
    () => {
      const world = Array.from({ length: cells }, (_, position) => cell(`c${position}`, 0))
      return { world, fibers: Object.fromEntries(fibers.map((each, n) => [`f${n}`, meaning(world, each)])) }
    },
    promises.map(
      ({ from, to }, position): Property<World> => ({
        kind: "leadsTo",
        id: idOf(position),
        statement: "s",
        source: "test",
        to: predicate(to),
        ...(from === null ? {} : { from: predicate(from) }),
      }),
    ),
  )

// The program a second time: states are the cells and where each fiber is.

interface State {
  readonly cells: ReadonlyArray<number>
  readonly places: ReadonlyArray<number>
}

interface Edge {
  readonly fiber: number
  readonly option: number
  readonly to: State
}

const nameOf = ({ cells, places }: State) => `${cells.join()} ${places.join()}`

const edgesOf = ({ fibers }: LoopingProgram, state: State): ReadonlyArray<Edge> => {
  const stepsOf = (instructions: ReadonlyArray<Instruction>, fiber: number): ReadonlyArray<Edge> => {
    const each = instructions[state.places[fiber] ?? 0]
    const go = (place: number, written?: number, option = 0): Edge => {
      const cells = [...state.cells]
      if (each !== undefined && "at" in each && written !== undefined) cells[each.at] = written
      // All places behind the last instruction are the end.
      const places = state.places.with(fiber, Math.min(place, instructions.length))
      return { fiber, option, to: { cells, places } }
    }
    if (each === undefined) return []
    switch (each.op) {
      case "set":
        return [go(each.next, each.value)]
      case "wait":
        return state.cells[each.at] === each.value ? [go(each.next, each.becomes)] : []
      case "swap":
        return [state.cells[each.at] === each.value ? go(each.next, each.becomes) : go(each.otherwise)]
      case "choose":
        return [go(each.next), go(each.otherwise, undefined, 1)]
    }
  }
  return fibers.flatMap(stepsOf)
}

const satisfies = (source: LoopingProgram, { cells, places }: State, of: Test): boolean =>
  of.is === "cell" ? cells[of.at] === of.value : (places[of.fiber] ?? 0) >= (source.fibers[of.fiber]?.length ?? 0)

const initialState = ({ fibers }: LoopingProgram): State => ({
  cells: Array.from({ length: cells }, () => 0),
  places: fibers.map(() => 0),
})

/** Every state that is reached from some, by name, going on where `into` says so. */
const reached = (
  source: LoopingProgram,
  from: Iterable<State>,
  into: (state: State) => boolean,
): ReadonlyMap<string, State> => {
  const found = new Map<string, State>()
  for (const state of from) if (into(state)) found.set(nameOf(state), state)
  for (const state of found.values()) {
    for (const { to } of edgesOf(source, state)) if (into(to)) found.set(nameOf(to), to)
  }
  return found
}

const isMade = (source: LoopingProgram, { from }: Promised, state: State) =>
  from === null ? nameOf(state) === nameOf(initialState(source)) : satisfies(source, state, from)

/**
 * How a promise is broken. For infinite runs: a cycle in the product of the states where it is pending with a counter of
 * fibers, which goes on when the fiber whose turn it is takes a step or cannot (degeneralisation; Baier and Katoen,
 * theorem 4.56), through a place where the counter begins anew.
 */
const secondOpinion = (source: LoopingProgram, promise: Promised): "holds" | "terminal" | "lasso" => {
  const kept = (state: State) => satisfies(source, state, promise.to)
  const all = reached(source, [initialState(source)], () => true)
  // No `from` names the initial state as the start of a run: coming back there makes no new promise, nor needs one.
  const starts = [...all.values()].filter((state) => isMade(source, promise, state))
  const region = reached(source, starts, (state) => !kept(state))
  if ([...region.values()].some((state) => edgesOf(source, state).length === 0)) return "terminal"
  const turns = source.fibers.length
  const successors = (name: string): ReadonlyArray<string> => {
    const [position = "", turn = ""] = name.split("|")
    const state = region.get(position)
    if (state === undefined) return []
    const edges = edgesOf(source, state)
    const now = Number(turn) % turns
    const able = edges.some(({ fiber }) => fiber === now)
    return edges
      .filter(({ to }) => region.has(nameOf(to)))
      .map(({ fiber, to }) => `${nameOf(to)}|${fiber === now || !able ? now + 1 : now}`)
  }
  const onCycle = (start: string) => {
    const seen = new Set<string>(successors(start))
    for (const name of seen) for (const other of successors(name)) seen.add(other)
    return seen.has(start)
  }
  return [...region.keys()].some((name) => onCycle(`${name}|${turns}`)) ? "lasso" : "holds"
}

/** Why a run that is reported does not break the promise; nothing when it does. */
const objection = (
  source: LoopingProgram,
  promise: Promised,
  taken: ReadonlyArray<{ readonly fiber: string; readonly choice: number | undefined }>,
  cycle: number | undefined,
): string | undefined => {
  const states = [initialState(source)]
  for (const { fiber, choice } of taken) {
    const edge = edgesOf(source, states.at(-1) ?? initialState(source)).find(
      (each) => `f${each.fiber}` === fiber && each.option === (choice ?? 0),
    )
    if (edge === undefined) return `${fiber} cannot go on`
    states.push(edge.to)
  }
  const lastKept = states.findLastIndex((state) => satisfies(source, state, promise.to))
  const pending = states.findIndex((state, n) => n > lastKept && isMade(source, promise, state))
  if (pending < 0) return "the promise is not pending"
  const last = states.at(-1) ?? initialState(source)
  if (cycle === undefined) return edgesOf(source, last).length === 0 ? undefined : "it goes on"
  if (lastKept >= cycle || pending > cycle) return "the promise is not pending all through the cycle"
  if (nameOf(states[cycle] ?? last) !== nameOf(last) || cycle === taken.length) return "the cycle does not close"
  const unfair = source.fibers.findIndex(
    (_, fiber) =>
      taken.slice(cycle).every((each) => each.fiber !== `f${fiber}`) &&
      states.slice(cycle).every((state) => edgesOf(source, state).some((edge) => edge.fiber === fiber)),
  )
  return unfair < 0 ? undefined : `f${unfair} is starved`
}

const wanted = long ? 5_000 : 64

const counts = { holds: 0, terminal: 0, lasso: 0, finite: 0 }

const compare = async (source: LoopingProgram): Promise<void> => {
  const program = interpret(source)
  const found = await survey(program, "states")
  expect(found.result.outcome).toBe("holds")
  expect(found.result.statistics.states).toBe(reached(source, [initialState(source)], () => true).size)
  const every = await survey(program, "dfs", { executions: 50, maxSteps: 12 })
  const finite = every.result.outcome === "holds"
  if (finite) counts.finite++
  for (const [position, promise] of source.promises.entries()) {
    const id = idOf(position)
    const expected = secondOpinion(source, promise)
    counts[expected]++
    expect(found.broken.has(id), expected).toBe(expected !== "holds")
    if (finite) expect(every.broken.has(id)).toBe(expected === "terminal")
    else if (every.broken.has(id)) expect(expected).toBe("terminal")
    if (expected === "holds") continue
    const { outcome, violation, moves = [], cycle } = await run(program, "states", { target: id })
    expect(outcome).toBe("violated")
    expect(violation?.property).toBe(id)
    expect(cycle === undefined ? "terminal" : "lasso").toBe(expected)
    expect(objection(source, promise, runMoves(program, moves).steps, cycle)).toBeUndefined()
  }
}

describe("random programs without an end", () => {
  it("keep their promises, or not, as a second opinion says", async () => {
    await fc.assert(fc.asyncProperty(loopingProgram, compare), { seed: 20_26, numRuns: wanted })
    for (const [what, atLeast] of Object.entries({ holds: 0.2, terminal: 0.1, lasso: 0.1, finite: 0.05 })) {
      const share = counts[what as keyof typeof counts] / wanted
      expect(share, what).toBeGreaterThanOrEqual(atLeast)
    }
  })
})
