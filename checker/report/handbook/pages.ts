/** All pages of a handbook in Markdown. */
import { propertiesOf } from "../../scenario/protocol.ts"
import { countMutants, countsText, type MutantCounts, type MutantReport } from "../mutation.ts"
import { figure } from "../text.ts"
import { cataloguePage } from "./cataloguePage.ts"
import { comparisonPage } from "./comparisonPage.ts"
import { code, table, text } from "./markdown.ts"
import { protocolPage } from "./protocolPage.ts"
import { type HandbookSubject, type Hunted, isFound, type Page, pageName } from "./subject.ts"

/** The pages, the index first. */
export const handbookPages = (subject: HandbookSubject): ReadonlyArray<Page> => [
  indexPage(subject),
  ...subject.protocols.map((each) => protocolPage(each, subject)),
  ...subject.catalogues.map((each) => cataloguePage(each, subject)),
  ...subject.comparisons.map((each) =>
    comparisonPage(
      each,
      subject.protocols.map(({ protocol }) => protocol),
    ),
  ),
  ...subject.chapters.map(({ chapter, markdown }) => ({ name: pageName(chapter.id), title: chapter.title, markdown })),
]

const link = (title: string, id: string): string => `[${title}](${pageName(id)}.md)`

const foundOf = (hunts: ReadonlyArray<Hunted>): string => {
  const sought = hunts.filter(({ report }) => report !== undefined)
  if (sought.length === 0 && hunts.length > 0) return "not sought"
  const found = sought.filter(isFound)
  const all = sought.length === hunts.length ? "" : " sought"
  return `${figure(found.length)} of ${figure(sought.length)}${all}`
}

const mutationSentence = (mutation: NonNullable<HandbookSubject["mutation"]>, counts: ReadonlyArray<MutantReport>) =>
  `Every step was changed in turn, in another run${mutation.interrupted === true ? ", which was interrupted" : ""}, to see whether some property notices: ${countsText(countMutants(counts))}. Each page says what became of its protocol's, and why some may survive.`

/** Of those that are programs and not equivalent. */
const killedOf = (counts: MutantCounts | undefined): string =>
  counts === undefined
    ? "not made"
    : `${figure(counts.killed)} of ${figure(counts.killed + counts.survived + counts.inconclusive)}`

/** What was explored besides the run. */
const exploredFor = (comparisons: HandbookSubject["comparisons"]): string =>
  comparisons.length === 0
    ? ""
    : ", and from the explorations that were made for the designs against each other, at bounds of their own: each of those pages lists them"

const indexPage = ({ run, mutation, protocols, catalogues, comparisons, chapters }: HandbookSubject): Page => ({
  name: "index",
  title: "The protocol handbook",
  markdown: [
    "# The protocol handbook",
    "",
    "A page for each protocol that is checked: what it is for, who takes part, what they share, the steps with the functions that they model, what must hold and how often that was put to the test, the scenarios with their bounds and the sizes of their explorations, each seeded bug with the shortest run that shows it, and what is left out.",
    "",
    `Everything here is generated from the specs and from one run of ${text(run.tool.name)} ${text(run.tool.version)}${run.interrupted === true ? ", which was interrupted" : ""}${exploredFor(comparisons)}; no figure was written by hand.`,
    "",
    ...(mutation === undefined
      ? []
      : [
          mutationSentence(
            mutation,
            protocols.flatMap(({ mutated }) => mutated?.mutants ?? []),
          ),
          "",
        ]),
    "## Protocols",
    "",
    ...table(
      [
        { title: "protocol" },
        { title: "what it is" },
        { title: "scenarios that hold", align: "right" },
        { title: "states", align: "right" },
        { title: "invariants", align: "right" },
        { title: "seeded bugs found", align: "right" },
        ...(mutation === undefined ? [] : [{ title: "mutants killed", align: "right" } as const]),
      ],
      protocols.map(({ protocol, explorations, hunts, mutated }) => [
        link(code(protocol.id), protocol.id),
        text(protocol.title),
        `${figure(explorations.filter(({ outcome }) => outcome === "holds").length)} of ${figure(explorations.length)}`,
        figure(explorations.reduce((sum, { states }) => sum + states, 0)),
        figure(propertiesOf(protocol).length),
        foundOf(hunts),
        ...(mutation === undefined ? [] : [killedOf(mutated?.counts)]),
      ]),
    ),
    ...(catalogues.length === 0
      ? []
      : [
          "## Known bugs",
          "",
          ...table(
            [{ title: "list" }, { title: "what is listed" }, { title: "entries", align: "right" }],
            catalogues.map(({ id, title, summary, entries }) => [
              link(text(title), id),
              text(summary),
              figure(entries.length),
            ]),
          ),
        ]),
    ...(comparisons.length === 0
      ? []
      : [
          "## Designs against each other",
          "",
          ...table(
            [{ title: "comparison" }, { title: "designs" }],
            comparisons.map(({ comparison: { id, title, designs } }) => [
              link(text(title), id),
              text(designs.join("; ")),
            ]),
          ),
        ]),
    ...(chapters.length === 0
      ? []
      : [
          "## Guides",
          "",
          ...table(
            [{ title: "guide" }, { title: "what is there" }],
            chapters.map(({ chapter: { id, title, summary } }) => [link(text(title), id), text(summary)]),
          ),
        ]),
  ].join("\n"),
})
