/** Interchangeable names: states that differ by a permutation count once, and a wrong declaration is reported. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  actionInvariant,
  builtIn,
  type Cell,
  cell,
  checkpoint,
  choose,
  fork,
  guardedStep,
  join,
  type Program,
  type Property,
  runMoves,
  self,
  step,
} from "../../checker/index.ts"
import { programOf, run, survey } from "./support.ts"

const names = (count: number) => Array.from({ length: count }, (_, i) => `gpu${i}`)

const statesOf = async (program: Program, symmetry: boolean): Promise<number> => {
  const { outcome, statistics, violation } = await run(program, "states", { symmetry })
  expect(violation).toBeUndefined()
  expect(outcome).toBe("holds")
  return statistics.states
}

/** `choose(n + k - 1, k)`: the multisets of `count` among `kinds`. */
const multisets = (kinds: number, count: number): number =>
  Array.from({ length: count }, (_, i) => i).reduce((product, i) => (product * (kinds + i)) / (i + 1), 1)

describe("interchangeable names", () => {
  it.each([2, 3, 4, 5])("%i walkers of three steps have as many states as there are multisets of places", async (n) => {
    const program = programOf(() => ({
      world: {},
      fibers: Object.fromEntries(
        names(n).map((name) => {
          const place = cell(`${name}.place`, 0)
          const walk = step("walk", () => {
            place.value++
          })
          return [name, Effect.all([walk, walk, walk])]
        }),
      ),
      interchangeable: [names(n)],
    }))
    expect(await statesOf(program, false)).toBe(4 ** n)
    expect(await statesOf(program, true)).toBe(multisets(4, n))
  })

  it("change places as the keys of a record", async () => {
    const program = programOf(() => {
      const places = cell<{ readonly [name: string]: number }>(
        "places",
        Object.fromEntries(names(4).map((name) => [name, 0])),
      )
      const walk = step("walk", () => {
        places.value = { ...places.value, [self()]: (places.value[self()] ?? 0) + 1 }
      })
      const fibers = Object.fromEntries(names(4).map((name) => [name, Effect.all([walk, walk])]))
      return { world: {}, fibers, interchangeable: [names(4)] }
    })
    expect(await statesOf(program, false)).toBe(3 ** 4)
    expect(await statesOf(program, true)).toBe(multisets(3, 4))
  })

  it("take what a name has written of itself along, whoever holds it", async () => {
    const program = programOf(() => {
      const holder = cell("holder", "")
      const use = Effect.andThen(
        guardedStep(
          "lock",
          () => holder.value === "",
          () => {
            holder.value = self()
          },
        ),
        step("unlock", () => {
          holder.value = ""
        }),
      )
      return {
        world: {},
        fibers: Object.fromEntries(names(3).map((name) => [name, use])),
        interchangeable: [names(3)],
      }
    })
    // Each is before, in or behind, and at most one is in.
    expect(await statesOf(program, false)).toBe(8 + 3 * 4)
    expect(await statesOf(program, true)).toBe(4 + 3)
  })

  it("in tuples stand in an order, and in records in none", async () => {
    const arrivals = (ordered: boolean) =>
      programOf(() => {
        const queue = cell<ReadonlyArray<string>>("queue", [])
        const set = cell<{ readonly [name: string]: true }>("set", {})
        const arrive = step("arrive", () => {
          if (ordered) queue.value = [...queue.value, self()]
          else set.value = { ...set.value, [self()]: true }
        })
        return {
          world: {},
          fibers: Object.fromEntries(names(3).map((name) => [name, arrive])),
          interchangeable: [names(3)],
        }
      })
    // Queues of three: 1 + 3 + 6 + 6; up to names, how long it is. Sets: 2^3, and how large.
    expect(await statesOf(arrivals(true), false)).toBe(16)
    expect(await statesOf(arrivals(true), true)).toBe(4)
    expect(await statesOf(arrivals(false), false)).toBe(8)
    expect(await statesOf(arrivals(false), true)).toBe(4)
  })

  it("that point to each other in different ways are different states", async () => {
    const program = programOf(() => {
      const next = new Map(names(3).map((name) => [name, cell(`${name}.next`, name)]))
      return {
        world: {},
        fibers: Object.fromEntries(
          names(3).map((name) => [
            name,
            Effect.flatMap(choose("other", names(3)), (other) =>
              step("point", () => {
                const mine = next.get(name)
                if (mine !== undefined) mine.value = other
              }),
            ),
          ]),
        ),
        interchangeable: [names(3)],
      }
    })
    const { ends, result } = await survey(program, "states", { symmetry: true })
    // The functions from three points to themselves, up to renaming: 7 (OEIS A001372).
    expect(ends).toBe(7)
    expect(result.violation).toBeUndefined()
    expect((await survey(program, "states", { symmetry: false })).ends).toBe(27)
  })

  it("may be several groups, and name fibers that are forked", async () => {
    const program = programOf(() => {
      const done = new Map([...names(2), "cpu0", "cpu1"].map((name) => [name, cell(`${name}.done`, 0)]))
      const work = (name: string) =>
        step("work", () => {
          const mine = done.get(name)
          if (mine !== undefined) mine.value++
        })
      const cpu = (name: string) => Effect.flatMap(fork(`${name}.helper`, work(name)), join)
      return {
        world: {},
        fibers: { gpu0: work("gpu0"), gpu1: work("gpu1"), cpu0: cpu("cpu0"), cpu1: cpu("cpu1") },
        interchangeable: [names(2), ["cpu0", "cpu1"]],
      }
    })
    const cpuStates = 4
    expect(await statesOf(program, false)).toBe(2 ** 2 * cpuStates ** 2)
    expect(await statesOf(program, true)).toBe(multisets(2, 2) * multisets(cpuStates, 2))
  })

  it("keep what is found: the counterexample has real names and is confirmed", async () => {
    const entered = (world: { readonly inside: Cell<number> }) => world.inside.value
    const property: Property<{ readonly inside: Cell<number> }> = {
      kind: "invariant",
      id: "alone",
      statement: "One at a time.",
      source: "test",
      holds: (world) => entered(world) < 3,
    }
    const program = programOf(() => {
      const inside = cell("inside", 0)
      const enter = step("enter", () => {
        inside.value++
      })
      return {
        world: { inside },
        fibers: Object.fromEntries(names(4).map((name) => [name, enter])),
        interchangeable: [names(4)],
      }
    }, [property])
    const { moves = [], violation } = await run(program, "states")
    expect(violation?.property).toBe("alone")
    const { steps, violations } = runMoves(program, moves)
    expect(new Set(steps.map(({ fiber }) => fiber)).size).toBe(3)
    expect(violations.map(({ property: id }) => id)).toContain("alone")
  })
})

interface World {
  readonly cells: ReadonlyMap<string, Cell<number>>
  readonly last: Cell<string>
}

/** Two devices and what is done by each, declared interchangeable. */
const declared = (
  work: (world: World, name: string) => Effect.Effect<unknown, unknown>,
  properties: ReadonlyArray<Property<World>> = [],
  initial: (name: string) => number = () => 0,
) =>
  programOf(() => {
    const world = {
      cells: new Map(names(2).map((name) => [name, cell(`${name}.x`, initial(name))])),
      last: cell("last", ""),
    }
    return {
      world,
      fibers: Object.fromEntries(names(2).map((name) => [name, work(world, name)])),
      interchangeable: [names(2)],
    }
  }, properties)

const write = (world: World, name: string, value: number) =>
  step("write", () => {
    const mine = world.cells.get(name)
    if (mine !== undefined) mine.value = value
  })

describe("a declaration that is wrong", () => {
  const cases: ReadonlyArray<readonly [name: string, program: Program, part: string]> = [
    [
      "of fibers that take different steps",
      declared((world, name) => (name === "gpu0" ? write(world, name, 1) : step("other", () => undefined))),
      "gpu0 reaches write() where gpu1 reaches other()",
    ],
    [
      "of fibers that part later",
      declared((world, name) =>
        Effect.andThen(write(world, name, 1), name === "gpu0" ? Effect.void : write(world, name, 2)),
      ),
      "gpu0 reaches its end where gpu1 reaches write()",
    ],
    [
      "of bodies that write different things",
      declared((world, name) => write(world, name, name === "gpu0" ? 1 : 2)),
      "write of fiber gpu1 leaves 2 in cell gpu1.x",
    ],
    [
      "of bodies that return different things",
      declared((_, name) => step("look", () => (name === "gpu0" ? 1 : 2))),
      "look of fiber gpu1 returns 2",
    ],
    [
      "of names that are told apart by a number",
      declared((_, name) => choose("number", name === "gpu0" ? [0] : [1])),
      "choice",
    ],
    [
      "of guards that differ",
      declared((world, name) =>
        Effect.andThen(
          write(world, name, 1),
          guardedStep(
            "wait",
            () => name === "gpu1" || world.cells.get("gpu1")?.value === 1,
            () => undefined,
          ),
        ),
      ),
      "the guard of wait is another",
    ],
    [
      "of a first state that differs",
      declared(
        (world, name) => write(world, name, 3),
        [],
        (name) => Number(name === "gpu0"),
      ),
      "in the first state cell gpu0.x is 1 where cell gpu1.x is 0",
    ],
    [
      "of somebody else who looks at one of them first",
      programOf(() => {
        const cells = new Map(names(2).map((name) => [name, cell(`${name}.x`, 0)]))
        const found = cell("found", "")
        const set = (name: string) =>
          step("set", () => {
            const mine = cells.get(name)
            if (mine !== undefined) mine.value = 1
          })
        return {
          world: {},
          fibers: {
            gpu0: set("gpu0"),
            gpu1: set("gpu1"),
            cpu: step("search", () => {
              found.value = names(2).find((name) => cells.get(name)?.value === 1) ?? ""
            }),
          },
          interchangeable: [names(2)],
        }
      }),
      "search of fiber cpu leaves",
    ],
    [
      "of an invariant that is about one of them",
      declared(
        (world, name) => write(world, name, 1),
        [
          {
            kind: "invariant",
            id: "about-gpu0",
            statement: "gpu0 comes first.",
            source: "test",
            holds: ({ cells }) => cells.get("gpu0")?.value === 1 || cells.get("gpu1")?.value === 0,
          },
        ],
      ),
      "",
    ],
    [
      "of an action invariant that is about one of them",
      declared(
        (world, name) =>
          step("last", () => {
            world.last.value = name
          }),
        [
          actionInvariant<World, string>({
            id: "order",
            statement: "gpu1 is not followed by gpu0.",
            source: "test",
            observe: ({ last }) => last.value,
            holds: (before, after) => before !== "gpu1" || after !== "gpu0",
          }),
        ],
      ),
      "",
    ],
  ]
  it.each(cases)("%s is reported", async (_, program, part) => {
    const { outcome, violation } = await run(program, "states")
    expect(outcome).toBe("violated")
    if (violation?.property !== builtIn.rules) {
      // What breaks for one of them breaks: that comes first, and it is true.
      expect(part).toBe("")
      return
    }
    expect(violation.message).toContain("gpu0 and gpu1 are declared interchangeable")
    expect(violation.message).toContain(part)
  })

  it("of names that are none, or alone, or twice, is refused at the start", async () => {
    for (const groups of [
      [["gpu0", "gpu 1"]],
      [
        ["gpu0", "gpu1"],
        ["gpu1", "gpu2"],
      ],
    ]) {
      const program = programOf(() => ({ world: {}, fibers: { a: Effect.void }, interchangeable: groups }))
      expect(() => program.start()).toThrow(/interchangeable/)
    }
  })
})

describe("a loop over all of them in any order", () => {
  /** A caller that visits each device once, in any order, twice. */
  const caller = (n: number) =>
    programOf(() => {
      const called = new Map(names(n).map((name) => [name, cell(`${name}.called`, 0)]))
      const call = (name: string) =>
        step("call", () => {
          const mine = called.get(name)
          if (mine !== undefined) mine.value++
        })
      const visit = Effect.gen(function* () {
        for (let round = 0; round < 2; round++) {
          let left: { readonly [name: string]: true } = Object.fromEntries(names(n).map((name) => [name, true]))
          while (Object.keys(left).length > 0) {
            yield* checkpoint("next", round, left)
            const name = yield* choose("device", Object.keys(left))
            const { [name]: _, ...others } = left
            left = others
            yield* call(name)
          }
        }
      })
      return { world: {}, fibers: { cpu: visit }, interchangeable: [names(n)] }
    })

  it("has as many states as it has steps", async () => {
    for (const n of [2, 3, 4]) {
      expect(await statesOf(caller(n), true)).toBe(4 * n + 1)
      expect(await statesOf(caller(n), false)).toBeGreaterThan(2 * 2 ** n)
    }
  })
})
