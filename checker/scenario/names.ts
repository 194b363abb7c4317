/** Names of steps, as globs say them. */
import * as Glob from "effect/Glob"

/** Whether globs have a name: one of them does, and none that begins with `!`. */
export const isNamed = (name: string, globs: ReadonlyArray<string>): boolean => {
  const matches = (glob: string): boolean => Glob.match(Glob.make(glob), name)
  const not = globs.filter((glob) => glob.startsWith("!")).map((glob) => glob.slice(1))
  return globs.some(matches) && !not.some(matches)
}
