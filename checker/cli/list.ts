/** `list`: what there is to check. */
import * as Effect from "effect/Effect"
import type { Listing } from "../report/report.ts"
import { indent, wrap } from "../report/text.ts"
import { tool } from "../report/tool.ts"
import { propertiesOf, type Registry } from "../scenario/protocol.ts"
import { makeOutput, type Output } from "./output.ts"
import { selectProtocols } from "./select.ts"

/** Runs `list`. */
export const listCommand = Effect.fnUntraced(function* (
  registry: Registry,
  { targets, json }: { readonly targets: ReadonlyArray<string>; readonly json: string | undefined },
) {
  const output = yield* makeOutput(json)
  const selected = (yield* selectProtocols(registry, targets)).map(({ protocol }) => protocol)
  if (json !== "-") yield* printListing(selected, output)
  yield* output.document(listingOf(selected))
})

const printListing = Effect.fnUntraced(function* (registry: Registry, output: Output["Service"]) {
  const { paint, width } = output
  if (registry.length === 0) yield* output.print(["There is nothing to check yet."])
  for (const [position, protocol] of registry.entries()) {
    const said = (by: number, text: string) => indent(wrap(text, width - by), by)
    yield* output.print([
      ...(position > 0 ? [""] : []),
      `${paint.strong(protocol.id)}: ${protocol.title}`,
      "",
      "  scenarios",
      ...protocol.scenarios.flatMap(({ id, summary, parameters }) => [
        `    ${paint.strong(id)}`,
        ...said(6, summary),
        ...Object.entries(parameters).flatMap(([name, { description, default: initial, min, max }]) =>
          said(6, `--set ${name}=${initial} (${min} to ${max}): ${description}`),
        ),
      ]),
      "",
      "  invariants",
      ...propertiesOf(protocol).flatMap(({ id, statement, source }) => [
        `    ${paint.strong(id)}`,
        ...said(6, statement),
        ...said(6, `source: ${source}`).map(paint.faint),
      ]),
      ...(protocol.bugs.length === 0 ? [] : ["", "  seeded bugs, for --mutant"]),
      ...protocol.bugs.flatMap(({ id, title, breaks, scenario, source, references = [] }) => [
        `    ${paint.strong(id)}`,
        ...said(6, title),
        ...said(6, `breaks ${breaks} in ${scenario}`),
        ...(references.length === 0 ? [] : said(6, references.join(", "))),
        ...said(6, `source: ${source}`).map(paint.faint),
      ]),
    ])
  }
})

const listingOf = (registry: Registry): Listing => ({
  formatVersion: 1,
  tool,
  protocols: registry.map((protocol) => ({
    id: protocol.id,
    title: protocol.title,
    scenarios: protocol.scenarios.map(({ id, summary, parameters, properties }) => ({
      id,
      summary,
      parameters,
      properties: properties.map((property) => property.id),
    })),
    properties: propertiesOf(protocol).map(({ id, kind, statement, source }) => ({ id, kind, statement, source })),
    mutants: protocol.bugs.map(({ id, title, source, references = [], scenario, breaks }) => ({
      id,
      title,
      source,
      references,
      scenario,
      breaks,
    })),
  })),
})
