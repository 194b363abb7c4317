/** What speaks against calling a mutant equivalent, or killed: larger bounds, interruptions, orders of locks, the protocol. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  cell,
  checkpoint,
  choose,
  declareLock,
  fork,
  guardedStep,
  interrupt,
  join,
  type Lock,
  lockOrder,
  type Property,
  type Setup,
  scenario,
  self,
  step,
} from "../../checker/index.ts"
import { killsNothing, lock, mutate, mutateAll, unlock } from "./mutating.ts"

const upTo = (max: number, min: number, description = "how many") => ({ description, default: max, min, max })

const scenarioOf = <World>(id: string, setup: () => Setup<World>, properties: ReadonlyArray<Property<World>> = []) =>
  scenario({ id, summary: id, parameters: {}, setup, properties })

describe("a mutant of which the small bounds show that it does the same", () => {
  it("is killed where a larger one shows otherwise, too large to be explored in full", async () => {
    const { verdicts } = await mutate(
      ({ fibers = 1, rounds = 1 }) => {
        const [count, held] = [cell("count", 0), cell("held", "")]
        const increment = (name: string) =>
          Effect.gen(function* () {
            yield* lock(held, name)
            let seen = 0
            for (let i = 0; i < rounds; i++) seen = yield* step("load", () => count.value)
            yield* step("store", () => {
              count.value = seen + 1
            })
            yield* unlock(held)
          })
        const names = Array.from({ length: fibers }, (_, i) => `cpu${i}`)
        return { world: { count, fibers }, fibers: Object.fromEntries(names.map((name) => [name, increment(name)])) }
      },
      [
        {
          kind: "atEnd",
          id: "each-counts",
          statement: "Each counts.",
          source: "test",
          holds: ({ count, fibers }) => count.value === fibers,
        },
      ],
      { parameters: { fibers: upTo(2, 1), rounds: { ...upTo(2, 1), default: 1 } }, budget: { maxStates: 100 } },
    )
    for (const id of ["open-guard lock", "drop-lock lock by cpu#", "split lock", "swap lock | load"]) {
      expect([id, verdicts[id]]).toEqual([id, "killed each-counts"])
    }
  })

  it("is not equivalent if its fiber may be interrupted between the two steps", async () => {
    const worker = (setup: () => Effect.Effect<unknown>) =>
      Effect.gen(function* () {
        const forked = yield* fork("worker", setup())
        if (yield* choose("stop", [true, false])) yield* interrupt(forked)
        yield* join(forked)
      })
    const evident = () => {
      const [noted, count] = [cell("noted", false), cell("count", 0)]
      const work = () =>
        Effect.gen(function* () {
          yield* step("note", () => {
            noted.value = true
          })
          yield* step("charge", () => {
            count.value++
          })
          yield* step("work", () => 0)
        })
      const cleanUp = step("clean up", () => {
        if (noted.value && count.value > 0) count.value--
        return 0
      })
      return { world: { noted, count }, fibers: { main: worker(() => Effect.onInterrupt(work(), () => cleanUp)) } }
    }
    const isNoted: Property<ReturnType<typeof evident>["world"]> = {
      kind: "atEnd",
      id: "noted",
      statement: "What is charged was noted.",
      source: "test",
      holds: ({ noted, count }) => count.value === 0 || noted.value,
    }
    expect((await mutate(evident)).verdicts["swap note | charge"]).toBe("survived")
    expect((await mutate(evident, [isNoted])).verdicts["swap note | charge"]).toBe("killed noted")
  })

  it("is not equivalent if an order of locks is about them, be it asked in one scenario only", async () => {
    const two = (ticks: number) => () => {
      const mutex = (name: string) => {
        const holder = cell(name, "")
        const declared: Lock = declareLock({
          name,
          kind: name,
          holders: () => (holder.value === "" ? [] : [{ fiber: holder.value, shared: false }]),
        })
        const wait = { on: name, kind: name, sleeps: false, hindrances: () => [] }
        return {
          take: guardedStep(
            `take ${name}`,
            [],
            () => holder.value === "",
            () => {
              holder.value = self()
            },
            { ...wait, takes: () => [{ lock: declared, shared: false }] },
          ),
          give: step(`give ${name}`, () => {
            holder.value = ""
          }),
        }
      }
      const [a, b] = [mutex("a"), mutex("b")]
      const other = Effect.forEach(Array.from({ length: ticks }), () => step("tick", () => 0))
      const cpu = Effect.all([a.take, b.take, step("work", () => 0), b.give, a.give, step("end", () => 0)])
      return { world: {}, fibers: { cpu, other } }
    }
    const { verdicts } = await mutateAll([
      scenarioOf("one", two(1)),
      scenarioOf("two", two(2)),
      scenarioOf("three", two(3), [lockOrder(["a", "b"], "test")]),
    ])
    expect(verdicts["swap take a | take b"]).toBe("killed lock-order")
  })

  it("is not proved to do the same if it may wait for ever before what the protocol does first", async () => {
    const setup = () => {
      const noted = cell("noted", false)
      const note = step("note", () => {
        noted.value = true
      })
      const wait = guardedStep(
        "wait",
        () => noted.value,
        () => 0,
      )
      return { world: {}, fibers: { cpu: Effect.andThen(note, wait) } }
    }
    const { verdicts } = await mutate(setup, [], { exploreMutant: killsNothing, budget: { only: "swap *" } })
    expect(verdicts).toEqual({ "swap note | wait": "survived" })
  })

  it("is not proved to do the same by what fibers see, where a property was not asked everywhere", async () => {
    const clearing = (position: number, pads: number) => () => {
      const [pte, tlb, log] = [cell("pte", 1), cell("tlb", 1), cell("log", 0)]
      const cpu = Effect.gen(function* () {
        yield* step("clear", () => {
          pte.value = 0
        })
        yield* step("flush", () => {
          tlb.value = 0
        })
        yield* step("free", () => 0)
      })
      const others = Array.from({ length: pads }, (_, i) => cell(`pad${i}`, 0))
      const other = Effect.forEach(others, (pad) =>
        step(`other${position} ${pad.name}`, () => {
          pad.value = 1
          return 0
        }),
      )
      const reader = step("read", () => {
        log.value = pte.value
        return 0
      })
      return { world: { pte, tlb }, fibers: { cpu, other, reader } }
    }
    const order: Property<ReturnType<ReturnType<typeof clearing>>["world"]> = {
      kind: "invariant",
      id: "cleared-first",
      statement: "What is flushed was cleared.",
      source: "test",
      holds: ({ pte, tlb }) => tlb.value === 1 || pte.value === 0,
    }
    const many = Array.from({ length: 230 }, (_, i) => scenarioOf(`s${i}`, clearing(i, 10)))
    const budget = { maxStates: 770, only: "swap clear | flush" }
    const { mutants } = await mutateAll([...many, scenarioOf("last", clearing(99, 11), [order])], { budget })
    expect(mutants.map(({ verdict }) => verdict)).toEqual(["inconclusive"])
  })
})

describe("what the protocol breaks itself", () => {
  it("kills no mutant: a promise at the smallest bound", async () => {
    const { mutants, trouble } = await mutate(
      ({ helpers = 0 }) => {
        const [go, own] = [cell("go", false), cell("own", 0)]
        const waiter = Effect.gen(function* () {
          yield* step("note", () => {
            own.value = 1
          })
          for (;;) {
            yield* checkpoint("poll")
            if (yield* step("look", () => go.value)) break
          }
        })
        const helper = step("help", () => {
          go.value = true
          return 1
        })
        return { world: { go }, fibers: { waiter, ...(helpers === 0 ? {} : { helper }) } }
      },
      [
        {
          kind: "leadsTo",
          id: "waiter-ends",
          statement: "The waiter ends.",
          source: "test",
          to: (_, { ended }) => ended("waiter"),
        },
      ],
      { parameters: { helpers: upTo(1, 0) } },
    )
    expect(mutants.length).toBeGreaterThan(0)
    for (const { id, verdict, bound } of mutants) {
      expect([id, verdict === "killed" && bound?.helpers === 0]).toEqual([id, false])
    }
    expect(trouble).toEqual([expect.stringMatching(/^test, at helpers=0, breaks waiter-ends as it is: /)])
  })

  it("kills no mutant: beyond the states that learning visits", async () => {
    const { mutants, trouble } = await mutate(
      ({ others = 0 }) => {
        const [own, begun, bad] = [cell("own", 0), cell("begun", false), cell("bad", false)]
        const flip = Effect.gen(function* () {
          yield* step("note", () => {
            own.value = 1 - own.value
          })
          yield* step("go", () => own.value)
        })
        const begin = Effect.forEach([1, 2, 3], (turn) =>
          step("begin", [turn], () => {
            begun.value = true
            return 0
          }),
        )
        const last = step("last", () => {
          bad.value = !begun.value
          return 0
        })
        const beginners = Object.fromEntries(Array.from({ length: 4 * others }, (_, i) => [`b${i}`, begin]))
        return { world: { bad }, fibers: { flip, ...beginners, ...(others === 0 ? {} : { last }) } }
      },
      [
        {
          kind: "invariant",
          id: "not-bad",
          statement: "It is not bad.",
          source: "test",
          holds: ({ bad }) => !bad.value,
        },
      ],
      { parameters: { others: upTo(1, 0) }, budget: { maxStates: 3_000 } },
    )
    expect(mutants.length).toBeGreaterThan(0)
    for (const { id, verdict } of mutants) expect([id, verdict]).not.toEqual([id, "killed"])
    expect(trouble).toEqual([expect.stringMatching(/^test, at others=1, breaks not-bad as it is: /)])
  })
})
