/** What a run has come to so far: kept while it runs, so that an interruption can say what was reached. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Statistics } from "../explore/strategy.ts"
import type { Violation } from "../property/violation.ts"
import type { ComparisonReport, ProtocolGaps, ReplayReport, Report, ScenarioReport } from "../report/report.ts"
import { count, indent, printable, seconds } from "../report/text.ts"
import { tool } from "../report/tool.ts"
import { paragraphLines } from "../report/violation.ts"
import { type ExitStatus, exitStatus, Unexpected } from "./errors.ts"
import { figuresText, resumeHint } from "./figures.ts"
import { makeOutput, Output } from "./output.ts"

/** The state of one run of a command; grows while it runs. */
export class Session extends Context.Service<
  Session,
  {
    readonly scenarios: Array<ScenarioReport>
    replays: Array<ReplayReport> | undefined
    gaps: ReadonlyArray<ProtocolGaps> | undefined
    comparisons: ReadonlyArray<ComparisonReport>
    /** What was explored for the comparison that is being made, and for those before. */
    readonly cited: Array<ScenarioReport>
    /** What an interruption means for what the command is to make, a line each. */
    atInterrupt: ReadonlyArray<string>
    /** How many explorations there are to do. */
    planned: number
    /** What is going on, oldest first. */
    readonly underWay: Set<Exploring | Shrinking>
  }
>()("shootdown/cli/Session") {}

/** An exploration. */
export interface Exploring {
  readonly phase: "exploring"
  /** Whether it is for a comparison, and none of the scenarios that are checked. */
  readonly isCited: boolean
  /** What is explored, as the status line calls it. */
  readonly what: string
  /** How far it is, in a line. */
  readonly line: () => string
  /** The same in fewer words, for where several things go on. */
  readonly shortLine: () => string
  /** The figures so far, as an entry of the document. */
  readonly soFar: (statistics: Statistics, seconds: number) => ScenarioReport
  /** The file that it can be taken up from, as the user calls it. */
  readonly checkpoint: string | undefined
  statistics: Statistics
  seconds: number
}

/** The shrinking of what an exploration found. */
export interface Shrinking {
  readonly phase: "shrinking"
  readonly what: string
  readonly line: () => string
  /** The same in fewer words, for where several things go on. */
  readonly shortLine: () => string
  readonly violation: Violation
  readonly statistics: Statistics
  /** The exploration as an entry of the document, with the schedule as it was found. */
  readonly report: ScenarioReport
}

/**
 * Runs a command's work with an output and a session. Writes the document when the work ends and when it is
 * interrupted, and then says what was reached. Fails with `Unexpected` unless the work's status is 0.
 */
export const inSession = Effect.fnUntraced(function* <E, R>(
  json: string | undefined,
  work: Effect.Effect<ExitStatus, E, R | Output | Session>,
) {
  const output = yield* makeOutput(json)
  const session = Session.of({
    scenarios: [],
    replays: undefined,
    gaps: undefined,
    comparisons: [],
    cited: [],
    atInterrupt: [],
    planned: 0,
    underWay: new Set(),
  })
  const status = yield* work.pipe(
    Effect.provideService(Output, output),
    Effect.provideService(Session, session),
    // A document that cannot be written does not undo the interruption: it was said why, and the status stays 130.
    Effect.onInterrupt(() => Effect.ignore(interrupted(session, output))),
  )
  yield* output.document(reportOf(session))
  if (status !== exitStatus.well) return yield* new Unexpected({ status })
})

/** The document of what a run has come to. */
export const reportOf = ({ scenarios, replays, gaps, comparisons }: Session["Service"]): Report => ({
  formatVersion: 1,
  tool,
  scenarios,
  ...(replays === undefined ? {} : { replays }),
  ...(gaps === undefined ? {} : { gaps }),
  ...(comparisons.length === 0 ? {} : { comparisons }),
})

/** What is going on, in a line. */
export const statusOf = ({ underWay, scenarios, planned }: Session["Service"]): string => {
  const [first, ...others] = underWay
  if (first === undefined || others.length === 0) return first?.line() ?? ""
  const lines = [...underWay].map(({ shortLine }) => shortLine())
  return `${scenarios.length} of ${planned}; ${lines.join(" | ")}`
}

const interrupted = Effect.fnUntraced(function* (session: Session["Service"], output: Output["Service"]) {
  const { underWay, scenarios, atInterrupt } = session
  for (const each of underWay) if (each.phase === "shrinking") scenarios.push(each.report)
  const done = doneText(session)
  const [first, ...others] = underWay
  const lines = [...others, ...(first === undefined ? [] : [first])].flatMap((each) =>
    interruptedLines(each, each === first ? done : "", output.width),
  )
  yield* output.print(["", ...(lines.length === 0 ? [`interrupted${done}`] : lines), ...atInterrupt])
  for (const each of underWay) {
    if (each.phase === "exploring" && !each.isCited) scenarios.push(each.soFar(each.statistics, each.seconds))
  }
  yield* output.document({ ...reportOf(session), interrupted: true })
})

/** What was done, as a sentence goes on; nothing where there was nothing to do. */
const doneText = ({ scenarios, planned, cited, underWay }: Session["Service"]): string => {
  const isComparing = cited.length > 0 || [...underWay].some((each) => each.phase === "exploring" && each.isCited)
  return [
    ...(planned > 0 ? [`; ${scenarios.length} of ${planned} explorations were done`] : []),
    ...(isComparing ? [`; ${count(cited.length, "exploration")} for comparisons done`] : []),
  ].join("")
}

const interruptedLines = (current: Exploring | Shrinking, done: string, width: number): ReadonlyArray<string> => {
  const { phase, what, statistics } = current
  if (phase === "exploring") {
    const figures = `${figuresText(statistics)}, ${seconds(current.seconds)}`
    const hint = current.checkpoint === undefined ? [] : [resumeHint(current.checkpoint)]
    return [`interrupted in ${what}: ${figures}, and no violation${done}`, ...hint]
  }
  const { property, message } = current.violation
  return [
    `interrupted while shrinking in ${what}: ${printable(property)} broke after ${figuresText(statistics)}${done}`,
    ...indent(paragraphLines(message, width - 2), 2),
  ]
}
