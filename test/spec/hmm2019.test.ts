/** The HMM of 2019, corrected: it holds, and every rule is put to the test, and broken by what was published or posted. */
import { describe, expect, it } from "vitest"
import { hmm2019 } from "../../spec/hmm/2019/index.ts"
import { brokenIn, holdAndExercise, holds, missingFrom, scenariosIn, statedIn } from "./support.ts"

const scenario = scenariosIn([hmm2019], "hmm/2019/")

/** Each scenario at a bound that is explored in an instant, and all together take every step. */
const small: ReadonlyArray<readonly [string, Readonly<Record<string, number>>]> = [
  ["fault", { pages: 1, devices: 1, cpus: 1 }],
  ["fault", { pages: 2, devices: 1, cpus: 1 }],
  ["fault", { pages: 1, devices: 1, cpus: 2 }],
  ["dropped-lock", { pages: 1, devices: 1, cpus: 1 }],
  ["non-blockable", { attempts: 2, leaves: 0, cpus: 0 }],
  ["non-blockable", { attempts: 1, leaves: 1, cpus: 0 }],
  ["unregister", { pages: 1, devices: 1, cpus: 1 }],
  ["register", { pages: 1, devices: 1, cpus: 1 }],
  ["succession", { pages: 1 }],
  ["exit", { pages: 1, devices: 1, cpus: 1 }],
  ["dma-map", { pages: 2, cpus: 1 }],
]

describe("the HMM of 2019, corrected", () => {
  it("holds, and puts every property and every named step to the test", async () => {
    await holdAndExercise(small.map(([name, bound]) => scenario(name).program(bound)))
  })

  it("keeps to the rules of the language of programs, as far as they can be checked", async () => {
    const program = scenario("non-blockable").program({ attempts: 1, leaves: 0, cpus: 0 })
    await holds(program, { paranoid: true })
  })

  it("has a bug for each of its properties", () => {
    expect(missingFrom(brokenIn(hmm2019), statedIn(hmm2019))).toEqual([])
  })
})
