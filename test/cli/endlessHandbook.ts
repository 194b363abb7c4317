/** The command line with a handbook of one comparison, whose exploration takes longer than anybody waits. */
import * as Effect from "effect/Effect"
import { type Comparison, cell, exploreToEnd, protocolOf, scenario, step } from "../../checker/index.ts"
import { begin } from "./inTurn.ts"

const counters = scenario({
  id: "counters",
  summary: "many fibers count on",
  setup: () => {
    const counting = (name: string) => {
      const counter = cell(`${name}.counter`, 0)
      const count = step("count", () => {
        counter.value += 1
      })
      return Effect.forEach(Array.from({ length: 12 }), () => count, { discard: true })
    }
    const names = Array.from({ length: 12 }, (_, nth) => `fiber${nth}`)
    return { world: {}, fibers: Object.fromEntries(names.map((name) => [name, counting(name)])) }
  },
  properties: [],
})

const endless: Comparison = {
  id: "comparison/endless",
  title: "Endless",
  question: "How long does it take?",
  source: "nobody asked",
  designs: ["one"],
  rows: Effect.gen(function* () {
    const [entry] = protocolOf(counters).scenarios
    process.stderr.write("started\n")
    if (entry !== undefined) yield* exploreToEnd(entry.program())
    return []
  }),
  conclusion: [],
}

await begin([], { handbook: { comparisons: [endless], chapters: [] } })
