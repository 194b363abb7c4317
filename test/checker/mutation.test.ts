/** What the operators of mutation make of small programs, and what becomes of it. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  type Cell,
  cell,
  checkpoint,
  choose,
  exploreHere,
  guardedStep,
  MutationRun,
  type Parameters,
  type Plain,
  type Property,
  protocol,
  scenario,
  step,
} from "../../checker/index.ts"
import { lock, mutate, unlock } from "./mutating.ts"

/** Increments of so many fibers, under a lock. */
const increments = (fibers: number) => () => {
  const count = cell("count", 0)
  const held = cell("held", "")
  const increment = (name: string) =>
    Effect.gen(function* () {
      yield* lock(held, name)
      const seen = yield* step("load", () => count.value)
      yield* step("store", () => {
        count.value = seen + 1
      })
      yield* unlock(held)
    })
  const names = Array.from({ length: fibers }, (_, i) => `cpu${i}`)
  return { world: { count }, fibers: Object.fromEntries(names.map((name) => [name, increment(name)])) }
}

const locked = increments(2)

const eachCounts: Property<{ readonly count: Cell<number> }> = {
  kind: "atEnd",
  id: "no-lost-update",
  statement: "Each increment counts.",
  source: "arithmetic",
  holds: ({ count }) => count.value === 2,
}

describe("mutants of a counter under a lock", () => {
  it("are killed, each by what it breaks", async () => {
    const { verdicts, counts, killRate, trouble } = await mutate(locked, [eachCounts])
    expect(verdicts).toEqual({
      "leave-out lock": "killed no-lost-update",
      "leave-out store": "killed no-lost-update",
      "leave-out unlock": "killed deadlock",
      "swap lock | load": "killed no-lost-update",
      "swap store | unlock": "killed no-lost-update",
      "split lock": "killed no-lost-update",
      "drop-lock lock by cpu#": "killed no-lost-update",
      "open-guard lock": "killed no-lost-update",
    })
    expect({ counts, killRate, trouble }).toEqual({
      counts: { mutants: 8, killed: 8, equivalent: 0, invalid: 0, survived: 0, inconclusive: 0, explained: 0 },
      killRate: 1,
      trouble: [],
    })
  })

  it("survive where no property notices", async () => {
    const { verdicts, counts, killRate } = await mutate(locked)
    expect(verdicts["leave-out store"]).toBe("survived")
    expect(verdicts["leave-out unlock"]).toBe("killed deadlock")
    expect(counts).toMatchObject({ killed: 1, survived: 7 })
    expect(killRate).toBe(1 / 8)
  })

  it("say where and how they were killed", async () => {
    const { mutants } = await mutate(locked, [eachCounts])
    expect(mutants.find(({ id }) => id === "open-guard lock")).toMatchObject({
      operator: "open-guard",
      scenario: "test",
      bound: {},
      message: expect.stringContaining("Each increment counts."),
    })
  })
})

describe("survivors", () => {
  it("may be explained; explanations of others are wrong", async () => {
    const why = "the test says so"
    const survivors = { "leave-out store": why, "leave-out unlock": why, "leave-out nothing": why }
    const { mutants, counts, trouble } = await mutate(locked, [], { survivors })
    expect(mutants.find(({ id }) => id === "leave-out store")).toMatchObject({ verdict: "survived", explanation: why })
    expect(counts.explained).toBe(1)
    expect(trouble).toEqual([
      "the survivor leave-out unlock is explained, and it is killed",
      "the survivor leave-out nothing is explained, and there is no such mutant",
    ])
  })

  it("are not looked for among the steps of other protocols", async () => {
    const { verdicts } = await mutate(locked, [eachCounts], { steps: ["sto*"] })
    expect(Object.keys(verdicts)).toEqual(["leave-out store", "swap store | unlock"])
  })

  it("are not looked for among the steps of the environment, nor beside them", async () => {
    const { verdicts } = await mutate(locked, [eachCounts], {
      steps: ["store", "load"],
      environment: ["lo?k", "unlock"],
    })
    const all = await mutate(locked, [eachCounts], { steps: ["store", "load"] })
    const beside = ["swap lock | load", "swap store | unlock"]
    expect(Object.keys(all.verdicts)).toEqual(expect.arrayContaining(beside))
    expect(Object.keys(verdicts)).toEqual(Object.keys(all.verdicts).filter((id) => !beside.includes(id)))
  })

  it("are inconclusive, with the reason, where the budget ends first", async () => {
    const only = "leave-out lock"
    const { verdicts, counts } = await mutate(increments(3), [], { budget: { maxStates: 1_000, only } })
    expect([verdicts, counts.inconclusive]).toEqual([{ [only]: "survived" }, 0])
    const cut = await mutate(increments(3), [], { budget: { maxStates: 12, only } })
    expect(cut.verdicts).toEqual({ [only]: "inconclusive test: the budget of 60 states ran out" })
    expect([cut.counts.inconclusive, cut.killRate]).toEqual([1, 0])
  })

  it("are asked once more, at five times the states, where the budget ends first, and nowhere else", async () => {
    const askedAt = async (maxStates: number, only: string, properties = [eachCounts]) => {
      const asked: Array<number | undefined> = []
      const { verdicts } = await mutate(locked, properties, {
        budget: { maxStates, only },
        exploreMutant: (mutant, rung, options) => {
          asked.push(options.maxStates)
          return exploreHere(mutant, rung, options)
        },
      })
      return [verdicts[only], asked]
    }
    expect(await askedAt(12, "leave-out lock")).toEqual(["killed no-lost-update", [12, 60]])
    expect(await askedAt(100, "leave-out lock")).toEqual(["killed no-lost-update", [100]])
    expect(await askedAt(100, "leave-out store", [])).toEqual(["survived", [100]])
  })

  it("are asked at the larger bound too, and a mutant is made of what only that takes", async () => {
    const setup = ({ fibers = 0 }: { readonly [name: string]: number }) => {
      const { world, fibers: all } = increments(fibers)()
      return { world: { ...world, fibers }, fibers: all }
    }
    const counts: Property<{ readonly count: Cell<number>; readonly fibers: number }> = {
      ...eachCounts,
      kind: "atEnd",
      holds: ({ count, fibers }) => count.value === fibers,
    }
    const parameters = { fibers: { description: "fibers", default: 2, min: 1, max: 2 } }
    const { mutants } = await mutate(setup, [counts], { parameters })
    const bounds = Object.fromEntries(mutants.map(({ id, bound }) => [id, bound?.fibers]))
    expect(bounds["leave-out store"]).toBe(1)
    expect(bounds["drop-lock lock by cpu#"]).toBe(2)
  })

  it("are asked in every one of a few scenarios, however many bounds of others have shown the same", async () => {
    const parameters: Parameters = Object.fromEntries(
      Array.from({ length: 30 }, (_, position) => [
        `p${position}`,
        { description: "of no use", default: 0, min: 0, max: 1 },
      ]),
    )
    const shape = { summary: "a test", setup: locked }
    const scenarios = [
      scenario({ ...shape, id: "of-many-bounds", parameters, properties: [] }),
      scenario({ ...shape, id: "that-notices", parameters: {}, properties: [eachCounts] }),
    ]
    const run = new MutationRun(protocol({ id: "test", title: "a test", scenarios }))
    const budget = { maxSteps: 500, maxStates: 10_000, only: "leave-out lock" }
    const { mutants } = await Effect.runPromise(run.carryOut(budget, exploreHere))
    expect(mutants).toMatchObject([{ verdict: "killed", scenario: "that-notices", property: eachCounts.id }])
  })

  it("are not looked for in a scenario that does not hold", async () => {
    const never: typeof eachCounts = { ...eachCounts, kind: "atEnd", holds: () => false }
    const { mutants, trouble } = await mutate(locked, [never])
    expect(mutants).toEqual([])
    expect(trouble).toEqual([expect.stringContaining("test breaks no-lost-update as it is")])
  })
})

/** One fiber makes something and says so, another waits for it. */
const handover = () => {
  const data = cell("data", 0)
  const ready = cell("ready", false)
  const seen = cell("seen", -1)
  const asleep = cell("asleep", 0)
  return {
    world: { seen },
    fibers: {
      maker: step("publish", () => {
        data.value = 1
        ready.value = true
        return "done"
      }),
      taker: Effect.gen(function* () {
        yield* step("prepare", () => {
          asleep.value = 1
        })
        yield* guardedStep(
          "take",
          () => ready.value,
          () => {
            seen.value = data.value
          },
        )
      }),
    },
  }
}

const complete: Property<{ readonly seen: Cell<number> }> = {
  kind: "invariant",
  id: "complete",
  statement: "What is taken was made.",
  source: "the test",
  holds: ({ seen }) => seen.value !== 0,
}

describe("mutants of a wake-up", () => {
  it("are killed: early, not at all, and not waited for", async () => {
    const { verdicts } = await mutate(handover, [complete])
    expect(verdicts).toEqual({
      "leave-out prepare": "equivalent nothing reads what it changes: no other step, no guard and no property",
      "leave-out take": "survived",
      "swap prepare | take": "equivalent they are independent, and nobody else sees what prepare does",
      "split take": "equivalent its second half commutes with whatever others do in between",
      "open-guard take": "killed complete",
      "wake-early publish": "killed complete",
      "lose-wake-up publish": "killed deadlock",
    })
  })

  it("are of what the steps do themselves, not of what monitors note of them", async () => {
    const watched = () => {
      const { world, fibers } = handover()
      const gate = cell("gate", false)
      const notes = cell<ReadonlyArray<string>>("notes", [])
      const note = ({ fiber }: { readonly fiber: string }) => {
        notes.value = [...notes.value, fiber]
      }
      return {
        world,
        fibers: {
          ...fibers,
          opener: step("open", () => {
            gate.value = true
          }),
          reader: guardedStep(
            "read",
            () => gate.value,
            () => gate.value,
          ),
        },
        monitors: [{ open: note, read: note, publish: note }],
      }
    }
    const { mutants } = await mutate(watched, [complete])
    const split = mutants.map(({ id }) => id).filter((id) => /^(split|wake-early|lose-wake-up) /.test(id))
    expect(split).toEqual(["split take", "wake-early publish", "lose-wake-up publish"])
  })
})

describe("equivalent mutants", () => {
  it("are those of which the correct program shows it, with the reason", async () => {
    const setup = () => {
      const own = cell("own", 0)
      const other = cell("other", 0)
      return {
        world: { other },
        fibers: {
          cpu0: Effect.gen(function* () {
            yield* step("nothing", () => undefined)
            yield* guardedStep(
              "count",
              () => own.value === 0,
              () => {
                own.value++
              },
            )
            yield* step("copy", () => {
              other.value = own.value
            })
            yield* step("last", () => own.value)
          }),
          cpu1: step("look", () => other.value),
        },
      }
    }
    const small: Property<{ readonly other: Cell<number> }> = {
      kind: "invariant",
      id: "small",
      statement: "It counts to one.",
      source: "the test",
      holds: ({ other }) => other.value < 2,
    }
    const { verdicts } = await mutate(setup, [small])
    expect(verdicts).toEqual({
      "leave-out nothing": "equivalent it changes nothing, and never waits",
      "leave-out count": "survived",
      "leave-out copy": "survived",
      "swap nothing | count": "equivalent they are independent, and nobody else sees what nothing does",
      "swap count | copy": "survived",
      "swap copy | last": "equivalent they are independent, and nobody else sees what last does",
      "split count": "equivalent nobody else changes what it reads",
      "split copy": "equivalent nobody else changes what it reads",
      "open-guard count": "equivalent its guard is never false",
    })
  })

  it("are those of which it is proved, though the correct program was not explored in full", async () => {
    const only = "split take"
    const proved = { [only]: "equivalent its second half commutes with whatever others do in between" }
    for (const maxStates of [10_000, 32]) {
      const { verdicts } = await mutate(handover, [complete], { budget: { only, maxStates } })
      expect(verdicts).toEqual(proved)
    }
  })

  it("are not those whose steps a property watches between", async () => {
    const setup = () => {
      const first = cell("first", 0)
      const second = cell("second", 0)
      const set = (of: Cell<number>) =>
        step(`set ${of.name}`, () => {
          of.value = 1
        })
      return {
        world: { first, second },
        fibers: {
          cpu0: Effect.andThen(
            set(first),
            Effect.andThen(
              set(second),
              step("end", () => 0),
            ),
          ),
        },
      }
    }
    const inOrder: Property<{ readonly first: Cell<number>; readonly second: Cell<number> }> = {
      kind: "invariant",
      id: "in-order",
      statement: "The first comes first.",
      source: "the test",
      holds: ({ first, second }) => first.value >= second.value,
    }
    const { verdicts } = await mutate(setup, [inOrder])
    expect(verdicts["swap set first | set second"]).toBe("killed in-order")
  })

  it("are not those in which a step waits for ever while others go on", async () => {
    const setup = () => {
      const isOpen = cell("isOpen", false)
      const mark = cell("mark", 0)
      const seen = cell("seen", 0)
      const pass = guardedStep(
        "pass",
        () => isOpen.value,
        () => undefined,
      )
      const set = <A extends Plain>(of: Cell<A>, value: A) =>
        step(`${of.name} = ${value}`, () => {
          of.value = value
        })
      const opened = Effect.flatMap(choose("opens", [true, false]), (opens) => set(isOpen, opens))
      const watch = Effect.forever(
        Effect.andThen(
          checkpoint("watches"),
          step("watch", () => {
            seen.value = mark.value
          }),
        ),
      )
      const cpu0 = Effect.all([opened, pass, set(mark, 1), pass, set(isOpen, false)], { discard: true })
      return { world: {}, fibers: { cpu0, watcher: watch } }
    }
    const { verdicts } = await mutate(setup)
    expect(verdicts).toMatchObject({ "swap pass | mark = 1": "survived", "swap pass | isOpen = false": "survived" })
  })

  it("a lock for which nobody waits may as well not be taken", async () => {
    const setup = () => {
      const held = cell("held", "")
      return { world: {}, fibers: { cpu0: Effect.andThen(lock(held, "cpu0"), unlock(held)) } }
    }
    const { verdicts } = await mutate(setup)
    expect(verdicts["drop-lock lock by cpu#"]).toBe("equivalent nobody ever waits for the lock")
  })
})

describe("what is no program any more", () => {
  it("is neither killed nor alive", async () => {
    const setup = () => {
      const tries = cell("tries", 0)
      const fiber = Effect.gen(function* () {
        let isDone: boolean | undefined = false
        while (isDone === false) {
          yield* step("try", () => {
            tries.value++
          })
          isDone = tries.name === "other"
        }
      })
      return { world: {}, fibers: { fiber, other: step("other", () => undefined) } }
    }
    const { mutants, killRate, counts } = await mutate(setup, [], { budget: { only: "leave-out try", maxStates: 40 } })
    expect(mutants).toMatchObject([{ verdict: "invalid", reason: expect.stringContaining("without reaching a step") }])
    expect([counts.invalid, killRate]).toEqual([1, 1])
  })
})
