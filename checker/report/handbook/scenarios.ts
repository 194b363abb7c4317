/** The part of a protocol's page that says what is explored: its scenarios, their bounds, and what they put together. */
import type { Descriptions, Protocol } from "../../scenario/protocol.ts"
import type { ScenarioReport } from "../report.ts"
import { boundText, figure } from "../text.ts"
import { code, table, text } from "./markdown.ts"
import type { ProtocolSubject } from "./subject.ts"

/** The scenarios, and below them what their bounds and their operations are. */
export const scenarioLines = ({ protocol, explorations }: ProtocolSubject): ReadonlyArray<string> => [
  "## Scenarios",
  "",
  "`holds` means that the exploration ended by itself: every state within the bound was visited.",
  "",
  ...table(
    [
      { title: "scenario" },
      { title: "what happens" },
      { title: "bound" },
      { title: "outcome" },
      { title: "states", align: "right" },
      { title: "transitions", align: "right" },
      { title: "depth", align: "right" },
    ],
    protocol.scenarios.flatMap((scenario) => {
      const reports = explorations.filter(({ id }) => id === scenario.id)
      const head = [code(scenario.id), text(scenario.summary)]
      if (reports.length === 0) return [[...head, "", "not in this run", "", "", ""]]
      return reports.map((report) => [...head, ...figuresOf(report)])
    }),
  ),
  ...parameterLines(protocol),
  ...operationLines(protocol.about?.operations),
]

const figuresOf = ({
  bound,
  outcome,
  within,
  states,
  transitions,
  maxDepth,
}: ScenarioReport): ReadonlyArray<string> => [
  code(boundText(bound)),
  within === undefined ? outcome : `${outcome}, within ${boundText(within)}`,
  figure(states),
  figure(transitions),
  figure(maxDepth),
]

/** Each bound once; one that is not the same in all scenarios as often as it differs. */
const parameterLines = ({ scenarios }: Protocol): ReadonlyArray<string> => {
  const rows = scenarios.flatMap(({ parameters }) =>
    Object.entries(parameters).map(([name, { description, min, max }]) => [
      code(name),
      text(description),
      `${figure(min)} to ${figure(max)}`,
    ]),
  )
  if (rows.length === 0) return []
  const distinct = new Map(rows.map((row) => [row.join("\n"), row]))
  return [
    "A bound can be set, with `--set`, to what is given here:",
    "",
    ...table(
      [{ title: "bound" }, { title: "what it bounds" }, { title: "range" }],
      [...distinct.values()].sort(byName),
    ),
  ]
}

const byName = ([a = ""]: ReadonlyArray<string>, [b = ""]: ReadonlyArray<string>): number =>
  a < b ? -1 : a > b ? 1 : 0

const operationLines = (operations: Descriptions | undefined): ReadonlyArray<string> =>
  operations === undefined
    ? []
    : [
        "The operations that scenarios put together, and are called by:",
        "",
        ...table(
          [{ title: "operation" }, { title: "what it is" }],
          Object.entries(operations).map(([id, summary]) => [code(id), text(summary)]),
        ),
      ]
