/** Numbers and words as reports write them. */
import { styleText } from "node:util"
import type { Within } from "../explore/strategy.ts"
import type { Bound } from "../scenario/scenario.ts"

/** The colours of a report; each is the identity where there must be none. */
export interface Paint {
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly warn: (text: string) => string
  readonly strong: (text: string) => string
  readonly faint: (text: string) => string
}

const plainText = (text: string) => text

/** For pipes and files. */
export const noPaint: Paint = { good: plainText, bad: plainText, warn: plainText, strong: plainText, faint: plainText }

/** For terminals. */
export const paint: Paint = {
  good: (text) => styleText("green", text),
  bad: (text) => styleText("red", text),
  warn: (text) => styleText("yellow", text),
  strong: (text) => styleText("bold", text),
  faint: (text) => styleText("dim", text),
}

const grouped = new Intl.NumberFormat("en-US")

/** `1,234` */
export const figure = (value: number): string => grouped.format(value)

/** `1 state`, `1,234 states` */
export const count = (value: number, what: string, plural = "s"): string =>
  `${figure(value)} ${what}${value === 1 ? "" : plural}`

/** `0.4 s` */
export const seconds = (value: number): string => `${value.toFixed(1)} s`

/** `devices=2 pages=1`; empty where there is nothing to bound. */
export const boundText = (bound: Bound): string =>
  Object.entries(bound)
    .map(([name, value]) => `${printable(name)}=${value}`)
    .join(" ")

/** The same, as one text or none. */
export const boundTexts = (bound: Bound): ReadonlyArray<string> =>
  Object.keys(bound).length === 0 ? [] : [boundText(bound)]

/** ` of at most 2 preemptions`; nothing where nothing is left out. */
export const withinText = (within: Within | undefined): string => {
  if (within === undefined) return ""
  const most = "delays" in within ? count(within.delays, "delay") : count(within.preemptions, "preemption")
  return ` of at most ${most}`
}

/** The odds of a missed state, as a power of ten. */
export const odds = (value: number): string => (value === 0 ? "0" : value.toExponential(1))

/**
 * A text that came from a file or an argument, fit to be printed: on one line, without control characters (a terminal
 * would obey them), and not endless.
 */
export const printable = (text: string, longest = 200): string => {
  const visible = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16)
    return `\\u{${code}}`
  })
  return visible.length <= longest ? visible : `${visible.slice(0, longest)}...`
}

/** Breaks a text into lines of at most `width`, at blanks; a longer word stands alone. */
export const wrap = (text: string, width: number): ReadonlyArray<string> =>
  text.split("\n").flatMap((paragraph) => {
    const lines: Array<string> = []
    let line = ""
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line)
        line = word
      } else line = line === "" ? word : `${line} ${word}`
    }
    return [...lines, line]
  })

/** Lines moved to the right. */
export const indent = (lines: ReadonlyArray<string>, by: number): ReadonlyArray<string> =>
  lines.map((line) => (line === "" ? "" : " ".repeat(by) + line))
