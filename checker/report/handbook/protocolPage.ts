/** The page of a protocol. Every figure on it is one of the run's. */
import type { Property } from "../../property/property.ts"
import { type BugEntry, propertiesOf } from "../../scenario/protocol.ts"
import type { ScenarioReport } from "../report.ts"
import { boundText, count, figure, odds } from "../text.ts"
import { anchor, block, code, list, table, text } from "./markdown.ts"
import { mutantLines, survivorLines } from "./mutantSections.ts"
import { operationLines } from "./operations.ts"
import { actorLines, stateLines } from "./participants.ts"
import { scenarioLines } from "./scenarios.ts"
import { type HandbookSubject, type Hunted, isFound, type Page, type ProtocolSubject, pageOf } from "./subject.ts"

/** Lays a protocol's page out. */
export const protocolPage = (subject: ProtocolSubject, { run, mutation }: HandbookSubject): Page => {
  const { protocol } = subject
  return pageOf(protocol, `Protocol ${code(protocol.id)}`, [
    ...(protocol.about === undefined ? [] : [text(protocol.about.purpose), ""]),
    ...citation(subject, run),
    ...actorLines(subject),
    ...stateLines(subject),
    ...operationLines(subject, totals(subject.explorations.map(({ steps }) => steps))),
    ...propertyLines(subject),
    ...scenarioLines(subject),
    ...bugLines(subject),
    ...mutantLines(subject, mutation),
    ...survivorLines(subject),
    "## What is not modelled",
    "",
    ...list((protocol.about?.notModelled ?? []).map(text)),
  ])
}

const citation = ({ explorations, hunts }: ProtocolSubject, run: HandbookSubject["run"]): ReadonlyArray<string> => {
  const sought = hunts.flatMap(({ report }) => (report === undefined ? [] : [report]))
  const strategies = [...new Set([...explorations, ...sought].map(({ strategy }) => strategy))]
  const missed = explorations.reduce((sum, { missedStateOdds }) => sum + missedStateOdds, 0)
  const matched = explorations.every(({ outcome, states }) => outcome === "holds" && states > 0)
  return [
    [
      `The figures are those of one run of ${text(run.tool.name)} ${text(run.tool.version)}:`,
      `${count(explorations.length, "exploration")} and ${count(sought.length, "hunt")} for seeded bugs,`,
      `strategy ${strategies.map(code).join(", ")}, at the bounds given below.`,
      matched
        ? `The odds that it missed a state are at most ${odds(missed)}.`
        : "Not every scenario was found to hold by visiting its states: the table of scenarios says what each came to.",
      ...(run.interrupted === true ? ["**The run was interrupted: what it did not reach is not here.**"] : []),
    ].join(" "),
    "",
  ]
}

/** When a property of a kind is judged. */
const judged: { readonly [kind in Property<never>["kind"]]: string } = {
  invariant: "in every state",
  action: "of every step",
  atEnd: "when all have ended",
  progress: "when nothing can go on",
  leadsTo: "of every fair run",
  dataRaces: "of every two accesses",
  lockOrder: "of every lock taken",
  lockInversions: "of all locks of a run",
}

const propertyLines = ({ protocol, explorations }: ProtocolSubject): ReadonlyArray<string> => {
  const exercised = totals(explorations.map((each) => each.exercised))
  return [
    "## Invariants",
    "",
    "How often each was put to the test: how many times it was evaluated with its premise true.",
    "",
    ...table(
      [
        { title: "id" },
        { title: "what it says" },
        { title: "judged" },
        { title: "exercised", align: "right" },
        { title: "source" },
      ],
      propertiesOf(protocol).map(({ id, kind, statement, source }) => [
        code(id),
        text(statement),
        judged[kind],
        kind === "progress" ? "no premise" : figure(exercised.get(id) ?? 0),
        text(source),
      ]),
    ),
  ]
}

const totals = (times: ReadonlyArray<{ readonly [name: string]: number }>): ReadonlyMap<string, number> => {
  const total = new Map<string, number>()
  for (const [name, more] of times.flatMap((each) => Object.entries(each))) {
    total.set(name, (total.get(name) ?? 0) + more)
  }
  return total
}

const bugLines = ({ hunts }: ProtocolSubject): ReadonlyArray<string> => [
  "## Seeded bugs",
  "",
  ...table(
    [
      { title: "bug" },
      { title: "breaks" },
      { title: "found after", align: "right" },
      { title: "steps", align: "right" },
      { title: "preemptions", align: "right" },
    ],
    hunts.map((hunted) => [
      `[${code(hunted.bug.id)}](#${anchor(hunted.bug.id)})`,
      code(hunted.bug.breaks),
      ...huntFigures(hunted),
    ]),
  ),
  ...hunts.flatMap(({ bug, report, trace }) => [
    `### ${code(bug.id)}`,
    "",
    `${text(sentence(bug.title))} Source: ${text(bug.source)}.${knownAs(bug)}`,
    "",
    shownIn(bug, report),
    "",
    ...(trace === undefined ? [] : block(trace)),
  ]),
]

const knownAs = ({ references = [] }: BugEntry): string =>
  references.length === 0 ? "" : ` Known as ${references.map(text).join(", ")}.`

const sentence = (said: string): string => {
  const upper = said.slice(0, 1).toUpperCase() + said.slice(1)
  return /[.!?]$/.test(upper) ? upper : `${upper}.`
}

const huntFigures = (hunted: Hunted): ReadonlyArray<string> => {
  const { report } = hunted
  if (report === undefined) return ["not in this run", "", ""]
  if (!isFound(hunted)) return ["**missed**", "", ""]
  const { states, counterexample, preemptions } = report
  return [
    count(states, "state"),
    counterexample === undefined ? "" : figure(counterexample.schedule.length),
    preemptions === undefined ? "" : figure(preemptions),
  ]
}

const shownIn = ({ scenario, breaks }: BugEntry, report: ScenarioReport | undefined): string => {
  if (report === undefined) return `It should break ${code(breaks)} in ${code(scenario)}; this run did not look for it.`
  const bound = report.counterexample?.bound ?? report.bound
  return `It breaks ${code(breaks)} in ${code(scenario)}${Object.keys(bound).length === 0 ? "" : `, at ${code(boundText(bound))}`}:`
}
