import * as Command from "effect/cli/Command"
import * as Option from "effect/Option"
import type { Registry } from "../../scenario/protocol.ts"
import { listCommand } from "../list.ts"
import { json } from "./flags.ts"

/** Command `list`. */
export const list = (registry: Registry) =>
  Command.make("list", { json }, (flags) => listCommand(registry, Option.getOrUndefined(flags.json))).pipe(
    Command.withShortDescription("Protocols, scenarios with their bounds, invariants, mutants"),
    Command.withDescription(
      "Prints what there is to check: protocols, scenarios with their bounds, invariants with their sources, mutants.",
    ),
    Command.withExamples([
      { command: "npm run check -- list" },
      { command: "npm run --silent check -- list --json -", description: "as JSON, without npm's own lines" },
    ]),
  )
