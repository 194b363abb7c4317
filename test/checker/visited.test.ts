/** The set of visited states, which no program that a test can afford fills far enough to show its mistakes. */
import seedrandom from "seedrandom"
import { describe, expect, it } from "vitest"
import { Visited } from "../../checker/explore/visited.ts"
import { missedStateOdds } from "../../checker/index.ts"

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
