/** The page of a catalogue of known bugs: which seeded bugs each of them is, and what the run has of those. */
import type { BugEntry } from "../../scenario/protocol.ts"
import { boundText, count, figure } from "../text.ts"
import type { CatalogueEntry } from "./comparison.ts"
import { anchor, code, table, text } from "./markdown.ts"
import { type HandbookSubject, type Hunted, isFound, type Page, pageName, pageOf } from "./subject.ts"

/** Lays out the page of a catalogue. */
export const cataloguePage = (catalogue: HandbookSubject["catalogues"][number], subject: HandbookSubject): Page => {
  const rows = catalogue.entries.map((entry) => ({ entry, bugs: bugsOf(entry, subject) }))
  const modelled = rows.filter(({ bugs }) => bugs.length > 0)
  return pageOf(catalogue, "A list of known bugs,", [
    text(catalogue.summary),
    "",
    `${figure(modelled.length)} of its ${figure(rows.length)} entries are seeded bugs; the figures are those of the run of the protocols that have a page here.`,
    "",
    "## The entries",
    "",
    ...table(
      [{ title: "entry" }, { title: "what is wrong" }, { title: "known as" }, { title: "seeded bugs" }],
      rows.map(({ entry, bugs }) => [
        text(entry.reference),
        text(entry.title),
        entry.known.map(text).join("<br>"),
        bugs.length === 0 ? "none" : bugs.map(bugText).join("<br>"),
      ]),
    ),
  ])
}

interface Placed {
  readonly protocol: string
  readonly bug: BugEntry
  /** What the run has of it; not there if the protocol has no page. */
  readonly hunted: Hunted | undefined
}

const bugsOf = ({ reference }: CatalogueEntry, { registry, protocols }: HandbookSubject): ReadonlyArray<Placed> =>
  registry.flatMap((protocol) => {
    const page = protocols.find((each) => each.protocol === protocol)
    return protocol.bugs
      .filter(({ references = [] }) => references.includes(reference))
      .map((bug) => ({ protocol: protocol.id, bug, hunted: page?.hunts.find((hunted) => hunted.bug === bug) }))
  })

const bugText = ({ protocol, bug, hunted }: Placed): string => {
  const breaks = `breaks ${code(bug.breaks)}`
  if (hunted === undefined) return `${code(bug.id)} of ${code(protocol)} ${breaks}`
  return `[${code(bug.id)}](${pageName(protocol)}.md#${anchor(bug.id)}) ${breaks}: ${foundText(hunted)}`
}

const foundText = (hunted: Hunted): string => {
  const { report } = hunted
  if (report === undefined) return "not sought in this run"
  if (!isFound(hunted)) return "**missed**"
  const bound = report.counterexample?.bound ?? {}
  const steps = report.counterexample === undefined ? [] : [count(report.counterexample.schedule.length, "step")]
  const at = Object.keys(bound).length === 0 ? [] : [`at ${code(boundText(bound))}`]
  return [`found after ${count(report.states, "state")}`, ...steps, ...at].join(", ")
}
