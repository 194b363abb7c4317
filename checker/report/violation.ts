/** A violation in words: the trace, the rule that broke, and where the rule comes from. */
import type { ScheduledStep } from "../explore/schedule.ts"
import { builtIn } from "../property/violation.ts"
import type { ScenarioEntry } from "../scenario/protocol.ts"
import { count, indent, type Paint, wrap } from "./text.ts"
import { messageLines, traceLines, waitingFibers } from "./trace.ts"

interface Broken {
  readonly property: string
  readonly message: string
  /** The schedule that shows it, if one does. */
  readonly steps: ReadonlyArray<ScheduledStep> | undefined
  /** The names of the program's fibers. */
  readonly fibers: ReadonlyArray<string>
}

/** What the properties that every program has state. */
const builtInStatements: Readonly<Record<string, string>> = {
  [builtIn.deadlock]: "As long as not all fibers have ended, one of them can go on.",
  [builtIn.assertion]: "What a step asserts is true.",
  [builtIn.failure]: "No fiber ends with an error.",
  [builtIn.defect]: "No fiber dies, and no step, guard or property throws.",
  [builtIn.rules]: "A program speaks to its surroundings through steps only, and does the same after the same results.",
}

/** The statement and source of a property of a scenario. */
export const statedOf = (
  scenario: Pick<ScenarioEntry, "properties">,
  id: string,
): { readonly statement: string; readonly source: string } =>
  scenario.properties.find((property) => property.id === id) ?? {
    statement: builtInStatements[id] ?? "",
    source: "built into the checker",
  }

/** The trace, and under it the property, its message, its statement and its source. */
export const violationLines = (
  scenario: Pick<ScenarioEntry, "properties">,
  { property, message, steps, fibers }: Broken,
  width: number,
  paint: Paint,
): ReadonlyArray<string> => {
  const { statement, source } = statedOf(scenario, property)
  const trace = steps === undefined ? [] : traceLines(steps, width - 2, waitingFibers(message, fibers))
  const texts = messageLines(message, fibers).filter((line) => line !== statement)
  return [
    ...indent(trace, 2),
    ...(trace.length === 0 ? [] : [""]),
    `  ${paint.bad(property in builtInStatements ? property : `${property} is broken`)}`,
    ...indent(
      texts.flatMap((text) => wrap(text, width - 4)),
      4,
    ),
    ...indent(wrap(`It says: ${statement}`, width - 4), 4),
    ...indent(wrap(`Source: ${source}`, width - 4), 4),
  ]
}

/** How long a schedule is, and whether there is a simpler one. */
export const sizeText = (steps: number, preemptions: number, minimal: boolean): string => {
  const size = `${count(steps, "step")} with ${count(preemptions, "preemption")}`
  return minimal ? `${size}, as few as possible` : `${size}; there may be a simpler schedule`
}
