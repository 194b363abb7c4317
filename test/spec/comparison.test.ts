/** The comparison of layout leases and device mappings: run, and every outcome and cost pinned. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import asked from "../../spec/deviceMap/comparison/asked.ts"
import { comparison, type Row, type Shown } from "../../spec/deviceMap/comparison/index.ts"
import { points } from "../../spec/deviceMap/comparison/points.ts"
import { answerInWords, costsInWords } from "../../spec/deviceMap/comparison/words.ts"
import { registry } from "../../spec/registry.ts"
import { long } from "../long.ts"

/** A side of a row: of each scenario what came out, and what it cost. */
const words = ({ asked }: Shown): ReadonlyArray<string> =>
  asked.flatMap(({ scenario, bug, answer, costs }) => [
    `${scenario}${bug === undefined ? "" : ` with ${bug}`}: ${answerInWords(answer)}`,
    costsInWords(costs),
  ])

const pair = "device-map/two-devices: holds"
const pairCosts = "revoked in 6 to 10 steps, 6 of the revoker; 2 to 4 faults, 0 to 1 copies, no calls"
const revokedCosts = "revoked in 6 to 25 steps, 6 of the revoker; 1 to 2 faults, 0 to 1 copies, no calls"
const oneFileCosts = "revoked in 6 to 23 steps, 6 of the revoker; 1 to 2 faults, 0 to 1 copies, no calls"
const coherentCosts = "nothing revoked; 2 faults, no copies, no calls"
const fallBackCosts = "revoked in 8 to 47 steps, 3 to 15 of the revoker; no faults, 1 to 2 copies, 2 to 4 calls"
const raceCosts = "revoked in 19 to 35 steps, 10 to 13 of the revoker; no faults, no copies, 1 to 3 calls"
const fencedCosts = "revoked in 29 to 37 steps and 8 ticks, 19 to 21 of the revoker; no faults, no copies, 1 call"
const setleaseCosts = "nothing revoked; no faults, no copies, 1 call"

/** By point: device mappings, then leases. */
const table: Readonly<Record<string, readonly [ReadonlyArray<string>, ReadonlyArray<string>]>> = {
  "any-process": [
    [pair, pairCosts],
    ["lease/layout/fall-back: never arises: ASK-TWO-PROCESSES", fallBackCosts],
  ],
  "virtual-addresses": [
    ["device-map/revoked: holds", oneFileCosts],
    [
      "lease/mapped/unmap: violated: ASK-ADDRESS, in 56 steps with no preemptions",
      "nothing revoked; 2 faults, 1 copy, 1 call",
    ],
  ],
  "fall-back": [
    [pair, pairCosts],
    ["lease/layout/fall-back: holds", fallBackCosts],
  ],
  "unchanged-programs": [
    [
      "device-map/with-cpu: holds",
      "revoked in 6 to 10 steps, 6 of the revoker; 2 to 4 faults, 1 to 3 copies, no calls",
    ],
    [
      "lease/mapped/stores with mmap-store-over-committed-write: violated: LAYOUT-LAST-WRITE, in 77 steps with 1 preemption",
      "nothing revoked; 2 to 8 faults, 1 to 4 copies, 1 to 3 calls",
      "lease/mapped/stores: holds",
      "nothing revoked; 2 faults, 1 to 2 copies, 1 to 3 calls",
    ],
  ],
  "several-devices": [
    [pair, pairCosts],
    ["lease/layout/fall-back: never arises: ASK-TWO-DEVICES", fallBackCosts],
  ],
  "no-memory": [
    ["device-map/coherent: holds", coherentCosts],
    ["lease/layout/race: holds", raceCosts],
  ],
  "no-pin": [
    ["device-map/revoked: holds", oneFileCosts],
    ["lease/layout/race: holds", raceCosts],
  ],
  "revoked-any-time": [
    ["device-map/revoked: holds", revokedCosts],
    ["lease/layout/race: holds", raceCosts, "lease/layout/time-fenced: holds", fencedCosts],
  ],
  "device-files": [
    ["device-map/device-file: holds", oneFileCosts],
    ["lease/setlease/ask: violated: ASK-DEVICE-FILE, in 6 steps with no preemptions", setleaseCosts],
  ],
  "one-process": [
    ["device-map/coherent: holds", coherentCosts],
    [
      "lease/fcntl/open: never arises: ASK-TWO-WRITERS",
      "revoked in 3 to 15 steps and 0 to 3 ticks, 3 to 9 of the revoker; no faults, no copies, 1 to 2 calls",
    ],
  ],
  "burden-on-program": [
    ["device-map/revoked: holds", revokedCosts],
    ["lease/layout/time-old: violated: ASK-REVOKED, in 97 steps with no preemptions", setleaseCosts],
  ],
  "break-time": [
    ["device-map/revoked: holds", revokedCosts],
    ["lease/layout/time-fenced: violated: ASK-NO-TIME, in 48 steps with no preemptions", fencedCosts],
  ],
  privileges: [
    ["device-map/revoked: holds", revokedCosts],
    ["lease/setlease/ask: violated: ASK-ANYBODY, in 5 steps with no preemptions", setleaseCosts],
  ],
  "file-descriptor": [
    ["device-map/revoked: holds", oneFileCosts],
    ["lease/setlease/ask: violated: ASK-MAPPED-IS-ENOUGH, in 11 steps with no preemptions", setleaseCosts],
  ],
}

/** Rows with the scenarios that take longest. */
const dear = ["any-process", "fall-back", "unchanged-programs", "several-devices"]
const run = points.filter(({ id }) => long || !dear.includes(id))

describe("the comparison of layout leases and device mappings", () => {
  it("has the mail's nine objectives and five shortcomings, each shown by scenarios that there are", () => {
    expect(points.filter(({ kind }) => kind === "objective").length).toBe(9)
    expect(points.filter(({ kind }) => kind === "shortcoming").length).toBe(5)
    expect(points.map(({ id }) => id)).toEqual(Object.keys(table))
    const scenarios = new Set(registry.flatMap((protocol) => protocol.scenarios.map(({ id }) => id)))
    const bugs = new Set(registry.flatMap((protocol) => protocol.bugs.map(({ id }) => id)))
    for (const { deviceMap, lease } of points) {
      const questions = [...deviceMap.questions, ...lease.questions]
      expect(questions.map(({ scenario }) => scenario).filter((id) => !scenarios.has(id))).toEqual([])
      expect(questions.flatMap(({ bug }) => bug ?? []).filter((id) => !bugs.has(id))).toEqual([])
    }
  })

  it("can be explored from the command line, each scenario at its bound and under a name of its own", () => {
    const questions = points.flatMap(({ deviceMap, lease }) => [...deviceMap.questions, ...lease.questions])
    expect(new Set(asked.scenarios.map(({ id }) => id)).size).toBe(questions.length)
    const programs = asked.scenarios.map((entry) => entry.program())
    expect(programs.map(({ bound, mutant }) => ({ bound, bug: mutant }))).toEqual(
      questions.map(({ bound, bug }) => ({ bound, bug })),
    )
    expect(programs.map(({ scenario }) => scenario)).toEqual(asked.scenarios.map(({ id }) => id))
  })

  it(long ? "comes out like this" : "comes out like this, in rows that do not take long", async () => {
    const rows: ReadonlyArray<Row> = await Effect.runPromise(comparison(run))
    expect(Object.fromEntries(rows.map(({ id, deviceMap, lease }) => [id, [words(deviceMap), words(lease)]]))).toEqual(
      Object.fromEntries(run.map(({ id }) => [id, table[id]])),
    )
    for (const { answer } of rows.flatMap(({ deviceMap, lease }) => [...deviceMap.asked, ...lease.asked])) {
      if (answer.kind === "violated") expect(answer.trace.length).toBeGreaterThanOrEqual(answer.steps)
    }
  })
})
