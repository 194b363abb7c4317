/** The page of a catalogue of known bugs: which seeded bugs each of them is, and what the run has of those. */
import { boundText, count, figure } from "../text.ts"
import type { CatalogueEntry } from "./comparison.ts"
import { anchor, code, table, text } from "./markdown.ts"
import { type HandbookSubject, type Hunted, isFound, type Page, pageName } from "./subject.ts"

/** Lays out the page of a catalogue. */
export const cataloguePage = (catalogue: HandbookSubject["catalogues"][number], subject: HandbookSubject): Page => {
  const rows = catalogue.entries.map((entry) => ({ entry, bugs: bugsOf(entry, subject) }))
  const modelled = rows.filter(({ bugs }) => bugs.length > 0)
  return {
    name: pageName(catalogue.id),
    title: catalogue.title,
    markdown: [
      `# ${text(catalogue.title)}`,
      "",
      "A list of known bugs, of [the handbook](index.md).",
      "",
      text(catalogue.summary),
      "",
      `${figure(modelled.length)} of its ${figure(rows.length)} entries are seeded bugs of the protocols on these pages; the figures are those of their run.`,
      "",
      "## The entries",
      "",
      ...table(
        [{ title: "entry" }, { title: "what is wrong" }, { title: "known as" }, { title: "seeded bugs" }],
        rows.map(({ entry, bugs }) => [
          text(entry.reference),
          text(entry.title),
          entry.known.map(text).join("<br>"),
          bugs.length === 0 ? "of no protocol on these pages" : bugs.map(bugText).join("<br>"),
        ]),
      ),
    ].join("\n"),
  }
}

interface Placed {
  readonly protocol: string
  readonly hunted: Hunted
}

const bugsOf = ({ reference }: CatalogueEntry, { protocols }: HandbookSubject): ReadonlyArray<Placed> =>
  protocols.flatMap(({ protocol, hunts }) =>
    hunts.flatMap((hunted) =>
      hunted.bug.references?.includes(reference) === true ? [{ protocol: protocol.id, hunted }] : [],
    ),
  )

const bugText = ({ protocol, hunted }: Placed): string => {
  const { bug } = hunted
  return `[${code(bug.id)}](${pageName(protocol)}.md#${anchor(bug.id)}) breaks ${code(bug.breaks)}: ${foundText(hunted)}`
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
