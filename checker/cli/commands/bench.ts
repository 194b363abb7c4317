import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import { type Benchmark, sizes } from "../../bench/benchmark.ts"
import { benchCommand } from "../bench.ts"
import { json } from "./flags.ts"

/** Command `bench`. */
export const bench = (benchmarks: ReadonlyArray<Benchmark>) =>
  Command.make(
    "bench",
    {
      size: Flag.Literals("size", sizes).pipe(
        Flag.withDescription("How much to measure: half a minute, about two minutes, or everything (default usual)"),
        Flag.withDefault("usual" as const),
      ),
      json,
    },
    ({ size, json }) => benchCommand(benchmarks, { size, json: Option.getOrUndefined(json) }),
  ).pipe(
    Command.withShortDescription("Programs with published numbers, and how fast the checker is"),
    Command.withDescription(
      "Counts the states and schedules of programs from other checkers' test suites and compares them with the published numbers; any difference makes the exit status 1. Then measures the speed of the checker beside bare Effect fibers and fast-check's scheduler.",
    ),
    Command.withExamples([
      { command: "npm run check -- bench" },
      { command: "npm run --silent check -- bench --size quick --json -", description: "as JSON, in half a minute" },
    ]),
  )
