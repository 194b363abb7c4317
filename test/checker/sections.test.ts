/** Code that forbids what is waited for in it, and what is said of those who wait. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  builtIn,
  type Cell,
  cell,
  fork,
  guardedStep,
  join,
  type Program,
  type Section,
  self,
  step,
  within,
} from "../../checker/index.ts"
import { programOf } from "./support.ts"
import { broken, holds } from "./threeCells.ts"

const lock = (at: Cell<string>, sleeps = true) =>
  guardedStep(
    "mutex_lock",
    [at.name],
    () => at.value === "",
    () => {
      at.value = self()
    },
    {
      on: at.name,
      kind: at.name,
      sleeps,
      hindrances: () => (at.value === "" ? [] : [{ fiber: at.value, how: "holds" }]),
    },
  )

const unlock = (at: Cell<string>) =>
  step("mutex_unlock", [at.name], () => {
    at.value = ""
  })

const callback = (reason: string, forbids: (kind: string, sleeps: boolean) => boolean): Section => ({
  name: "invalidate",
  forbids: ({ kind, sleeps }) => (forbids(kind, sleeps) ? reason : undefined),
})

const over = (fibers: (a: Cell<string>, b: Cell<string>) => { readonly [name: string]: Effect.Effect<unknown> }) =>
  programOf(() => ({ world: undefined, fibers: fibers(cell("a", ""), cell("b", "")) }))

const atomic = callback("it may not sleep", (_, sleeps) => sleeps)

describe("a section", () => {
  it("is broken by a wait that it forbids, though nobody has to wait", async () => {
    const program = over((a) => ({ cpu0: within(atomic, Effect.all([lock(a), unlock(a)])) }))
    expect(await broken(program, builtIn.context)).toBe(
      "fiber cpu0, in mutex_lock(a): in invalidate it waits for a: it may not sleep",
    )
  })

  it("names who has what may not be waited for", async () => {
    const taken = callback("its caller may hold it", (kind) => kind === "a")
    const program = over((a) => ({ cpu0: Effect.all([lock(a), within(taken, lock(a)), unlock(a)]) }))
    expect(await broken(program, builtIn.context)).toBe(
      "fiber cpu0, in mutex_lock(a): in invalidate it waits for a, which cpu0 holds: its caller may hold it",
    )
  })

  it("leaves alone what it does not forbid, what is outside, and what spins", async () => {
    await holds(
      over((a, b) => ({
        cpu0: Effect.all([
          lock(a),
          within(atomic, Effect.all([lock(b, false), unlock(b)])),
          unlock(a),
          lock(b),
          unlock(b),
        ]),
        cpu1: Effect.all([lock(a), unlock(a)]),
      })),
    )
  })

  it("holds inside another one too, and not in a fiber that is forked in it", async () => {
    const open = callback("", () => false)
    const nested = over((a) => ({ cpu0: within(atomic, within(open, Effect.all([lock(a), unlock(a)]))) }))
    await broken(nested, builtIn.context)
    const work = over((a) => ({ cpu0: within(atomic, fork("work", Effect.all([lock(a), unlock(a)]))) }))
    await holds(work)
  })
})

describe("a deadlock", () => {
  const waits = (program: Program) => broken(program, builtIn.deadlock)
  const open = callback("", () => false)

  it("names the code that waits on its own caller", async () => {
    const program = over((a) => ({ cpu0: Effect.all([lock(a), within(open, lock(a)), unlock(a)]) }))
    expect(await waits(program)).toBe(
      "cpu0 waits in mutex_lock(a), called in invalidate, for a, which cpu0 holds; cpu0 waits for itself",
    )
  })

  it("goes through work that somebody waits for the end of", async () => {
    const program = over((a) => ({
      cpu0: Effect.gen(function* () {
        yield* lock(a)
        const work = yield* fork("work", Effect.all([lock(a), unlock(a)]))
        yield* within(open, join(work))
        yield* unlock(a)
      }),
    }))
    expect(await waits(program)).toBe(
      "cpu0 waits in join(work), called in invalidate, for its end; " +
        "work waits in mutex_lock(a) for a, which cpu0 holds; cpu0 waits for work, work waits for cpu0",
    )
  })
})
