import * as Effect from "effect/Effect"
import type { Comparison, ComparisonCell } from "../../../checker/index.ts"
import { comparison, type Shown } from "../../deviceMap/comparison/index.ts"
import { answerInWords, costsInWords } from "../../deviceMap/comparison/words.ts"
import { askedInWords } from "../outcomes.ts"

/** What a design does about a point, and what exactly was asked. */
export const cellOf = ({ asked, finding }: Shown): ComparisonCell => ({
  outcome: asked.map(({ scenario, bug, bound, asks, answer, costs }) => {
    const decisive = "property" in answer ? asks.filter(({ id }) => id === answer.property) : asks
    const sentences = decisive.map(({ statement }) => statement).join(" ")
    return `${askedInWords(scenario, bound, bug)}: ${answerInWords(answer)}; costs: ${costsInWords(costs)}; asked: ${sentences}`
  }),
  finding,
})

/** Layout leases and device_map: the points of the mail that proposed the second. */
export const leaseOrCallback: Comparison = {
  id: "comparison/lease-or-callback",
  title: "Lease or callback of the VMA: how a device gets at the blocks of a file, and how they are got back",
  question:
    "A device is to reach the blocks of a file directly. Either a program has a lease on them, which is recalled, or the device asks the owner of the VMA for a mapping, which the kernel takes back when it likes. The rows are the nine objectives of the mail that proposed the second, and the five shortcomings that it sees in the first, in its words.",
  source: "Re: [LSF/MM TOPIC] Direct block mapping through fs for device, LKML, 26 April 2019",
  designs: ["device_map and device_unmap, called through the VMA", "layout leases"],
  rows: Effect.map(comparison(), (rows) =>
    rows.map(({ kind, says, deviceMap, lease }) => ({
      point: `${kind}: ${says}`,
      cells: [cellOf(deviceMap), cellOf(lease)],
    })),
  ),
  conclusion: [
    "What is asked of either is said in the same words and answered by a run: a row that holds on one side and is violated, or never arises, on the other is where the designs differ. The costs are the least and the most that a complete run comes to.",
  ],
}
