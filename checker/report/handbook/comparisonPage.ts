/** The page of a comparison: the table of outcomes, and the runs that it cites. */
import type { Protocol } from "../../scenario/protocol.ts"
import type { ScenarioReport } from "../report.ts"
import { boundText, count, figure } from "../text.ts"
import { anchor, code, table, text } from "./markdown.ts"
import { type Compared, type Page, pageName, pageOf } from "./subject.ts"

/**
 * Lays a comparison's page out.
 *
 * @param protocols those that have a page: what a cell names of theirs leads there
 */
export const comparisonPage = (
  { comparison, rows, runs, tool }: Compared,
  protocols: ReadonlyArray<Protocol>,
): Page => {
  const places = placesIn(protocols)
  const said = (words: string): string =>
    text(words).replace(/`([^`]+)`/g, (name, id: string) => linked(name, places.get(id)))
  return pageOf(comparison, "Designs against each other,", [
    text(comparison.question),
    "",
    `Source: ${text(comparison.source)}.`,
    "",
    "## What the runs came to",
    "",
    `Each cell is what came out of explorations that were made for this page, with the scenario and its bound; where one holds, it visited every state within that. What is made of it is in italics. There are ${count(rows.length, "point")} and ${count(comparison.designs.length, "design")}.`,
    "",
    ...table(
      [{ title: "point" }, ...comparison.designs.map((title) => ({ title: text(title) }))],
      rows.map(({ point, cells }) => [
        text(point),
        ...cells.map(({ outcome, finding }) =>
          [...outcome.map(said), ...(finding === undefined ? [] : [`*${said(finding)}*`])].join("<br>"),
        ),
      ]),
    ),
    "## What to make of it",
    "",
    ...comparison.conclusion.flatMap((paragraph) => [text(paragraph), ""]),
    "## The runs",
    "",
    `The explorations that the table rests on, by ${text(tool.name)} ${text(tool.version)}. Their bounds may be smaller than those on the pages of the protocols, and so the numbers of states; a question may be about other properties than the scenario's own, and \`BILL\` asks nothing, but collects what complete runs cost.`,
    "",
    ...table(
      [
        { title: "scenario" },
        { title: "seeded bug" },
        { title: "bound" },
        { title: "asked" },
        { title: "outcome" },
        { title: "states", align: "right" },
      ],
      [...eachOnce(runs.map((run) => runCells(run, places)))],
    ),
  ])
}

const runCells = (
  { id, mutant, bound, exercised, outcome, property, states }: ScenarioReport,
  places: ReadonlyMap<string, string>,
): ReadonlyArray<string> => [
  linked(code(id), places.get(id)),
  mutant === null ? "" : linked(code(mutant), places.get(mutant)),
  code(boundText(bound)),
  askedText(Object.keys(exercised)),
  property === undefined ? outcome : `${outcome}: ${code(property)}`,
  figure(states),
]

/** The properties that were judged, if they can be read. */
const askedText = (properties: ReadonlyArray<string>): string =>
  properties.length > mostNamed ? `${figure(properties.length)} properties` : properties.map(code).join(", ")

const mostNamed = 5

/** What is asked again and again is one run to the reader. */
const eachOnce = (rows: ReadonlyArray<ReadonlyArray<string>>): Iterable<ReadonlyArray<string>> =>
  new Map(rows.map((cells) => [cells.join("|"), cells])).values()

/** Where the pages of protocols tell of their scenarios and of their seeded bugs, by the ids of those. */
const placesIn = (protocols: ReadonlyArray<Protocol>): ReadonlyMap<string, string> =>
  new Map(
    protocols.flatMap(({ id: protocol, scenarios, bugs }) => [
      ...scenarios.map(({ id }) => [id, `${pageName(protocol)}.md#scenarios`] as const),
      ...bugs.map(({ id }) => [id, `${pageName(protocol)}.md#${anchor(id)}`] as const),
    ]),
  )

const linked = (title: string, place: string | undefined): string =>
  place === undefined ? title : `[${title}](${place})`
