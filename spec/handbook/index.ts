/** What the handbook has besides the protocols: designs against each other, and guides. */
import type { HandbookSource } from "../../checker/index.ts"
import { bugZoo, zooKey } from "../bugZoo.ts"
import { countRangeSequence } from "./comparisons/countRangeSequence.ts"
import { leaseOrCallback } from "./comparisons/leaseOrCallback.ts"
import { notifierOrPin } from "./comparisons/notifierOrPin.ts"
import { readFaults } from "./comparisons/readFaults.ts"
import { structPageOrPfnmap } from "./comparisons/structPageOrPfnmap.ts"

export const handbook: HandbookSource = {
  catalogues: [
    {
      id: "guide/bug-zoo",
      title: "The bug zoo",
      summary:
        "Concurrency bugs of Linux that were fixed, by rank, with their commits and CVEs, and some that only the rules forbid, by name; none of them is left out.",
      entries: bugZoo.map(([key, , title, ...known]) => ({ reference: zooKey(key), title, known })),
    },
  ],
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
