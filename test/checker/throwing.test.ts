import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { describe, expect, it } from "vitest"
import {
  arena,
  builtIn,
  cell,
  checkpoint,
  guardedStep,
  type Program,
  type Property,
  step,
  struct,
} from "../../checker/index.ts"
import { bystander, type Case, everyStrategy, expectBroken, type Fibers, over, type World } from "./broken.ts"
import { programOf, run } from "./support.ts"

describe("setup", () => {
  const failing = async (setup: () => void, ...parts: ReadonlyArray<string>) => {
    const program = programOf(() => {
      setup()
      return { world: undefined, fibers: { idle: Effect.void } }
    })
    for (const strategy of everyStrategy) {
      const outcome = await run(program, strategy).catch((error: unknown) => error)
      expect(outcome).toMatchObject({ _tag: "SetupFailed" })
      for (const part of parts) expect(String(outcome instanceof Error ? outcome.message : outcome)).toContain(part)
    }
  }

  it("that throws is a typed failure", () =>
    failing(
      () => {
        throw new Error("no such device")
      },
      "scenario test",
      "no such device",
    ))

  it("with two cells of one name names it", () =>
    failing(() => {
      cell("twin", 0)
      cell("twin", 1)
    }, "two cells are called twin"))

  it("with a struct and an arena of one name names the field", () =>
    failing(() => {
      struct("page0", { live: 1 })
      arena("page", 1, { owner: 0 })
    }, "two cells are called page0.live"))

  it("with a cell that is not plain names it", () =>
    failing(() => cell("table", new Map()), "table", "instance of Map"))
  it("without fibers is told so, and with something else than an Effect for a fiber too", async () => {
    const not = async (fibers: object, part: string) => {
      const program = programOf(() => ({ world: undefined, fibers: fibers as Fibers }))
      for (const strategy of everyStrategy) {
        const outcome = await run(program, strategy).catch((error: unknown) => error)
        expect(outcome).toMatchObject({ _tag: "SetupFailed", message: expect.stringContaining(part) })
      }
    }
    await not({}, "no fibers")
    await not({ cpu0: () => Effect.void }, "fiber cpu0 is not an Effect")
  })

  it("that asks the time is told not to", () => failing(() => cell("now", Date.now()), "Date.now()"))
  it("that rolls dice is told not to", () => failing(() => cell("dice", Math.random()), "Math.random()"))
  it("that is asked for a cell outside is told so", () => {
    expect(() => cell("stray", 0)).toThrow("cell stray is made outside the setup of a scenario")
  })

  it("is not the place for steps", async () => {
    const exit = await Effect.runPromiseExit(step("stray", () => 1))
    expect(Exit.isFailure(exit) && String(exit.cause)).toContain("stray is run outside the checker")
    const head = await Effect.runPromiseExit(checkpoint("head"))
    expect(Exit.isFailure(head) && String(head.cause)).toContain("checkpoint head is run outside the checker")
  })

  it("leaves the world as it was", async () => {
    const before = [Date, Date.now, Math.random, setTimeout, performance.now, process.hrtime, queueMicrotask]
    await expectBroken(
      over(() => ({ culprit: Effect.sync(() => Date.now()) })),
      builtIn.rules,
      [],
    )
    expect([Date, Date.now, Math.random, setTimeout, performance.now, process.hrtime, queueMicrotask]).toEqual(before)
    expect(Date.now()).toBeGreaterThan(0)
  })
})

describe("code that throws", () => {
  const bad = (name: string, property: Partial<Property<World>>): Case["fiber"] extends never ? never : Program =>
    over(
      (world) => ({ other: bystander(world) }),
      [{ kind: "invariant", id: name, statement: "s", source: "s", holds: () => true, ...property } as Property<World>],
    )
  const boom = () => {
    throw new Error("boom")
  }

  it("in a guard names the fiber and the step", () =>
    expectBroken(
      over((world) => ({ other: bystander(world), culprit: guardedStep("wait", boom, () => 1) })),
      builtIn.defect,
      ["fiber culprit, in wait", "boom"],
    ))

  it("in a body names the fiber and the step", () =>
    expectBroken(
      over((world) => ({ other: bystander(world), culprit: step("walk", [1, "a"], boom) })),
      builtIn.defect,
      ["fiber culprit, in walk(1, a)", "boom"],
    ))

  for (const [what, property] of Object.entries<Partial<Property<World>>>({
    premise: { kind: "invariant", premise: boom },
    holds: { kind: "invariant", holds: boom },
    explain: { kind: "invariant", holds: ({ y }) => y.value === 0, explain: boom },
    observe: { kind: "action", observe: boom, holds: () => true },
    "action premise": { kind: "action", observe: ({ y }) => y.value, premise: boom, holds: () => true },
    "action holds": { kind: "action", observe: ({ y }) => y.value, holds: boom },
    "action explain": { kind: "action", observe: ({ y }) => y.value, holds: () => false, explain: boom },
    atEnd: { kind: "atEnd", holds: boom },
    stuck: { kind: "progress", stuck: boom },
  })) {
    it(`in a property (${what}) names the property`, () =>
      expectBroken(bad(`bad-${what}`, property), builtIn.defect, [`property bad-${what}`, "boom"]))
  }

  it("in a property that writes a cell names the property and the cell", () =>
    expectBroken(
      bad("writer", {
        kind: "invariant",
        holds: ({ x }) => {
          x.value = 1
          return true
        },
      }),
      builtIn.defect,
      ["property writer", "cell x is written in a guard or a property"],
    ))

  it("in a property that asks the time names the property", () =>
    expectBroken(bad("clock", { kind: "invariant", holds: () => Date.now() > 0 }), builtIn.defect, [
      "property clock",
      "Date",
    ]))

  it("in a monitor names the step that it watches", () =>
    expectBroken(
      programOf(() => {
        const x = cell("x", 0)
        return {
          world: { x },
          fibers: { culprit: step("watched", () => x.value++) },
          monitors: [{ watched: boom }],
        }
      }),
      builtIn.defect,
      ["fiber culprit, in watched", "boom"],
    ))
})
