/** The command line: `commands/` has a file for each command, with its flags and what `--help` says of it. */
import * as Command from "effect/cli/Command"
import * as Option from "effect/Option"
import type { Benchmark } from "../bench/benchmark.ts"
import type { HandbookSource } from "../report/handbook/comparison.ts"
import type { Registry } from "../scenario/protocol.ts"
import { checkCommand } from "./check.ts"
import { bench } from "./commands/bench.ts"
import { docs } from "./commands/docs.ts"
import { explore } from "./commands/explore.ts"
import { json, memory, save, workers } from "./commands/flags.ts"
import { list } from "./commands/list.ts"
import { mutants } from "./commands/mutants.ts"
import { exitStatuses, passes } from "./commands/passes.ts"
import { replay } from "./commands/replay.ts"

/** The command line over a registry; `bench` measures the benchmarks, and `docs` has pages from the handbook's source. */
export const commandLine = (registry: Registry, benchmarks: ReadonlyArray<Benchmark>, handbook: HandbookSource) =>
  Command.make("shootdown", { save, json, workers, memory }, ({ save, json, workers, memory }) =>
    checkCommand(registry, {
      save,
      workers,
      json: Option.getOrUndefined(json),
      memory: Option.getOrUndefined(memory),
    }),
  ).pipe(
    Command.withDescription(
      `Checks concurrency protocols under every interleaving within a bound. Without a subcommand: every scenario at its\n  default bound, every seeded bug, every saved counterexample.\n${passes}\n${exitStatuses}`,
    ),
    Command.withExamples([
      { command: "npm run check", description: "everything" },
      { command: "npm run check -- explore ID --set name=value" },
      { command: "npm run check -- replay FILE" },
    ]),
    Command.withSubcommands([
      list(registry),
      explore(registry),
      replay(registry),
      mutants(registry),
      bench(benchmarks),
      docs(registry, handbook),
    ]),
  )
