/** A violation in words: the trace, the rule that broke, and where the rule comes from. */
import type { LeftOutStep, ScheduledStep } from "../explore/schedule.ts"
import { builtIn } from "../property/violation.ts"
import type { ScenarioEntry } from "../scenario/protocol.ts"
import { count, figure, indent, type Paint, printable, wrap } from "./text.ts"
import { messageLines, traceLines, waitingFibers } from "./trace.ts"

interface Broken {
  readonly property: string
  readonly message: string
  /** The schedule that shows it, if one does. */
  readonly steps: ReadonlyArray<ScheduledStep> | undefined
  /** What the seeded bug left out on the way. */
  readonly leftOut?: ReadonlyArray<LeftOutStep> | undefined
  /** How many of the steps come before those that repeat for ever, where they do. */
  readonly cycle?: number | undefined
  /** The names of the program's fibers. */
  readonly fibers: ReadonlyArray<string>
  /** The seeded bug that was switched on. */
  readonly mutant: string | undefined
}

/** What the properties that every program has state. */
const builtInStatements: Readonly<Record<string, string>> = {
  [builtIn.deadlock]: "As long as not all fibers have ended, one of them can go on.",
  [builtIn.assertion]: "What a step asserts is true.",
  [builtIn.failure]: "No fiber ends with an error.",
  [builtIn.defect]: "No fiber dies, and no step, guard or property throws.",
  [builtIn.context]: "No step waits for what the code that it is taken in may not wait for.",
  [builtIn.rules]:
    "A program speaks to its surroundings through steps or Effect's own services only, and does the same every time.",
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
  { property, message, steps, leftOut = [], cycle, fibers, mutant }: Broken,
  width: number,
  paint: Paint,
): ReadonlyArray<string> => {
  const { statement, source } = statedOf(scenario, property)
  const others = waitingFibers(message, fibers)
  const trace = steps === undefined ? [] : traceLines(steps, width - 2, { others, cycle, leftOut })
  const isMarked = leftOut.length > 0 || steps?.some(({ changed }) => changed)
  const marks = isMarked ? [`* changed by ${mutant}`, ""] : []
  const texts = messageLines(message, fibers).filter((line) => line !== statement)
  const paragraph = (text: string) => indent(paragraphLines(text, width - 4), 4)
  return [
    ...indent(trace, 2),
    ...(trace.length === 0 ? [] : [""]),
    ...indent(marks, 2),
    `  ${paint.bad(property in builtInStatements ? property : `${printable(property)} is broken`)}`,
    ...texts.flatMap(paragraph),
    ...paragraph(`It says: ${statement}`),
    ...paragraph(`Source: ${source}`),
  ]
}

/** A text of a program's as lines of at most `width`. */
export const paragraphLines = (text: string, width: number): ReadonlyArray<string> =>
  text.split("\n").flatMap((line) => wrap(printable(line, Number.POSITIVE_INFINITY), width))

interface Size {
  readonly steps: number
  /** How many of them come before those that repeat for ever, where they do. */
  readonly cycle?: number | undefined
  readonly preemptions: number
  /** Whether there is no simpler schedule. */
  readonly minimal: boolean
  /** How the sentence goes on where the bound was shrunk too. */
  readonly atBound: string
}

const repeating = (steps: number, cycle: number | undefined): string => {
  if (cycle === undefined) return ""
  return cycle === 0 ? " that repeat for ever," : `, the last ${figure(steps - cycle)} of which repeat for ever,`
}

/** How long a schedule is, and whether there is a simpler one. */
export const sizeLines = (
  { steps, cycle, preemptions, minimal, atBound }: Size,
  width: number,
): ReadonlyArray<string> => {
  const size = `${count(steps, "step")}${repeating(steps, cycle)} with ${count(preemptions, "preemption")}`
  const simplest = minimal ? `${size}, as few as possible` : `${size}; there may be a simpler schedule`
  return indent(wrap(simplest + atBound, width - 2), 2)
}
