/** How the command line can end other than well. */
import * as Data from "effect/Data"

/** The command line was not used as it can be: exit status 2, and a hint to the help of `command`. */
export class BadUsage extends Data.TaggedError("BadUsage")<{ readonly message: string; readonly command?: string }> {}

/** What the command line was given to work on cannot be read or is not what it should be: exit status 2. */
export class BadInput extends Data.TaggedError("BadInput")<{
  /** One sentence for each thing that is wrong. */
  readonly messages: readonly [string, ...ReadonlyArray<string>]
}> {}

/** Everything was done and reported, and not all is as expected: the exit status that says so. */
export class Unexpected extends Data.TaggedError("Unexpected")<{ readonly status: ExitStatus }> {}

/** The exit statuses; see `--help`. */
export const exitStatus = { well: 0, broken: 1, badUsage: 2, inconclusive: 3, defect: 70, interrupted: 130 } as const
export type ExitStatus = (typeof exitStatus)[keyof typeof exitStatus]

/** One bad input. */
export const badInput = (message: string): BadInput => new BadInput({ messages: [message] })
