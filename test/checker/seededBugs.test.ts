/** Seeded bugs on a tiny protocol: a page that is unmapped and freed under a lock while a device uses it. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  type Cell,
  cell,
  changeBody,
  changeGuard,
  changeResult,
  checkpoint,
  choose,
  guardedStep,
  leaveOut,
  moveBehind,
  type Protocol,
  protocol,
  type Replacement,
  type Replacements,
  runMoves,
  type SeededBug,
  scenario,
  step,
} from "../../checker/index.ts"
import { run, unconfirmed } from "./support.ts"

interface World {
  readonly lock: Cell<string>
  readonly mapped: Cell<boolean>
  readonly inUse: Cell<number>
  readonly freed: Cell<boolean>
}

const lockFor = ({ lock }: World, me: string) =>
  guardedStep(
    "lock",
    [me],
    () => lock.value === "",
    () => {
      lock.value = me
    },
  )
const unlock = ({ lock }: World) =>
  step("unlock", () => {
    lock.value = ""
  })

const device = (world: World) =>
  Effect.gen(function* () {
    for (let round = 0; round < 2; round++) {
      yield* checkpoint("dma", round)
      yield* lockFor(world, "device")
      const usable = yield* step("look_up", () => world.mapped.value)
      if (usable)
        yield* step("get_page", () => {
          world.inUse.value++
        })
      yield* unlock(world)
      const slow = yield* choose("slow", [false, true])
      if (slow) yield* step("idle", () => undefined)
      if (usable)
        yield* step("put_page", () => {
          world.inUse.value--
        })
    }
  })

const cpu = (world: World) =>
  Effect.gen(function* () {
    yield* lockFor(world, "cpu")
    yield* step("unmap", () => {
      world.mapped.value = false
    })
    yield* unlock(world)
    yield* guardedStep(
      "wait_unpinned",
      () => world.inUse.value === 0,
      () => undefined,
    )
    yield* step("free", () => {
      world.freed.value = true
    })
  })

const pages = scenario<World>({
  id: "pages",
  summary: "a page is freed while a device uses it",
  setup: () => {
    const world = {
      lock: cell("lock", ""),
      mapped: cell("mapped", true),
      inUse: cell("inUse", 0),
      freed: cell("freed", false),
    }
    return { world, fibers: { device: device(world), cpu: cpu(world) } }
  },
  properties: [
    {
      kind: "invariant",
      id: "no-use-after-free",
      statement: "A page in use is not free.",
      source: "test",
      holds: ({ inUse, freed }) => !freed.value || inUse.value === 0,
    },
    {
      kind: "atEnd",
      id: "page-is-freed",
      statement: "The page is free in the end.",
      source: "test",
      holds: ({ freed }) => freed.value,
    },
    {
      kind: "atEnd",
      id: "all-returned",
      statement: "In the end nobody uses the page.",
      source: "test",
      holds: ({ inUse }) => inUse.value === 0,
    },
  ],
})

const bug = (id: string, breaks: string, at: SeededBug<World>["at"]): SeededBug<World> => ({
  id,
  title: id,
  source: "test",
  scenario: "pages",
  breaks,
  at,
})

const refused: Replacement = () => Effect.fail("refused")

const bugs: ReadonlyArray<SeededBug<World>> = [
  bug("no-unmap", "no-use-after-free", () => ({ unmap: leaveOut() })),
  bug("no-unlock", "deadlock", () => ({ unlock: leaveOut() })),
  bug("no-lookup", "no-use-after-free", () => ({ look_up: leaveOut(true) })),
  bug("lookup-ignored", "no-use-after-free", () => ({ look_up: changeResult(() => true) })),
  bug("no-wait", "no-use-after-free", () => ({ wait_unpinned: changeGuard() })),
  bug("wait-for-more", "deadlock", ({ inUse }) => ({ wait_unpinned: changeGuard(() => inUse.value === 9) })),
  bug("free-nothing", "page-is-freed", () => ({ free: changeBody(() => undefined) })),
  bug("get-twice", "deadlock", ({ inUse }) => ({
    get_page: changeBody(() => {
      inUse.value += 2
    }),
  })),
  bug("free-first", "no-use-after-free", () => moveBehind("wait_unpinned", "free")),
  bug("unmap-late", "no-use-after-free", () => moveBehind("unmap", "wait_unpinned")),
  bug("split", "no-use-after-free", ({ freed }) => ({
    wait_unpinned: (original) =>
      Effect.andThen(
        original,
        step("free_early", () => {
          freed.value = true
          return undefined
        }),
      ),
    look_up: changeResult(() => true),
  })),
  bug("refused", "failure", () => ({ get_page: refused })),
  bug("twice", "deadlock", () => ({ lock: (original) => Effect.andThen(original, original) })),
  bug("once-per-run", "deadlock", () => {
    let calls = 0
    return { put_page: (original) => (++calls === 2 ? Effect.succeed(undefined) : original) }
  }),
  bug("device-alone", "deadlock", (_, fiber): Replacements => (fiber === "device" ? { unlock: leaveOut() } : {})),
  bug("cpu-never-slow", "nothing", () => ({ slow: changeResult(() => false) })),
  bug("unknown-step", "nothing", () => ({ no_such_step: leaveOut() })),
  bug("same", "nothing", () => ({
    unmap: (original) => original,
    slow: changeGuard(),
    look_up: changeResult((r) => r),
  })),
]

const tiny: Protocol = protocol({ id: "tiny", title: "a tiny protocol", scenarios: [pages], bugs })

const program = (mutant?: string) => {
  const [entry] = tiny.scenarios
  if (entry === undefined) throw new Error("there is no scenario")
  return entry.program({}, mutant)
}

describe("seeded bugs", () => {
  it("are off unless one is asked for", async () => {
    expect(program().mutant).toBeUndefined()
    for (const strategy of ["states", "dfs"]) expect((await run(program(), strategy)).outcome).toBe("holds")
  })

  for (const { id, breaks } of bugs) {
    it(`${id} breaks ${breaks}`, async () => {
      const mutant = program(id)
      expect(mutant).toMatchObject({ mutant: id, breaks })
      for (const strategy of ["states", "dfs"]) {
        const result = await run(mutant, strategy, { target: breaks })
        expect(result.outcome, strategy).toBe(breaks === "nothing" ? "holds" : "violated")
        if (breaks === "nothing") continue
        expect(result.violation?.property).toBe(breaks)
        expect(unconfirmed(mutant, result)).toBeUndefined()
      }
    })
  }

  it("that change nothing leave all states as they were", async () => {
    const { statistics } = await run(program(), "states")
    for (const id of ["same", "unknown-step"]) expect((await run(program(id), "states")).statistics).toEqual(statistics)
    expect((await run(program("cpu-never-slow"), "states")).statistics.states).toBeLessThan(statistics.states)
  })

  it("leave the step that was left out out of the steps, and show the one that was moved at its new place", async () => {
    const labels = async (id: string, target: string) => {
      const result = await run(program(id), "dfs", { target })
      return runMoves(program(id), result.moves ?? []).steps.map(({ fiber, label }) => `${fiber} ${label}`)
    }
    const without = await labels("no-unmap", "no-use-after-free")
    expect(without).not.toContain("cpu unmap")
    expect(without).toContain("cpu free")
    const moved = await labels("unmap-late", "no-use-after-free")
    expect(moved.indexOf("cpu unmap")).toBeGreaterThan(moved.indexOf("cpu wait_unpinned"))
    expect(moved.filter((label) => label === "cpu unmap")).toHaveLength(1)
  })

  it("mark in the trace the steps that they changed, and no others", async () => {
    const marked = async (id: string, target: string) => {
      const result = await run(program(id), "dfs", { target })
      const { steps, leftOut } = runMoves(program(id), result.moves ?? [])
      const changed = steps.filter((step) => step.changed).map(({ fiber, label }) => `${fiber} ${label}`)
      return new Set([...changed, ...leftOut.map(({ fiber, label }) => `no ${fiber} ${label}`)])
    }
    expect(await marked("no-unmap", "no-use-after-free")).toEqual(new Set(["no cpu unmap"]))
    expect(await marked("free-nothing", "page-is-freed")).toEqual(new Set(["cpu free"]))
    expect(await marked("unmap-late", "no-use-after-free")).toEqual(
      new Set(["no cpu unmap", "cpu wait_unpinned", "cpu unmap"]),
    )
    expect(await marked("once-per-run", "deadlock")).toEqual(new Set(["no device put_page"]))
  })
})
