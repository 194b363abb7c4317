/** Where things are: this copy of Shootdown, its counterexamples, and the directory the user stands in. */
import { fileURLToPath } from "node:url"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"

/** The public entry, which programs import as `shootdown`. */
export const entryUrl = new URL("../index.ts", import.meta.url).href

/** Where the counterexamples of the registry's scenarios are saved. */
export const SavedDirectory = Context.Reference<string>("shootdown/cli/SavedDirectory", {
  defaultValue: () => fileURLToPath(new URL("../../counterexamples", import.meta.url)),
})

/** The directory in which the command was typed: npm runs scripts elsewhere, and says where it was called. */
export const userDirectory = (): string =>
  (process.env.npm_lifecycle_event !== undefined ? process.env.INIT_CWD : undefined) ?? process.cwd()

/** A path as given on the command line, made absolute. */
export const resolvePath = (path: string) => Effect.map(Path.Path, ({ resolve }) => resolve(userDirectory(), path))

/** A path as a report shows it: from where the user stands, if it is below, otherwise in full. */
export const shownPath = (path: string) =>
  Effect.map(Path.Path, ({ relative, isAbsolute }) => {
    const shorter = relative(userDirectory(), path)
    return shorter === "" || shorter.startsWith("..") || isAbsolute(shorter) ? path : shorter
  })

/** Makes something in a directory and removes it again: permissions do not tell whether one can, for root or in `/proc`. */
export const tryDirectory = Effect.fnUntraced(function* (directory: string) {
  const files = yield* FileSystem.FileSystem
  const made = yield* files.makeTempDirectory({ directory, prefix: ".shootdown-" })
  yield* files.remove(made, { recursive: true })
})
