/**
 * Random programs whose steps depend on each other in ways that change with the contents of cells: guards of two
 * conditions over several cells, and bodies that look at a cell to decide what else they touch.
 */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import {
  actionInvariant,
  type Cell,
  cell,
  dataCell,
  dataRaces,
  guardedStep,
  type Property,
  type ScenarioEntry,
  step,
} from "../../checker/index.ts"
import { entryOf } from "./support.ts"

const cells = 3
const place = fc.nat({ max: cells - 1 })
const content = fc.nat({ max: 2 })
const condition = fc.record({ at: place, is: content })
const write = fc.record({ at: place, value: content })

const instruction = fc.record({
  guard: fc.option(fc.record({ one: condition, other: condition, both: fc.boolean() }), { freq: 2 }),
  look: condition,
  ifSo: fc.option(write),
  ifNot: fc.option(place),
  write: fc.option(write, { freq: 3 }),
})
type Instruction = typeof instruction extends fc.Arbitrary<infer A> ? A : never
type Condition = Instruction["look"]

/** By fiber, what it does. */
export type GuardedProgram = ReadonlyArray<ReadonlyArray<Instruction>>

export const guardedProgram: fc.Arbitrary<GuardedProgram> = fc.array(
  fc.array(instruction, { minLength: 1, maxLength: 3 }),
  { minLength: 2, maxLength: 4 },
)

interface World {
  readonly c0: Cell<number>
  readonly c1: Cell<number>
  readonly c2: Cell<number>
}

/** Properties of every kind that sees states between steps; which cells they read depends on what cells hold. */
const properties: ReadonlyArray<Property<World>> = [
  {
    kind: "invariant",
    id: "apart",
    statement: "The first two cells are not both 1, or where the first is 2 the last is not 1.",
    source: "test",
    holds: ({ c0, c1, c2 }) => (c0.value === 2 ? c2.value !== 1 : c0.value !== 1 || c1.value !== 1),
    explain: () => "they are",
  },
  actionInvariant<World, ReadonlyArray<number>>({
    id: "grows",
    statement: "The first cell never shrinks while the second is kept.",
    source: "test",
    observe: ({ c0, c1 }) => [c0.value, c1.value],
    premise: (before, after) => before[1] === after[1],
    holds: (before, after) => before[1] !== after[1] || (after[0] ?? 0) >= (before[0] ?? 0),
    explain: () => "it did",
  }),
  {
    kind: "leadsTo",
    id: "answered",
    statement: "The second cell being 2 leads to the first being 1, or the last where that is 0.",
    source: "test",
    from: ({ c1 }) => c1.value === 2,
    to: ({ c0, c2 }) => (c0.value === 0 ? c2.value === 1 : c0.value === 1),
  },
]

const askedOf = { nothing: [], properties, races: [dataRaces("test")] }

/**
 * What each fiber has seen is in a cell of its own, so that final states tell apart whatever a fiber can tell apart.
 *
 * @param asked what is asked of the program: nothing, the properties above, or whether the last cell is raced for
 */
export const interpretGuarded = (
  fibers: GuardedProgram,
  asked: "nothing" | "properties" | "races" = "nothing",
): ScenarioEntry =>
  entryOf<World>(() => {
    const [c0, c1, c2] = [cell("c0", 0), cell("c1", 0), asked === "races" ? dataCell("c2", 0) : cell("c2", 0)]
    const shared = [c0, c1, c2]
    const at = (position: number): Cell<number> => {
      const found = shared[position]
      if (found === undefined) throw new Error(`there is no cell c${position}`)
      return found
    }
    const holds = (asked: Condition) => at(asked.at).value === asked.is
    const perform = (each: Instruction, label: string, seen: Cell<string>) => {
      const body = () => {
        let saw = "-"
        if (holds(each.look)) {
          saw = "+"
          if (each.ifSo !== null) at(each.ifSo.at).value = each.ifSo.value
        } else if (each.ifNot !== null) saw = String(at(each.ifNot).value)
        if (each.write !== null) at(each.write.at).value = each.write.value
        seen.value += saw
      }
      const { guard } = each
      if (guard === null) return step(label, body)
      const { both, one, other } = guard
      return guardedStep(label, () => (both ? holds(one) && holds(other) : holds(one) || holds(other)), body)
    }
    const named = fibers.map((instructions, number) => {
      const seen = cell(`seen${number}`, "")
      const steps = instructions.map((each, position) => perform(each, `f${number}.${position}`, seen))
      return [`f${number}`, Effect.all(steps, { discard: true })] as const
    })
    return { world: { c0, c1, c2 }, fibers: Object.fromEntries(named) }
  }, askedOf[asked])
