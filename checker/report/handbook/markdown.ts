/** Markdown as the handbook writes it: texts of others are escaped, so that what they say is what is read. */

/** A text of a spec or a document as Markdown that reads the same; what it has between backquotes is code. */
export const text = (said: string): string =>
  said
    .replace(/\s+/g, " ")
    .split(/`([^`]+)`/)
    .map((part, position) => (position % 2 === 1 ? code(part) : prose(part)))
    .join("")
    .replace(/^(\d+)([.)])(?= )/, "$1\\$2")
    .replace(/^([-+#=])/, "\\$1")

const prose = (said: string): string =>
  said
    .replace(/[\\`*<>[\]~&]/g, (character) => (character === "&" ? "&amp;" : `\\${character}`))
    // Within words an underscore is one; GitHub's and CommonMark's rules agree on that.
    .replace(/(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])/g, "\\_")

/** Names of steps, ids, bounds. */
export const code = (said: string): string => {
  const flat = said.replace(/\s+/g, " ")
  const fence = "`".repeat(longestRun(flat) + 1)
  const padded = /^[ `]|[ `]$/.test(flat) ? ` ${flat} ` : flat
  return flat === "" ? "" : `${fence}${padded}${fence}`
}

/** Lines that keep their form: a trace. */
export const block = (lines: ReadonlyArray<string>, language = "text"): ReadonlyArray<string> => {
  const fence = "`".repeat(Math.max(3, longestRun(lines.join("\n")) + 1))
  return [`${fence}${language}`, ...lines, fence, ""]
}

const longestRun = (said: string): number => Math.max(0, ...[...said.matchAll(/`+/g)].map(([run]) => run.length))

/** A table, or a sentence where there is nothing to show. Cells are Markdown already. */
export const table = (
  columns: ReadonlyArray<{ readonly title: string; readonly align?: "right" }>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
): ReadonlyArray<string> => {
  if (rows.length === 0) return ["None.", ""]
  const line = (cells: ReadonlyArray<string>) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`
  return [
    line(columns.map(({ title }) => title)),
    line(columns.map(({ align }) => (align === "right" ? "---:" : "---"))),
    ...rows.map(line),
    "",
  ]
}

/** A list, or a sentence where it is empty. Items are Markdown already. */
export const list = (items: ReadonlyArray<string>): ReadonlyArray<string> =>
  items.length === 0 ? ["None.", ""] : [...items.map((item) => `- ${item}`), ""]

/** The anchor of a heading, as GitHub makes it. */
export const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-")
