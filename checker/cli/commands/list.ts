import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Option from "effect/Option"
import type { Registry } from "../../scenario/protocol.ts"
import { listCommand } from "../list.ts"
import { json } from "./flags.ts"

/** Command `list`. */
export const list = (registry: Registry) =>
  Command.make(
    "list",
    {
      targets: Argument.String("protocol").pipe(
        Argument.withDescription(
          "A protocol's id, a glob over ids, or a FILE.ts of your own; without any, all of them",
        ),
        Argument.variadic(),
      ),
      json,
    },
    ({ targets, json }) => listCommand(registry, { targets, json: Option.getOrUndefined(json) }),
  ).pipe(
    Command.withShortDescription("Protocols, scenarios with their bounds, invariants, seeded bugs"),
    Command.withDescription(
      "Prints what there is to check: protocols, scenarios with their bounds, invariants with their sources, seeded bugs.",
    ),
    Command.withExamples([
      { command: "npm run check -- list" },
      { command: "npm run check -- list 'lease/*'" },
      { command: "npm run --silent check -- list --json -", description: "as JSON, without npm's own lines" },
    ]),
  )
