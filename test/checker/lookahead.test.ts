/** Moves that are left out because it is known where they lead: never one that leads elsewhere. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { actionInvariant, type Cell, cell, checkpoint, guardedStep, step } from "../../checker/index.ts"
import { programOf, run, survey } from "./support.ts"

describe("a move that is left out", () => {
  it("is possible again once any cell that its guard ever read is written", async () => {
    // The guard reads the flag for the first time when it has long been found that its contents hardly ever come again.
    const turns = 2500
    const program = programOf(() => {
      const [count, flag, done] = [cell("count", 0), cell("flag", false), cell("done", false)]
      const fibers = {
        waits: guardedStep(
          "wait",
          () => count.value === turns && flag.value,
          () => {
            done.value = true
          },
        ),
        counts: Effect.gen(function* () {
          for (let i = 1; i <= turns; i++) {
            yield* step("count", () => {
              count.value = i
            })
          }
          yield* step("raise", () => {
            flag.value = true
          })
        }),
      }
      return { world: {}, fibers }
    })
    const { outcome, statistics, violation } = await run(program, "states", { maxSteps: 2 * turns })
    expect(violation).toBeUndefined()
    expect(outcome).toBe("holds")
    expect(statistics).toMatchObject({ states: turns + 3, transitions: turns + 2 })
  })

  it("is made after all if an action invariant has come to look at what it writes", async () => {
    // What `drop` does is known before the flag is up for the first time, and the invariant looks at x only then. The
    // drop that breaks it leads into a state that was visited by way of another drop, one before the flag was up.
    const program = programOf(() => {
      const [x, ticked, flag] = [cell("x", 1), cell("ticked", false), cell("flag", false)]
      const set = <A>(name: string, target: Cell<A>, value: A, guard = () => true) =>
        guardedStep(name, guard, () => {
          target.value = value
        })
      const fibers = {
        swings: Effect.forever(
          Effect.andThen(
            checkpoint("swing"),
            Effect.andThen(
              set("drop", x, 0, () => x.value === 1),
              set("lift", x, 1, () => !flag.value),
            ),
          ),
        ),
        ticks: guardedStep(
          "tick",
          () => x.value === 1,
          () => {
            ticked.value = true
            x.value = 1 // so that it is looked at anew what can drop
          },
        ),
        raises: set("raise", flag, true, () => ticked.value),
      }
      return { world: { x, flag }, fibers }
    }, [
      actionInvariant({
        id: "no-drop",
        statement: "x does not drop while the flag is up.",
        source: "test",
        observe: ({ x, flag }: { readonly x: Cell<number>; readonly flag: Cell<boolean> }) =>
          flag.value ? x.value : "down",
        holds: (before, after) => before !== 1 || after !== 0,
      }),
    ])
    expect((await run(program, "states", { target: "no-drop" })).violation?.property).toBe("no-drop")
  })

  it("is known by its own cells, however many there are", async () => {
    // More cells than there are bits to tell them apart quickly, and steps that read and write far from each other.
    const program = programOf(() => {
      const cells = Array.from({ length: 150 }, (_, i) => cell(`c${i}`, 0))
      const copy = (from: number, to: number) =>
        step("copy", [from, to], () => {
          const [source, target] = [cells[from], cells[to]]
          if (source !== undefined && target !== undefined) target.value = source.value + 1
        })
      const fibers = {
        a: Effect.andThen(copy(0, 64), copy(128, 1)),
        b: Effect.andThen(copy(64, 128), copy(3, 149)),
        c: Effect.andThen(copy(149, 0), copy(1, 67)),
      }
      return { world: {}, fibers }
    })
    const [states, every] = [await survey(program, "states"), await survey(program, "dfs")]
    expect(states.finals).toEqual(every.finals)
    expect(every.finals.size).toBeGreaterThan(5)
  })
})
