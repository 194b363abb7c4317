/** The bills of the table: what a job of a device may come to in the end, by the way in which its driver gets at the page. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { bills } from "../../spec/hmm/seed001/bills.ts"
import type { Event, Style } from "../../spec/hmm/seed001/world.ts"

/**
 * Who mirrors lets the page go and pays with a fault when it wants it again; in between others may come. Who pins pays
 * nothing, and the others do: the page stays, and fork copies it at once.
 */
const table: ReadonlyArray<readonly [Event, Style, ReadonlyArray<string>]> = [
  [
    "reclaim",
    "mirror",
    [
      "got 1, kept 1",
      "got 1, reclaimed 1",
      "got 1, taken 1, reclaimed 1",
      "got 2, taken 1, kept 1",
      "got 2, taken 1, reclaimed 1",
    ],
  ],
  ["reclaim", "pin", ["got 1, kept 1", "got 1, reclaimed 1"]],
  ["migrate", "mirror", ["got 1, moved 1", "got 1, taken 1, moved 1", "got 2, taken 1, moved 1"]],
  ["migrate", "pin", ["got 1, moved 1", "got 1, stayed 1"]],
  [
    "fork",
    "mirror",
    [
      "got 1, copiedByStore 1",
      "got 1, taken 1, copiedByStore 1",
      "got 2, taken 1, copiedByStore 1",
      "got 2, taken 2, copiedByStore 1",
      "got 3, taken 2, copiedByStore 1",
    ],
  ],
  ["fork", "pin", ["got 1, copiedByFork 1", "got 1, copiedByStore 1"]],
]

describe("what a device costs", () => {
  it.each(table)("%s of a page that a device uses by way of a %s", async (event, style, expected) => {
    const { holds, ends } = await Effect.runPromise(bills(style, event))
    expect(holds).toMatch(/ at stores=1: holds in all /)
    expect(ends).toEqual(expected)
  })
})
