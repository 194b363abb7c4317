/** What is said of steps in the handbook: who takes them, and what they wait for, read and change. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { touchesIn } from "../../checker/cli/touches.ts"
import {
  type Cell,
  cell,
  choose,
  guardedStep,
  type Monitor,
  protocol,
  type Setup,
  scenario,
  step,
} from "../../checker/index.ts"

const touchesOf = async (setup: () => Setup<object>, wanted: ReadonlyArray<string> = []) => {
  const test = scenario({ id: "test", summary: "a test", parameters: {}, setup, properties: [] })
  const { scenarios } = protocol({ id: "test", title: "a test", scenarios: [test] })
  const programs = scenarios.map(({ program }) => program())
  const touches = await Effect.runPromise(touchesIn(programs, () => wanted))
  return Object.fromEntries(
    [...touches].map(([name, { by, awaits, reads, changes }]) => [
      name,
      [by, awaits, reads, changes].map((names) => [...names].sort().join(" ")),
    ]),
  )
}

describe("what steps touch", () => {
  it("is what they wait for, read and change, and nothing that monitors do", async () => {
    const setup = () => {
      const [held, count, noted] = [cell("held", ""), cell("count", 0), cell("noted", 0)]
      const fiber = (name: string) =>
        Effect.gen(function* () {
          yield* guardedStep(
            "lock",
            () => held.value === "",
            () => {
              held.value = name
            },
          )
          const seen = yield* step("load", () => count.value)
          yield* step("store", () => {
            count.value = seen + 1
          })
          yield* step("unlock", () => {
            held.value = ""
          })
        })
      const monitor: Monitor = {
        load: () => {
          noted.value = held.value.length
        },
      }
      return { world: { noted }, fibers: { cpu0: fiber("cpu0"), cpu1: fiber("cpu1") }, monitors: [monitor] }
    }
    const both = "cpu0 cpu1"
    expect(await touchesOf(setup)).toEqual({
      lock: [both, "held", "held", "held"],
      load: [both, "", "count", ""],
      store: [both, "", "", "count"],
      unlock: [both, "", "", "held"],
    })
  })

  it("is looked for in more states where not every step of the scenario has been seen", async () => {
    const setup = () => {
      const cells = Array.from({ length: 9 }, (_, i) => cell(`cell${i}`, 0))
      const last = cell("last", 0)
      const counts = (of: Cell<number>) =>
        Effect.forEach([1, 2], (value) =>
          step(`count ${of.name}`, () => {
            of.value = value
          }),
        )
      const chooses = Effect.flatMap(choose("which", ["one", "other"]), (which) =>
        step(which, () => {
          last.value = 1
        }),
      )
      return {
        world: {},
        fibers: { chooses, ...Object.fromEntries(cells.map((each) => [each.name, counts(each)])) },
      }
    }
    const few = await touchesOf(setup)
    const all = await touchesOf(setup, ["one", "other"])
    expect([few, all].map((seen) => ["one", "other"].filter((name) => name in seen).length)).toEqual([1, 2])
  })
})
