/** Where the operations of a protocol are made, learnt from the program itself: its fibers run a little, and stacks are read. */
import { fileURLToPath } from "node:url"
import seedrandom from "seedrandom"
import { withoutRealWorld } from "../engine/realWorld.ts"
import { runtime } from "../program/runtime.ts"
import type { Made } from "../report/handbook/stepSources.ts"
import type { Program } from "../scenario/program.ts"
import { follow } from "./follow.ts"

/** A program is run no more often than this. */
const mostRuns = 100
/** Frames that are kept of a stack: the file is below those of the checker and of Effect. */
const deepest = 60

/**
 * Runs a program until the operations that are asked for were made, at random but each time the same.
 *
 * @param wanted the names of the operations
 * @param root of the sources: paths of files are from there
 * @returns every operation that was made on the way, with where that was the first time
 */
export const originsIn = (program: Program, wanted: Iterable<string>, root: URL): ReadonlyArray<Made> => {
  const met = new Map<string, { readonly made: Omit<Made, "through">; readonly stack: Error }>()
  const missing = new Set(wanted)
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = deepest
  runtime.made = ({ kind, name }) => {
    const key = `${kind} ${name}`
    if (met.has(key)) return
    met.set(key, { made: { kind, name }, stack: new Error() })
    missing.delete(name)
  }
  try {
    for (let run = 0; run < mostRuns && (run === 0 || missing.size > 0); run++) {
      const random = seedrandom.alea(`${run}`)
      withoutRealWorld(() => follow(program, (moves) => Math.floor(random() * moves)))
    }
  } finally {
    runtime.made = undefined
    Error.stackTraceLimit = stackTraceLimit
  }
  const inFile = pathsBelow(root)
  return [...met.values()].map(({ made, stack }) => ({ ...made, through: inFile(stack) }))
}

/** The files of a stack that are below a folder, the innermost first. */
const pathsBelow = (root: URL): ((error: Error) => ReadonlyArray<string>) => {
  const prefixes = [root.href, fileURLToPath(root)]
  const pathIn = (line: string): ReadonlyArray<string> => {
    const prefix = prefixes.find((each) => line.includes(each))
    const [path] = prefix === undefined ? [] : (/^[^?:]*/.exec(line.slice(line.indexOf(prefix) + prefix.length)) ?? [])
    return path === undefined ? [] : [path]
  }
  return ({ stack = "" }) => [...new Set(stack.split("\n").flatMap(pathIn))]
}
