import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import type { Registry } from "../../scenario/protocol.ts"
import { replayCommand } from "../replay.ts"
import { json } from "./flags.ts"

/** Command `replay`. */
export const replay = (registry: Registry) =>
  Command.make(
    "replay",
    {
      files: Argument.String("file").pipe(
        Argument.withDescription("Counterexample files; without any, all of counterexamples/"),
        Argument.variadic(),
      ),
      program: Flag.String("program").pipe(
        Flag.withMetavar("FILE.ts"),
        Flag.withDescription("The program of your own that the files are of; a file never causes code to be loaded"),
        Flag.optional,
      ),
      json,
    },
    ({ files, program, json }) =>
      replayCommand(registry, {
        files,
        program: Option.getOrUndefined(program),
        json: Option.getOrUndefined(json),
      }),
  ).pipe(
    Command.withShortDescription("Replay saved counterexamples"),
    Command.withDescription(
      "Runs saved counterexamples again, step by step, and prints the trace of those that are named. One whose schedule no longer fits the program is stale.",
    ),
    Command.withExamples([
      { command: "npm run check -- replay" },
      { command: "npm run check -- replay counter--no-lost-update.json --program counter.ts" },
    ]),
  )
