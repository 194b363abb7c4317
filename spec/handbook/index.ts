/** What the handbook has besides the protocols: designs against each other, and guides. */
import type { HandbookSource } from "../../checker/index.ts"
import { countRangeSequence } from "./comparisons/countRangeSequence.ts"
import { leaseOrCallback } from "./comparisons/leaseOrCallback.ts"
import { notifierOrPin } from "./comparisons/notifierOrPin.ts"
import { readFaults } from "./comparisons/readFaults.ts"
import { structPageOrPfnmap } from "./comparisons/structPageOrPfnmap.ts"

export const handbook: HandbookSource = {
  comparisons: [notifierOrPin, leaseOrCallback, structPageOrPfnmap, readFaults, countRangeSequence],
  chapters: [
    {
      id: "guide/new-protocol",
      title: "A new protocol in an afternoon",
      summary:
        "a small driver modelled from nothing: state, steps, an invariant, a scenario, a seeded bug and its counterexample",
      file: new URL("newProtocol.md", import.meta.url),
    },
  ],
  sources: { root: new URL("../../", import.meta.url), model: "model", specs: "spec" },
}
