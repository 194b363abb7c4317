/**
 * The two-column trace: the form in which kernel developers paste an interleaving into a patch description. A column
 * per fiber, time downwards, each step's label in its fiber's column.
 */
import type { LeftOutStep, ScheduledStep } from "../explore/schedule.ts"
import { type Plain, show } from "../program/plain.ts"
import { printable } from "./text.ts"

/** Stands above the steps that repeat. */
const repeats = "== for ever: =="

/** A longer result is left out: it would hide the interleaving. */
const longestResult = 30

/** What a trace shows beside the steps. */
export interface BesideSteps {
  /** Fibers that take no step and get a column all the same, such as those that wait in a deadlock. */
  readonly others?: ReadonlyArray<string>
  /** Of a lasso, how many steps come before those that repeat for ever: a line of its own stands between. */
  readonly cycle?: number | undefined
  /** What a seeded bug left out: each has a line where its fiber came to it. */
  readonly leftOut?: ReadonlyArray<LeftOutStep>
}

/**
 * Lays out a schedule.
 *
 * Only one label stands on each line, so a column's text may run over the empty space of the next ones: columns stand
 * as far apart as the longest text needs where the width allows it, and closer where it does not. Where that is not
 * enough, results are left out that do not fit; where not even labels fit so, each line says `fiber: label`.
 *
 * @param width the columns of the terminal or page
 */
export const traceLines = (
  steps: ReadonlyArray<ScheduledStep>,
  width: number,
  { others = [], cycle, leftOut = [] }: BesideSteps = {},
): ReadonlyArray<string> => {
  const fibers = [...new Set([...[...steps, ...leftOut].map(({ fiber }) => fiber), ...others])]
  if (fibers.length === 0) return []
  const names = fibers.map((name) => printable(name))
  const lineOf = (fiber: string, label: string, text = label) => ({ fiber: fibers.indexOf(fiber), label, text })
  const leftOutAfter = (count: number) =>
    leftOut.filter(({ after }) => after === count).map(({ fiber, label }) => lineOf(fiber, `(no ${printable(label)})*`))
  const lines = [
    ...leftOutAfter(0),
    ...steps.flatMap((step, position) => [
      lineOf(step.fiber, labelText(step), stepText(step)),
      ...leftOutAfter(position + 1),
    ]),
  ]
  const offsetsFor = (textOf: (line: (typeof lines)[number]) => string) =>
    offsetsOf(
      names.map((name, fiber) => {
        const texts = lines.filter((line) => line.fiber === fiber).map(textOf)
        return { name: name.length, longest: Math.max(name.length, ...texts.map(({ length }) => length)) }
      }),
      width,
    )
  const offsets = offsetsFor(({ text }) => text) ?? offsetsFor(({ label }) => label)
  const marked = (texts: ReadonlyArray<string>) => {
    if (cycle === undefined) return texts
    const before = cycle + leftOut.filter(({ after }) => after <= cycle).length
    return [...texts.slice(0, before), repeats, ...texts.slice(before)]
  }
  if (offsets === undefined) return marked(lines.map(({ fiber, text }) => `${names[fiber]}: ${text}`))
  const at = ({ fiber, label, text }: (typeof lines)[number]) => {
    const offset = offsets[fiber] ?? 0
    return " ".repeat(offset) + (offset + text.length <= width ? text : label)
  }
  const header = (texts: ReadonlyArray<string>) =>
    texts.reduce((line, text, position) => line.padEnd(offsets[position] ?? 0) + text, "")
  return [header(names), header(names.map((name) => "-".repeat(name.length))), ...marked(lines.map(at))]
}

/** What a line of the trace must say of a step: its label, `*` if a seeded bug changed it, and the option chosen. */
const labelText = ({ label, choice, result, changed }: ScheduledStep): string => {
  const marked = printable(label) + (changed ? "*" : "")
  return choice === undefined ? marked : `${marked} = ${printable(show(result))}`
}

/** A step as a line of the trace, with what it returned. */
const stepText = (step: ScheduledStep): string => {
  const { choice, result } = step
  const value = choice !== undefined || result === undefined ? "" : printable(resultText(result))
  return value === "" || value.length > longestResult ? labelText(step) : `${labelText(step)} -> ${value}`
}

const resultText = (result: Plain): string => (result === "" ? '""' : show(result))

interface Extent {
  readonly name: number
  readonly longest: number
}

/** Where each column starts: with the widest spacing, up to what each needs, at which every text ends in the page. */
const offsetsOf = (columns: ReadonlyArray<Extent>, width: number): ReadonlyArray<number> | undefined => {
  const most = Math.max(0, ...columns.map(({ longest }) => longest)) + 2
  for (let spacing = most; spacing >= 0; spacing--) {
    let offset = 0
    const offsets = columns.map(({ name, longest }) => {
      const start = offset
      offset += Math.max(name + 2, Math.min(longest + 2, spacing))
      return start
    })
    if (columns.every(({ longest }, position) => (offsets[position] ?? 0) + longest <= width)) return offsets
  }
  return undefined
}

/**
 * The message of a violation as lines: in a deadlock, one for each fiber that waits, and one for who waits for whom.
 *
 * @param fibers the names of the program's fibers
 */
export const messageLines = (message: string, fibers: ReadonlyArray<string>): ReadonlyArray<string> =>
  fibers
    .reduce((text, name) => text.replaceAll(`; ${name} waits `, `;\n${name} waits `), message)
    .replace(/ It does not: /, "\nIt does not: ")
    .split("\n")

/** The fibers that a message says are waiting. */
export const waitingFibers = (message: string, fibers: ReadonlyArray<string>): ReadonlyArray<string> =>
  fibers.filter((name) => new RegExp(`(^|; |: )${escaped(name)} waits in `).test(message))

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
