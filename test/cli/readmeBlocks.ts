import { readFileSync } from "node:fs"

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8")

/** The block of code in the README behind a line that contains the text. */
export const blockAfter = (text: string): string => {
  const rest = readme.slice(readme.indexOf(text) + text.length)
  const [, block] = /```[a-z]*\n(.*?)\n```/s.exec(rest) ?? []
  if (block === undefined || !readme.includes(text)) throw new Error(`no block behind ${text}`)
  return block
}
