/** What is said of steps in the handbook: who takes them, and what they wait for, read and write. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { touchesIn } from "../../checker/cli/touches.ts"
import { cell, guardedStep, type Monitor, protocol, type Setup, scenario, step } from "../../checker/index.ts"

const touchesOf = async (setup: () => Setup<object>) => {
  const test = scenario({ id: "test", summary: "a test", parameters: {}, setup, properties: [] })
  const { scenarios } = protocol({ id: "test", title: "a test", scenarios: [test] })
  const programs = scenarios.map(({ program }) => program())
  const { touches } = await Effect.runPromise(touchesIn(programs))
  return Object.fromEntries(
    [...touches].map(([name, { by, guards, reads, writes }]) => [
      name,
      [by, guards, reads, writes].map((names) => [...names].sort().join(" ")),
    ]),
  )
}

describe("what steps touch", () => {
  it("is what they wait for, read and write, and nothing that monitors do", async () => {
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

  it("is nothing of a step that can never be taken", async () => {
    const setup = () => {
      const never = cell("never", false)
      const waits = guardedStep(
        "wait",
        () => never.value,
        () => undefined,
      )
      return { world: {}, fibers: { waits, works: step("work", () => undefined) } }
    }
    expect(await touchesOf(setup)).toEqual({ work: ["works", "", "", ""] })
  })
})
