/**
 * Random programs whose steps depend on each other in ways that change with the contents of cells: guards of two
 * conditions over several cells, and bodies that look at a cell to decide what else they touch.
 */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { type Cell, cell, guardedStep, type ScenarioEntry, step } from "../../checker/index.ts"
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

/** What each fiber has seen is in a cell of its own, so that final states tell apart whatever a fiber can tell apart. */
export const interpretGuarded = (fibers: GuardedProgram): ScenarioEntry =>
  entryOf(() => {
    const shared = Array.from({ length: cells }, (_, n) => cell(`c${n}`, 0))
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
    return { world: undefined, fibers: Object.fromEntries(named) }
  })
