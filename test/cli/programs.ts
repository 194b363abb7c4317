/** Programs as users write them: TypeScript files that import `shootdown` and `effect` and live anywhere. */

const file = (id: string, setup: string, properties = "[]", more = ""): string => `
import * as Effect from "effect/Effect"
import { writeSync } from "node:fs"
import { cell, checkpoint, choose, guardedStep, scenario, step } from "shootdown"
${more}
export default scenario({
  id: "${id}",
  summary: "a test",
  parameters: { fibers: { description: "how many fibers", default: 2, min: 1, max: 4 } },
  setup: ({ fibers }) => {
    const a = cell("a", 0)
    const b = cell("b", 0)
    ${setup}
  },
  properties: ${properties},
})
`

const one = (body: string) =>
  `return { world: { a, b }, fibers: { cpu0: Effect.gen(function* () { yield* step("first", () => 1); ${body} }) } }`

/** Increments that are not atomic. */
export const lostUpdate = file(
  "lost-update",
  `const increment = Effect.gen(function* () {
      const seen = yield* step("load", () => a.value)
      yield* step("store", () => { a.value = seen + 1 })
    })
    const names = ["alice", "bob", "carol", "dave"].slice(0, fibers)
    return { world: { a, fibers }, fibers: Object.fromEntries(names.map((name) => [name, increment])) }`,
  `[{ kind: "atEnd", id: "no-lost-update", statement: "Every increment counts.", source: "arithmetic",
     holds: ({ a, fibers }) => a.value === fibers, explain: ({ a }) => "the counter is " + a.value }]`,
)

/** The same with the lock that it needs. */
export const lockedUpdate = file(
  "locked-update",
  `const increment = Effect.gen(function* () {
      yield* guardedStep("lock", () => b.value === 0, () => { b.value = 1 })
      const seen = yield* step("load", () => a.value)
      yield* step("store", () => { a.value = seen + 1 })
      yield* step("unlock", () => { b.value = 0 })
    })
    return { world: { a }, fibers: { alice: increment, bob: increment } }`,
  `[{ kind: "atEnd", id: "no-lost-update", statement: "Every increment counts.", source: "arithmetic",
     holds: ({ a }) => a.value === 2 },
    { kind: "invariant", id: "idle", statement: "It says nothing.", source: "nowhere",
     premise: ({ a }) => a.value > 2, holds: () => true }]`,
)

/** A checkpoint that forgets what was read, in a way that nothing but `--paranoid` notices. */
export const forgetful = file(
  "forgetful",
  `const idle = Effect.gen(function* () { for (let i = 0; i < 60; i++) yield* step("idle", [i], () => undefined) })
    const set = (into, value) => step("set", [value], () => { into.value = value })
    const reader = Effect.gen(function* () {
      const seen = yield* step("read", () => a.value)
      yield* checkpoint("forget")
      yield* guardedStep("wait", () => b.value === 1, () => undefined)
      yield* step("write", () => { b.value = seen })
    })
    return { world: { b }, fibers: { sets: Effect.all([idle, set(a, 2), set(a, 0), set(b, 1)]), reader } }`,
  `[{ kind: "invariant", id: "never-two", statement: "b is never 2.", source: "test", holds: ({ b }) => b.value !== 2 }]`,
)

/** Two locks in two orders. */
export const deadlock = file(
  "deadlock",
  `const take = (name, lock) => guardedStep(name, () => lock.value === 0, () => { lock.value = 1 })
    const both = (first, second) => Effect.gen(function* () {
      yield* take(...first)
      yield* take(...second)
      yield* step("unlock", () => { a.value = 0; b.value = 0 })
    })
    return { world: {}, fibers: { cpu0: both(["lock_a", a], ["lock_b", b]), cpu1: both(["lock_b", b], ["lock_a", a]) } }`,
)

/** A lock that is tried again and again: whoever comes at the wrong time each time never gets it. */
export const starvation = file(
  "starvation",
  `const tryLock = step("test_and_set", () => { const free = a.value === 0; a.value = 1; return free })
    const lock = Effect.gen(function* () {
      for (;;) {
        yield* checkpoint("retry")
        if (yield* tryLock) return
      }
    })
    const unlock = step("unlock", () => { a.value = 0 })
    const writer = Effect.forever(Effect.andThen(lock, unlock))
    const names = ["alice", "bob", "carol", "dave"].slice(0, fibers)
    return { world: { a }, fibers: {
      reader: Effect.andThen(step("prepare", () => { b.value = 1 }), lock),
      ...Object.fromEntries(names.map((name) => [name, writer])) } }`,
  `[{ kind: "leadsTo", id: "reader-gets-through", statement: "The reader gets the lock.", source: "the test",
     to: (_, fibers) => fibers.ended("reader") }]`,
)

/** A choice of which one option breaks. */
export const choice = file(
  "choice",
  `return { world: {}, fibers: { cpu0: Effect.gen(function* () {
      const page = yield* choose("alloc_page", ["page", "ENOMEM"])
      yield* step("use", () => { if (page === "ENOMEM") throw new Error("null pointer") })
    }) } }`,
)

export const sleeps = file("sleeps", one(`yield* Effect.sleep("1 second")`))
export const waitsForPromise = file(
  "waits",
  one("yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 10)))"),
)
export const touchesOutside = file("touches", one("a.value = 2"))
export const returnsPromise = file("promises", one(`yield* step("load", async () => { throw new Error("late") })`))
/** A promise that nobody waits for fails when its step is long over. */
export const floatingPromise = file(
  "floats",
  one(`yield* step("load", () => { void Promise.reject(new Error("late")) })`),
)
export const endless = file("endless", one(`while (true) yield* step("spin", () => { a.value++ })`))
/** Says `started` when it is in the step that does not end. */
export const neverReturns = file(
  "never-returns",
  one(`yield* step("spin", () => { writeSync(2, "started\\n"); for (;;); })`),
)
export const throwsInSetup = file("throws", `throw new Error("no such device")`)
export const speaks = file("speaks", one(""), "[]", `console.log("loading")`)

/** Ends the process in the middle of a step. */
export const exits = file("exits", one(`yield* step("leave", () => process.exit(0))`))
/** Ends the process while it is loaded. */
export const exitsAtOnce = file("exits-at-once", one(""), "[]", "process.exit(0)")
/** Reads a file through a named import. */
export const readsFile = file(
  "reads",
  one(`yield* step("load", () => readFileSync("/etc/hostname", "utf8").length)`),
  "[]",
  `import { readFileSync } from "node:fs"`,
)
/** Took the clock out of its object before the checker could see it run. */
export const savedClock = file("saved-clock", one(`yield* step("load", () => now() > 0)`), "[]", "const now = Date.now")
export const failsCircularly = file(
  "circular",
  one("const knot = { n: 1n }; knot.self = knot; yield* Effect.fail(knot)"),
)
/** Names that a terminal would obey. */
export const escapes = file(
  "escapes",
  `return { world: { a }, fibers: {
      "cpu\\u001b[2J": step("store\\u001b[2J", () => { a.value = 1 }) } }`,
  `[{ kind: "invariant", id: "zero\\u001b[2J", statement: "It is\\u001b[2J zero.", source: "a\\u001b[2J book",
     holds: ({ a }) => a.value === 0 }]`,
)

/** Two runs of it differ: the fibers share a variable that the checker does not see. */
export const hiddenVariable = file(
  "hidden",
  `let turns = 0
    const fiber = Effect.gen(function* () {
      yield* step("first", () => 0)
      if (++turns === 2) yield* step("second", () => { throw new Error("boom") })
    })
    return { world: {}, fibers: { alice: fiber, bob: fiber } }`,
)

/** More states than anybody waits for. Says `started` when it is well under way. */
export const big = file(
  "big",
  `const fiber = (n) => Effect.gen(function* () {
      for (let i = 0; i < 60; i++) {
        yield* checkpoint("head", i)
        yield* step("add", () => {
          if (++steps === 30_000) writeSync(2, "started\\n")
          a.value = (a.value * 7 + n) % 1000003
        })
      }
    })
    return { world: {}, fibers: { a: fiber(1), b: fiber(2), c: fiber(3), d: fiber(5) } }`,
  "[]",
  // Counts for the sake of the test alone: nothing in the program depends on it.
  "let steps = 0",
)

/**
 * Breaks after 20 switches, which nearly every schedule makes; the simplest schedule that does is hard to find. Says
 * `started` when shrinking is well under way.
 */
export const slowToShrink = file(
  "slow-to-shrink",
  `const fiber = (n) => Effect.gen(function* () {
      for (let i = 0; i < 60; i++) {
        yield* checkpoint("head", i)
        yield* step("add", () => {
          if (++steps === 30_000) writeSync(2, "started\\n")
          if (b.value % 8 !== n) b.value = b.value - b.value % 8 + 8 + n
          a.value = (a.value * 7 + n) % 1000003
        })
      }
    })
    return { world: { b }, fibers: { a: fiber(1), b: fiber(2), c: fiber(3), d: fiber(5) } }`,
  `[{ kind: "invariant", id: "few-switches", statement: "Fibers take turns rarely.", source: "the test",
     holds: ({ b }) => b.value < 20 * 8, explain: () => "they took turns" }]`,
  "let steps = 0",
)

/** Fibers that count, each in its own cell: 9 ** 6 states. */
export const grid = file(
  "grid",
  `const counting = (count) => Effect.gen(function* () {
      for (let i = 1; i < 9; i++) yield* step("count", () => { count.value = i })
    })
    const names = ["f0", "f1", "f2", "f3", "f4", "f5"]
    const cells = names.map((name) => cell(name + ".count", 0))
    return { world: cells, fibers: Object.fromEntries(names.map((name, i) => [name, counting(cells[i])])) }`,
  `[{ kind: "invariant", id: "small", statement: "The counts are small.", source: "arithmetic",
     premise: (cells) => cells[0].value === 3, holds: (cells) => cells[1].value < 9 }]`,
)
