/** Plain values: what cells hold and steps return, and the arenas that objects come from. */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  type Arena,
  arena,
  builtIn,
  type Cell,
  cell,
  type Plain,
  type Program,
  step,
  struct,
} from "../../checker/index.ts"
import { programOf, run, survey } from "./support.ts"

/** Runs one fiber of one step after the other, and returns what the steps returned. */
const results = async <World>(make: () => World, ...bodies: ReadonlyArray<(world: World) => unknown>) => {
  const got: Array<unknown> = []
  const program = programOf(() => {
    const world = make()
    return {
      world,
      fibers: {
        only: Effect.gen(function* () {
          got.length = 0
          for (const [position, body] of bodies.entries()) got.push(yield* step(`s${position}`, () => body(world)))
        }),
      },
    }
  })
  const result = await run(program, "dfs")
  expect(result.outcome, result.violation?.message).toBe("holds")
  return got
}

/** How many different states a step leads to that picks one of the values. */
const statesOf = async (values: ReadonlyArray<() => Plain>): Promise<number> => {
  const program = programOf(() => {
    const x = cell<Plain>("x", "none")
    return {
      world: undefined,
      fibers: Object.fromEntries(
        values.map((value, position) => [
          `f${position}`,
          step("put", () => {
            if (x.value === "none") x.value = value()
          }),
        ]),
      ),
    }
  })
  const { finals } = await survey(program, "dfs")
  const matched = await survey(program, "states")
  expect(matched.finals).toEqual(finals)
  return finals.size
}

describe("plain values are compared by content", () => {
  it("records, tuples, and what is nested in them", async () => {
    expect(await statesOf([() => ({ a: 1, b: 2 }), () => ({ b: 2, a: 1 })])).toBe(1)
    expect(await statesOf([() => [1, [2, { c: 3 }]], () => [1, [2, { c: 3 }]]])).toBe(1)
    expect(await statesOf([() => [1, 2], () => [2, 1]])).toBe(2)
    expect(await statesOf([() => ({ a: 1 }), () => ({ a: 1, b: undefined })])).toBe(2)
    expect(await statesOf([() => [], () => ({})])).toBe(2)
    expect(await statesOf([() => [1, 2], () => ({ 0: 1, 1: 2 })])).toBe(2)
    expect(await statesOf([() => [[1], 2], () => [1, [2]], () => [1, 2]])).toBe(3)
    expect(await statesOf([() => ({ a: { b: 1 } }), () => ({ a: 1, b: 1 })])).toBe(2)
  })

  it("scalars of different kinds are different, whatever they print as", async () => {
    const kinds = [
      0,
      "0",
      false,
      "false",
      null,
      "null",
      undefined,
      "undefined",
      Number.NaN,
      "NaN",
      "",
      1,
      true,
      "1",
      -1,
    ]
    expect(await statesOf(kinds.slice(0, 5).map((value) => () => value))).toBe(5)
    expect(await statesOf(kinds.slice(5, 10).map((value) => () => value))).toBe(5)
    expect(await statesOf(kinds.slice(10).map((value) => () => value))).toBe(5)
    expect(await statesOf([() => ["a,b"], () => ["a", "b"], () => ['a","b']])).toBe(3)
  })

  it("there is one zero and one NaN", async () => {
    expect(await statesOf([() => 0, () => -0])).toBe(1)
    expect(await statesOf([() => [0], () => [-0]])).toBe(1)
    expect(await statesOf([() => Number.NaN, () => Number.NaN])).toBe(1)
    const [zero, inside] = await results(
      () => undefined,
      () => -0,
      () => ({ deep: [-0] }),
    )
    expect(Object.is(zero, 0)).toBe(true)
    expect(inside).toEqual({ deep: [0] })
  })

  it("large, fractional and infinite numbers are told apart", async () => {
    expect(await statesOf([() => 2 ** 32, () => 0, () => 2 ** 53])).toBe(3)
    expect(await statesOf([() => 0.5, () => Number.POSITIVE_INFINITY, () => Number.NEGATIVE_INFINITY])).toBe(3)
    expect(await statesOf([() => 2 ** 31, () => -(2 ** 31), () => 2 ** 31 - 1])).toBe(3)
    expect(await statesOf([() => 1e21, () => 1e21 + 2 ** 20, () => 1e-7])).toBe(3)
  })

  it("equal values are one object, so that === compares content", async () => {
    const [first, second, other] = await results(
      () => undefined,
      () => ({ page: 1, bits: ["r", "w"] }),
      () => ({ bits: ["r", "w"], page: 1 }),
      () => ({ bits: ["r"], page: 1 }),
    )
    expect(first === second).toBe(true)
    expect(first === other).toBe(false)
  })

  it("the world's own objects may be changed afterwards: a cell holds what it was given", async () => {
    const source = { inside: [1] }
    const [before, after] = await results(
      () => cell<{ inside: Array<number> }>("x", source),
      (x) => x.value,
      (x) => {
        source.inside.push(2)
        return x.value
      },
    )
    expect(before).toEqual({ inside: [1] })
    expect(after).toEqual({ inside: [1] })
  })

  it("a struct's fields are cells of their own, and a struct that is returned is a copy", async () => {
    const [copy, later] = await results(
      () => struct("subs", { seq: 2, active: 0 }),
      (subs) => {
        subs.active++
        subs.seq |= 1
        return subs
      },
      (subs) => {
        subs.seq++
        return [subs.seq, subs.active]
      },
    )
    expect(copy).toEqual({ seq: 3, active: 1 })
    expect(later).toEqual([4, 1])
  })

  it("whatever they are, equal ones meet in one state and different ones do not", async () => {
    const plain: fc.Arbitrary<Plain> = fc.letrec<{ value: Plain }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3, withCrossShrink: true },
        fc.constantFrom(undefined, null, true, false, 0, 1, -1, 0.5, Number.NaN, "", "a", "1"),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom("a", "b", "__proto__", "1"), tie("value"), { maxKeys: 3 }),
      ),
    })).value
    await fc.assert(
      fc.asyncProperty(plain, plain, async (one, other) => {
        const again = structuredClone(one)
        expect(await statesOf([() => one, () => again])).toBe(1)
        const [a, b, c] = await results(
          () => undefined,
          () => one,
          () => again,
          () => other,
        )
        expect(Object.is(a, b)).toBe(true)
        const same = Object.is(a, c)
        expect(await statesOf([() => one, () => other])).toBe(same ? 1 : 2)
        if (same) expect(one).toEqual(other)
      }),
      { seed: 11, numRuns: 60 },
    )
  })
})

describe("plain values are immutable", () => {
  const mutating = (change: (record: { inside: Array<number> }) => void, where: "step" | "fiber"): Program =>
    programOf(() => {
      const x: Cell<{ inside: Array<number> }> = cell("x", { inside: [1] })
      return {
        world: undefined,
        fibers: {
          other: step("look", () => x.value),
          culprit: Effect.gen(function* () {
            const seen = yield* step("read", () => {
              if (where === "step") change(x.value)
              return x.value
            })
            change(seen)
          }),
        },
      }
    })
  for (const [what, change] of Object.entries<(record: { inside: Array<number> }) => void>({
    "a field": (record) => {
      record.inside = []
    },
    "a nested tuple": (record) => {
      record.inside.push(2)
    },
    "a new field": (record) => {
      Object.assign(record, { fresh: 1 })
    },
    "a field that is deleted": (record) => {
      Reflect.deleteProperty(record, "inside") || Object.assign(record, { inside: [] })
    },
  })) {
    it(`changing ${what} is a defect that names the fiber`, async () => {
      for (const strategy of ["states", "optimal", "dfs", "random"]) {
        const inStep = await run(mutating(change, "step"), strategy)
        expect(inStep.violation).toMatchObject({
          property: builtIn.defect,
          message: expect.stringContaining("fiber culprit, in read"),
        })
        const between = await run(mutating(change, "fiber"), strategy)
        expect(between.violation).toMatchObject({
          property: builtIn.defect,
          message: expect.stringContaining("fiber culprit, after read"),
        })
      }
    })
  }
})

describe("arenas", () => {
  const folios = () => arena("folio", 3, { owner: "nobody", mapcount: 0 })
  type Folios = Arena<{ owner: string; mapcount: number }>
  const take = (of: Folios) => of.allocate()?.index
  const free = (index: number) => (of: Folios) => {
    const slot = of.slots[index]
    if (slot !== undefined) of.free(slot)
  }

  it("give the lowest free slot first, and nothing when they are full", async () => {
    expect(await results(folios, take, take, take, take, free(1), take, free(2), free(0), take, take, take)).toEqual([
      0,
      1,
      2,
      undefined,
      undefined,
      1,
      undefined,
      undefined,
      0,
      2,
      undefined,
    ])
  })

  it("count generations, and give a slot its first contents back", async () => {
    const states = await results(
      folios,
      (of) => {
        const slot = of.allocate()
        if (slot === undefined) return undefined
        slot.owner = "cpu0"
        slot.mapcount = 2
        return [slot.live, slot.generation, slot.owner, slot.mapcount]
      },
      free(0),
      ({ slots }) => slots.map(({ live, generation, owner, mapcount }) => [live, generation, owner, mapcount]),
      take,
      ({ slots }) => slots.map(({ live, generation }) => [live, generation]),
    )
    expect(states).toEqual([
      [true, 1, "cpu0", 2],
      undefined,
      [
        [false, 1, "nobody", 0],
        [false, 0, "nobody", 0],
        [false, 0, "nobody", 0],
      ],
      0,
      [
        [true, 2],
        [false, 0],
        [false, 0],
      ],
    ])
  })

  it("tell no more lives of a slot apart than they are to", async () => {
    const again = (of: Folios) => {
      const slot = of.allocate()
      if (slot !== undefined) of.free(slot)
      return slot?.generation
    }
    const twoLives = () => arena("folio", 1, { owner: "nobody", mapcount: 0 }, 2)
    expect(await results(twoLives, again, again, again, again)).toEqual([1, 2, 1, 2])
  })

  it("of no slots are always full", async () => {
    expect(
      await results(
        () => arena("none", 0, {}),
        (none) => none.allocate() === undefined,
      ),
    ).toEqual([true])
  })

  it("make orders of allocation that come to the same meet in one state", async () => {
    const program = programOf(() => {
      const pages = arena("page", 2, {})
      const user = Effect.gen(function* () {
        const mine = yield* step("alloc", () => pages.allocate()?.index ?? -1)
        yield* step("free", () => {
          const slot = pages.slots[mine]
          if (slot !== undefined) pages.free(slot)
        })
      })
      return { world: undefined, fibers: { a: user, b: user } }
    })
    const states = await survey(program, "states")
    expect(states.finals).toEqual((await survey(program, "dfs")).finals)
    expect(states.finals.size).toBe(2) // one slot used twice, or each once
  })
})
