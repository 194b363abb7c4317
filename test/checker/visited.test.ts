/** The set of visited states, which no program that a test can afford fills far enough to show its mistakes. */
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import seedrandom from "seedrandom"
import { describe, expect, it } from "vitest"
import { ownSupply, segmentBytes, Visited } from "../../checker/explore/visited.ts"
import { missedStateOdds } from "../../checker/index.ts"
import { long } from "../long.ts"

/**
 * Lets each of two threads add fingerprints; tells how many were new to each.
 *
 * @param abreast where they tell each other how far they are, if they are to keep abreast
 */
const addAtOnce = async (visited: Visited, fingerprints: ReadonlyArray<Int32Array>, abreast?: Int32Array) => {
  visited.provide(64)
  const table = visited.share()
  const threads = fingerprints.map(() => new Worker(new URL("./visitedThread.mjs", import.meta.url)))
  await Promise.all(threads.map((thread) => once(thread, "message")))
  const counts = await Promise.all(
    threads.map(async (thread, who) => {
      thread.postMessage({ table, fingerprints: fingerprints[who], abreast, who })
      const [added]: Array<number> = await once(thread, "message")
      return added ?? 0
    }),
  )
  await Promise.all(threads.map((thread) => thread.terminate()))
  return counts
}

describe("the set of visited states", () => {
  it("knows what was added, and nothing else", () => {
    const random = seedrandom.alea("visited").int32
    const visited = new Visited()
    const known = new Set<string>()
    const add = (low: number, high: number) => {
      const text = `${low} ${high}`
      expect(visited.has(low, high)).toBe(known.has(text))
      expect(visited.add(low, high)).toBe(!known.has(text))
      known.add(text)
      expect(visited.has(low, high)).toBe(true)
      expect(visited.size).toBe(known.size)
    }
    const halves = Array.from({ length: 200 }, () => random())
    for (const low of halves) for (const high of halves) add(low, high) // every half many times
    for (let i = 0; i < 60_000; i++) add(random(), random()) // beyond the first places
    for (const low of halves.slice(0, 50)) for (const high of halves.slice(0, 50)) add(low, high)
    for (const [low, high] of [[0, 0] as const, [0, 2] as const, [1, 0] as const, [-1, -1] as const]) add(low, high)
  })

  it("grows by segments, and costs at most 24 bytes a state on the way", () => {
    const random = seedrandom.alea("growth").int32
    const visited = new Visited()
    const added: Array<number> = []
    for (let count = 1; count <= 600_000; count++) {
      const low = random()
      const high = random()
      if (!visited.add(low, high)) expect.fail(`fingerprint ${count} is taken for another`)
      added.push(low, high)
      if (count > 60_000 && count % 1000 === 0) expect(visited.bytes / count).toBeLessThanOrEqual(24)
    }
    expect(visited.size).toBe(600_000)
    for (let i = 0; i < added.length; i += 2) {
      if (!visited.has(added[i] ?? 0, added[i + 1] ?? 0)) expect.fail(`fingerprint ${i / 2} is gone`)
    }
    const copy = new Visited()
    for (const halves of visited.contents()) {
      for (let i = 0; i < halves.length; i += 2) copy.add(halves[i] ?? 0, halves[i + 1] ?? 0)
    }
    expect(copy.size).toBe(600_000)
    for (let i = 0; i < added.length; i += 2) {
      if (!copy.has(added[i] ?? 0, added[i + 1] ?? 0)) expect.fail(`fingerprint ${i / 2} is not among the contents`)
    }
  })

  it("says that it is full where it may not grow, and goes on for a while", () => {
    const random = seedrandom.alea("full").int32
    let left = 2
    const visited = new Visited(ownSupply(() => left-- > 0))
    let added = 0
    for (; !visited.full; added++) visited.add(random(), random())
    expect(visited.bytes).toBe(3 * segmentBytes)
    for (const until = added + 10_000; added < until; added++) visited.add(random(), random())
    expect(visited.size).toBe(added)
  })

  it("is the same for threads that add at once", async () => {
    const random = seedrandom.alea("threads").int32
    const wanted = Int32Array.from({ length: 2 * 400_000 }, () => random())
    const backwards = wanted.slice().reverse() // halves change places: other fingerprints
    const other = Int32Array.from(wanted, (_, i) => backwards[i ^ 1] ?? 0) // the same ones, last first
    const visited = new Visited()
    const counts = await addAtOnce(visited, [wanted, other])
    expect(Math.min(...counts)).toBeGreaterThan(0)
    expect(counts.reduce((sum, count) => sum + count)).toBe(400_000)
    expect(visited.size).toBe(400_000)
    visited.unshare()
    for (let i = 0; i < wanted.length; i += 2) {
      if (!visited.has(wanted[i] ?? 0, wanted[i + 1] ?? 0)) expect.fail(`fingerprint ${i / 2} is gone`)
    }
  })

  it("loses nothing where two threads are after the same places for different fingerprints", async () => {
    const count = 60_000
    for (let round = 0; round < (long ? 6 : 2); round++) {
      const visited = new Visited()
      const abreast = new Int32Array(new SharedArrayBuffer(8))
      const fingerprints = [0, 1].map((who) =>
        Int32Array.from({ length: 2 * count }, (_, i) => {
          const high = (i | 1) * 2 + who
          const hash = Math.imul((i >> 1) + round * count, 0x2545f491) // the same for both threads
          return i % 2 === 1 ? high : hash ^ Math.imul(high, 0x9e3779b1)
        }),
      )
      const counts = await addAtOnce(visited, fingerprints, abreast)
      expect(counts).toEqual([count, count])
      expect(visited.size).toBe(2 * count)
    }
  })

  it("takes the fingerprint zero for what it is", () => {
    const visited = new Visited()
    expect(visited.has(0, 0)).toBe(false)
    expect(visited.add(0, 0)).toBe(true)
    expect(visited.add(0, 0)).toBe(false)
    expect(visited.has(0, 0)).toBe(true)
  })

  it("misses a state with the odds that TLC would tell", () => {
    expect(missedStateOdds(0)).toBe(0)
    expect(missedStateOdds(2 ** 20)).toBeCloseTo(2 ** -25, 12)
  })
})
