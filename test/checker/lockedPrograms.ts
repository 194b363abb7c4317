/**
 * Random programs of sections, some of which are under one lock: what neighbouring steps do, and what others do between
 * their halves, often commutes and often does not.
 */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { type Cell, cell, guardedStep, type ScenarioEntry, step } from "../../checker/index.ts"
import { entryOf } from "./support.ts"

const place = fc.integer({ min: 0, max: 2 })
const instruction = fc.oneof(
  fc.record({ op: fc.constant("write" as const), to: place, value: fc.integer({ min: 1, max: 2 }) }),
  fc.record({ op: fc.constant("add" as const), to: place, value: fc.integer({ min: 1, max: 2 }) }),
  fc.record({ op: fc.constant("copy" as const), to: place, value: place }),
)
type Instruction = typeof instruction extends fc.Arbitrary<infer A> ? A : never

const section = fc.record({
  isLocked: fc.boolean(),
  instructions: fc.array(instruction, { minLength: 1, maxLength: 3 }),
})

/** By fiber, its sections. */
export const lockedProgram = fc.array(fc.array(section, { minLength: 1, maxLength: 2 }), { minLength: 2, maxLength: 3 })
export type LockedProgram = typeof lockedProgram extends fc.Arbitrary<infer A> ? A : never

/** See above. Numbers stay below four. */
export const interpretLocked = (fibers: LockedProgram): ScenarioEntry =>
  entryOf(() => {
    const cells = [cell("c0", 0), cell("c1", 0), cell("c2", 0)]
    const at = (position: number): Cell<number> => {
      const found = cells[position]
      if (found === undefined) throw new Error(`there is no cell c${position}`)
      return found
    }
    const held = cell("held", "")
    const body = ({ op, to, value }: Instruction) => {
      const cell = at(to)
      if (op === "write") cell.value = value
      else cell.value = (op === "add" ? cell.value + value : at(value).value + 1) % 4
    }
    const take = (fiber: string) =>
      guardedStep(
        "lock",
        () => held.value === "",
        () => {
          held.value = fiber
        },
      )
    const release = step("unlock", () => {
      held.value = ""
    })
    const named = fibers.map((sections, number) => {
      const fiber = `f${"abc"[number]}`
      const effects = sections.flatMap(({ isLocked, instructions }, which) => {
        const steps = instructions.map((each, position) =>
          step(`${fiber}.${which}.${position}`, () => {
            body(each)
          }),
        )
        return isLocked ? [take(fiber), ...steps, release] : steps
      })
      return [fiber, Effect.all(effects, { discard: true })] as const
    })
    return { world: undefined, fibers: Object.fromEntries(named) }
  })
