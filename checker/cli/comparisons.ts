/** Comparisons of designs, from the document of a run or explored now. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import { CarriesOut } from "../explore/toTheEnd.ts"
import type { Comparison } from "../report/handbook/comparison.ts"
import type { Compared } from "../report/handbook/subject.ts"
import type { Report } from "../report/report.ts"
import { printable } from "../report/text.ts"
import { tool } from "../report/tool.ts"
import { badInput } from "./errors.ts"
import { exploreCited } from "./exploring.ts"
import type { Output } from "./output.ts"
import { Session } from "./session.ts"

/**
 * What a comparison comes to: as a document has it, or, where that has nothing of it, explored and noted in the session.
 *
 * @param shown how a sentence calls the document
 */
export const comparedIn = Effect.fnUntraced(function* (
  comparison: Comparison,
  read: Report | undefined,
  shown: string,
) {
  const { id, designs } = comparison
  const known = read?.comparisons?.find((each) => each.comparison === id)
  if (read !== undefined && known !== undefined) {
    const { rows, runs } = known
    if (rows.some(({ cells }) => cells.length !== designs.length)) {
      return yield* badInput(
        `${printable(shown)} has another table of ${id}: not every row has ${designs.length} cells`,
      )
    }
    return { comparison, rows, runs, tool: read.tool } satisfies Compared
  }
  const session = yield* Session
  const services = yield* Effect.context<Session | Output | FileSystem.FileSystem>()
  const before = session.cited.length
  const rows = yield* comparison.rows.pipe(
    Effect.provideService(CarriesOut, (...asked) =>
      exploreCited(...asked).pipe(
        Effect.mapError((error) => ("messages" in error ? { message: error.messages.join("; ") } : error)),
        Effect.provideContext(services),
      ),
    ),
    Effect.mapError(({ message }) => badInput(`${id}: ${printable(message)}`)),
  )
  const runs = session.cited.slice(before)
  session.comparisons = [...session.comparisons, { comparison: id, rows, runs }]
  return { comparison, rows, runs, tool } satisfies Compared
})
