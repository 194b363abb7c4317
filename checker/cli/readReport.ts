/** Documents that `--json` wrote, read back. */
import * as Effect from "effect/Effect"
import { type Format, loadForeign } from "../counterexample/foreign.ts"
import { MutationReport } from "../report/mutation.ts"
import { Report } from "../report/report.ts"
import { printable } from "../report/text.ts"
import type { Registry } from "../scenario/protocol.ts"
import { badInput } from "./errors.ts"
import { scenariosOf, unknownScenario } from "./select.ts"

const what: Format<Report> = {
  schema: Report,
  version: 1,
  called: "a document of --json",
  largest: 100_000_000,
  deepest: 16,
}

const ofMutants: Format<MutationReport> = { ...what, schema: MutationReport, called: "a document of mutants --json" }

/**
 * Reads a document of `mutants` about protocols of a registry. Fails with a sentence for whatever is none.
 *
 * @param shown how the sentence calls the file
 */
export const readMutationReport = Effect.fnUntraced(function* (file: string, shown: string, registry: Registry) {
  const report = yield* Effect.mapError(loadForeign(ofMutants, file, shown), ({ message }) => badInput(message))
  const stranger = report.protocols.find(({ protocol }) => !registry.some(({ id }) => id === protocol))
  if (stranger === undefined) return report
  return yield* badInput(
    `${printable(shown)} is of other protocols: there is none called ${printable(stranger.protocol)}`,
  )
})

/**
 * Reads a document about scenarios of a registry. Fails with a sentence for whatever is none.
 *
 * @param shown how the sentence calls the file
 */
export const readReport = Effect.fnUntraced(function* (file: string, shown: string, registry: Registry) {
  const report = yield* Effect.mapError(loadForeign(what, file, shown), ({ message }) => badInput(message))
  const known = scenariosOf(registry)
  const stranger = report.scenarios.find(({ id }) => !known.some((scenario) => scenario.id === id))
  if (stranger === undefined) return report
  return yield* badInput(`${printable(shown)} is of other scenarios: ${unknownScenario(stranger.id, known)}`)
})
