/** What a run has come to so far: kept while it runs, so that an interruption can say what was reached. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Statistics } from "../explore/strategy.ts"
import type { Violation } from "../property/violation.ts"
import type { ProtocolGaps, ReplayReport, Report, ScenarioReport } from "../report/report.ts"
import { indent, printable, seconds } from "../report/text.ts"
import { paragraphLines } from "../report/violation.ts"
import { type ExitStatus, exitStatus, Unexpected } from "./errors.ts"
import { figuresText, resumeHint } from "./figures.ts"
import { makeOutput, Output } from "./output.ts"
import { tool } from "./place.ts"

/** The state of one run of a command; grows while it runs. */
export class Session extends Context.Service<
  Session,
  {
    readonly scenarios: Array<ScenarioReport>
    replays: Array<ReplayReport> | undefined
    gaps: ReadonlyArray<ProtocolGaps> | undefined
    /** How many explorations there are to do. */
    planned: number
    /** What is going on. */
    current: Exploring | Shrinking | undefined
  }
>()("shootdown/cli/Session") {}

/** An exploration. */
export interface Exploring {
  readonly phase: "exploring"
  /** What is explored, as the status line calls it. */
  readonly what: string
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
  const session = Session.of({ scenarios: [], replays: undefined, gaps: undefined, planned: 0, current: undefined })
  const status = yield* work.pipe(
    Effect.provideService(Output, output),
    Effect.provideService(Session, session),
    // A document that cannot be written does not undo the interruption: it was said why, and the status stays 130.
    Effect.onInterrupt(() => Effect.ignore(interrupted(session, output))),
  )
  yield* output.document(reportOf(session))
  if (status !== exitStatus.well) return yield* new Unexpected({ status })
})

const reportOf = ({ scenarios, replays, gaps }: Session["Service"]): Report => ({
  formatVersion: 1,
  tool,
  scenarios,
  ...(replays === undefined ? {} : { replays }),
  ...(gaps === undefined ? {} : { gaps }),
})

const interrupted = Effect.fnUntraced(function* (session: Session["Service"], output: Output["Service"]) {
  const { current, scenarios, planned } = session
  if (current?.phase === "shrinking") scenarios.push(current.report)
  const done = `${scenarios.length} of ${planned} explorations were done`
  yield* output.print(["", ...interruptedLines(current, done, output.width)])
  if (current?.phase === "exploring") scenarios.push(current.soFar(current.statistics, current.seconds))
  yield* output.document({ ...reportOf(session), interrupted: true })
})

const interruptedLines = (
  current: Session["Service"]["current"],
  done: string,
  width: number,
): ReadonlyArray<string> => {
  if (current === undefined) return [`interrupted; ${done}`]
  const { phase, what, statistics } = current
  if (phase === "exploring") {
    const figures = `${figuresText(statistics)}, ${seconds(current.seconds)}`
    const hint = current.checkpoint === undefined ? [] : [resumeHint(current.checkpoint)]
    return [`interrupted in ${what}: ${figures}, and no violation; ${done}`, ...hint]
  }
  const { property, message } = current.violation
  return [
    `interrupted while shrinking in ${what}: ${printable(property)} broke after ${figuresText(statistics)}; ${done}`,
    ...indent(paragraphLines(message, width - 2), 2),
  ]
}
