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

/** Each bound once, with all the ranges that it has. */
const parameterLines = ({ scenarios }: Protocol): ReadonlyArray<string> => {
  const ranges = new Map<string, { readonly name: string; readonly description: string; readonly of: Set<string> }>()
  for (const [name, { description, min, max }] of scenarios.flatMap(({ parameters }) => Object.entries(parameters))) {
    const key = `${name}\n${description}`
    const known = ranges.get(key) ?? { name, description, of: new Set() }
    known.of.add(`${figure(min)} to ${figure(max)}`)
    ranges.set(key, known)
  }
  if (ranges.size === 0) return []
  const differ = [...ranges.values()].some(({ of }) => of.size > 1)
  const { compare } = new Intl.Collator("en")
  return [
    `A bound can be set, with \`--set\`, within the range that is given here.${differ ? " Where there are several ranges, scenarios differ: `list` says which is whose." : ""}`,
    "",
    ...table(
      [{ title: "bound" }, { title: "what it bounds" }, { title: "range" }],
      [...ranges.values()]
        .sort((a, b) => compare(a.name, b.name))
        .map(({ name, description, of }) => [code(name), text(description), [...of].join("; ")]),
    ),
  ]
}

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
