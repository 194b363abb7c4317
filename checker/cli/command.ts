/** The commands, their flags, and what `--help` says. */

import { availableParallelism } from "node:os"
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Benchmark, sizes } from "../bench/benchmark.ts"
import { bounded } from "../explore/bounded.ts"
import { states } from "../explore/states.ts"
import { strategies, takers } from "../explore/strategies.ts"
import type { Strategy, StrategyOption } from "../explore/strategy.ts"
import { operators } from "../mutation/operators/index.ts"
import type { HandbookSource } from "../report/handbook/comparison.ts"
import { indent, wrap } from "../report/text.ts"
import type { Registry } from "../scenario/protocol.ts"
import { benchCommand } from "./bench.ts"
import { checkCommand } from "./check.ts"
import { docsCommand } from "./docs.ts"
import { defaultSteps, exploreCommand, flagName } from "./explore.ts"
import { listCommand } from "./list.ts"
import { mutantsCommand } from "./mutants.ts"
import { replayCommand } from "./replay.ts"

const json = Flag.String("json").pipe(
  Flag.withMetavar("FILE"),
  Flag.withDescription("Write one JSON document there; - is standard output, and the report goes to standard error"),
  Flag.optional,
)

const save = Flag.Boolean("save").pipe(
  Flag.withDescription("Save each counterexample that is found as a file"),
  Flag.withDefault(false),
)

/** A whole number from `min` on. */
const whole = (name: string, min: number) =>
  Flag.String(name).pipe(
    Flag.withMetavar("N"),
    Flag.mapEffect((text) => {
      const value = Number(text)
      if (/^-?\d+$/.test(text) && Number.isSafeInteger(value) && value >= min) return Effect.succeed(value)
      const from = min === Number.MIN_SAFE_INTEGER ? "" : `, at least ${min}`
      return Effect.fail(
        new CliError.InvalidValue({ option: name, value: text, expected: `a whole number${from}`, kind: "flag" }),
      )
    }),
  )

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Wall-clock milliseconds, from `500ms`, `60s`, `5m`, `1h`; a bare number is seconds. */
const duration = (name: string, example: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar(example),
    Flag.mapEffect((text) => {
      const [, value, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? []
      const milliseconds = Number(value) * (units[unit ?? "s"] ?? Number.NaN)
      if (Number.isFinite(milliseconds) && milliseconds > 0) return Effect.succeed(milliseconds)
      return Effect.fail(
        new CliError.InvalidValue({
          option: name,
          value: text,
          expected: "a time such as 60s, 5m or 500ms",
          kind: "flag",
        }),
      )
    }),
  )

const time = duration("time", "60s").pipe(
  Flag.withDescription("Stop each search after this long: 500ms, 60s, 5m, 1h; shrinking what it found is not counted"),
  Flag.optional,
)

const byteUnits: Readonly<Record<string, number>> = { KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 }

/** Bytes, from `500MB`, `2GB`. */
const memory = Flag.String("memory").pipe(
  Flag.withMetavar("2GB"),
  Flag.withDescription("Memory that may be used, such as 500MB or 2GB (default: four fifths of what there is)"),
  Flag.mapEffect((text) => {
    const [, value, unit] = /^(\d+(?:\.\d+)?)(KB|MB|GB)$/i.exec(text) ?? []
    const bytes = Math.floor(Number(value) * (byteUnits[(unit ?? "").toUpperCase()] ?? Number.NaN))
    if (Number.isFinite(bytes) && bytes > 0) return Effect.succeed(bytes)
    return Effect.fail(
      new CliError.InvalidValue({
        option: "memory",
        value: text,
        expected: "a size such as 500MB or 2GB",
        kind: "flag",
      }),
    )
  }),
  Flag.optional,
)

/** A file that holds, or is to hold, where an exploration stands. */
const checkpointFile = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar("FILE"), Flag.withDescription(description), Flag.optional)

/** What a flag does, and for which strategies. */
const usedBy = (option: StrategyOption, description: string): string => `${description} (${takers(option)})`

const defaultEvery = 30_000
const defaultMutantStates = 100_000

const strategy = Flag.ChoiceWithValue(
  "strategy",
  strategies.map((each) => [each.name, each] as const),
).pipe(
  Flag.withMetavar("NAME"),
  Flag.withDescription(`How to explore (default ${states.name}; for an Effect without steps ${bounded.name})`),
  Flag.optional,
)

const exitStatuses = `
  Exit status
    0    all is as expected
    1    a property broke, a seeded bug was missed, a counterexample no longer behaves as recorded, or the scenarios of
         a protocol leave out a property or a step
    2    the command line or a file it names will not do
    3    a budget ended before the search did, and nothing was found
    130  interrupted; what was reached is said
    70   a bug in Shootdown`

/** Columns of the help text, and where what is said of a strategy begins. */
const helpWidth = 120
const hanging = 13

const strategyHelp = ({ name, summary }: Strategy): string => {
  const lines = indent(wrap(summary, helpWidth - hanging), hanging).join("\n")
  return `    ${name.padEnd(hanging - 4)}${lines.slice(hanging)}`
}

const passes = `
  Strategies, and what a pass means
${strategies.map(strategyHelp).join("\n")}

  A pass says nothing of what was left out: properties whose premise was never true and steps that were never taken
  are named. Without a subcommand it is a failure if all scenarios of a protocol together leave one out`

const mutationOperators = `
  What is changed
${operators.flatMap(({ name, sentence }) => wrap(`${name}: ${sentence}`, 110).map((line, position) => `    ${position === 0 ? "" : "  "}${line}`)).join("\n")}`

const mutantVerdicts = `
  What becomes of a mutant
    killed        a property broke
    equivalent    it does what the protocol does: the states of the protocol show it, or those of both prove it
    no program    it breaks a rule that programs obey (it computes without an end, say): neither killed nor alive
    survived      every scenario that takes its step was explored, and no property broke. The protocol's spec must say
                  in its \`survivors\` why that is right
    inconclusive  the budget of states ended before that was known

  Exit status
    0    every mutant was killed, is equivalent or is explained
    1    one survived and is not explained, an explanation is of none that survived, or a scenario does not hold
    2    the command line or a file it names will not do
    3    one stayed inconclusive and is not explained
    130  interrupted; what was reached is said`

/** The command line over a registry; `bench` measures the benchmarks, and `docs` has pages from the handbook's source. */
export const commandLine = (registry: Registry, benchmarks: ReadonlyArray<Benchmark>, handbook: HandbookSource) => {
  const list = Command.make("list", { json }, (flags) => listCommand(registry, Option.getOrUndefined(flags.json))).pipe(
    Command.withShortDescription("Protocols, scenarios with their bounds, invariants, mutants"),
    Command.withDescription(
      "Prints what there is to check: protocols, scenarios with their bounds, invariants with their sources, mutants.",
    ),
    Command.withExamples([
      { command: "npm run check -- list" },
      { command: "npm run --silent check -- list --json -", description: "as JSON, without npm's own lines" },
    ]),
  )

  const explore = Command.make(
    "explore",
    {
      targets: Argument.String("target").pipe(
        Argument.withDescription(
          "A scenario's id, a glob over ids, or a FILE.ts whose default export is a scenario, an Effect program or a protocol",
        ),
        Argument.variadic(),
      ),
      strategy,
      set: Flag.String("set").pipe(
        Flag.withMetavar("name=value"),
        Flag.withDescription("A bound of the scenario, such as devices=3; repeatable"),
        Flag.atLeast(0),
      ),
      mutant: Flag.String("mutant").pipe(
        Flag.withMetavar("ID"),
        Flag.withDescription("Switch this seeded bug on and look for the property that it breaks"),
        Flag.optional,
      ),
      seed: whole("seed", Number.MIN_SAFE_INTEGER).pipe(
        Flag.withDescription("The seed of strategies with randomness (default 1)"),
        Flag.withDefault(1),
      ),
      executions: whole(flagName("executions"), 1).pipe(
        Flag.withDescription(usedBy("executions", "Stop after this many executions")),
        Flag.optional,
      ),
      preemptions: whole(flagName("preemptions"), 0).pipe(
        Flag.withDescription(usedBy("preemptions", "Only schedules with at most this many preemptive switches")),
        Flag.optional,
      ),
      delays: whole(flagName("delays"), 0).pipe(
        Flag.withDescription(
          usedBy("delays", "Only schedules with at most this many delays of the fiber whose turn it is"),
        ),
        Flag.optional,
      ),
      depth: whole(flagName("depth"), 1).pipe(
        Flag.withDescription(
          usedBy("depth", "How many steps must come in the right order for the bug that is looked for"),
        ),
        Flag.optional,
      ),
      breadthFirst: Flag.Boolean(flagName("breadthFirst")).pipe(
        Flag.withDescription(
          usedBy("breadthFirst", "Visit states in the order of their distance: a shortest violation is found first"),
        ),
        Flag.withDefault(false),
      ),
      steps: whole("steps", 1).pipe(
        Flag.withDescription(`The longest execution, in steps (default ${defaultSteps})`),
        Flag.optional,
      ),
      paranoid: Flag.Boolean(flagName("paranoid")).pipe(
        Flag.withDescription(
          usedBy(
            "paranoid",
            "Check the rules that programs must obey as the search goes, and name what breaks them; five to ten times slower",
          ),
        ),
        Flag.withDefault(false),
      ),
      time,
      workers: whole(flagName("workers"), 1).pipe(
        Flag.withDescription(usedBy("workers", "Threads that explore one scenario together, 1 unless said")),
        Flag.withDefault(1),
      ),
      memory,
      checkpoint: checkpointFile("checkpoint", "Write there, as the search goes, how far it has come"),
      checkpointEvery: duration("checkpoint-every", "30s").pipe(
        Flag.withDescription("How often (default 30s)"),
        Flag.withDefault(defaultEvery),
      ),
      resume: checkpointFile("resume", "Go on from this checkpoint, and keep it up to date; it says of which scenario"),
      save,
      json,
    },
    ({
      strategy,
      mutant,
      executions,
      preemptions,
      delays,
      depth,
      steps,
      time,
      memory,
      checkpoint,
      resume,
      json,
      ...flags
    }) =>
      exploreCommand(registry, {
        ...flags,
        strategy: Option.getOrUndefined(strategy),
        steps: Option.getOrUndefined(steps),
        memory: Option.getOrUndefined(memory),
        checkpoint: Option.getOrUndefined(checkpoint),
        resume: Option.getOrUndefined(resume),
        mutant: Option.getOrUndefined(mutant),
        executions: Option.getOrUndefined(executions),
        preemptions: Option.getOrUndefined(preemptions),
        delays: Option.getOrUndefined(delays),
        depth: Option.getOrUndefined(depth),
        milliseconds: Option.getOrUndefined(time),
        json: Option.getOrUndefined(json),
      }),
  ).pipe(
    Command.withShortDescription("Explore scenarios, or a program of your own"),
    Command.withDescription(
      `Explores scenarios one after the other and prints the trace of what breaks, cut down to the steps that matter.\n${passes}\n${exitStatuses}`,
    ),
    Command.withExamples([
      { command: "npm run check -- explore '**' --strategy random --executions 1000" },
      { command: "npm run check -- explore ID --set devices=3 --time 60s" },
      { command: "npm run check -- explore --mutant ID --save", description: "in the mutant's own scenario" },
      { command: "npm run check -- explore ID --workers 2 --checkpoint FILE", description: "a long one" },
      { command: "npm run check -- explore --resume FILE", description: "the same, after whatever ended it" },
      { command: "npm run check -- explore ~/counter.ts", description: "a program of your own" },
    ]),
  )

  const replay = Command.make(
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

  const bench = Command.make(
    "bench",
    {
      size: Flag.Literals("size", sizes).pipe(
        Flag.withDescription("How much to measure: a few seconds, about two minutes, or everything (default usual)"),
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
      { command: "npm run --silent check -- bench --size quick --json -", description: "as JSON, in a few seconds" },
    ]),
  )

  const mutants = Command.make(
    "mutants",
    {
      targets: Argument.String("protocol").pipe(
        Argument.withDescription(
          "A protocol's id, a glob over ids, or a FILE.ts of your own; without any, all of them",
        ),
        Argument.variadic(),
      ),
      only: Flag.String("only").pipe(
        Flag.withMetavar("GLOB"),
        Flag.withDescription("Only the mutants whose ids it matches, such as 'swap *'"),
        Flag.optional,
      ),
      states: whole("states", 1).pipe(
        Flag.withDescription(
          `The most states of one exploration (default ${defaultMutantStates}); all those of one mutant may visit five times as many`,
        ),
        Flag.withDefault(defaultMutantStates),
      ),
      workers: whole("workers", 1).pipe(
        Flag.withDescription("Threads that explore mutants, each its own (default: as many as there are cores)"),
        Flag.withDefault(availableParallelism()),
      ),
      memory,
      json,
    },
    ({ only, memory, json, ...flags }) =>
      mutantsCommand(registry, {
        ...flags,
        only: Option.getOrUndefined(only),
        memory: Option.getOrUndefined(memory),
        json: Option.getOrUndefined(json),
      }),
  ).pipe(
    Command.withShortDescription("Change every step, and see whether some property notices"),
    Command.withDescription(
      `Makes mutants of protocols by changing the steps that their scenarios take, and explores each until a property breaks.\n${mutationOperators}\n${mutantVerdicts}`,
    ),
    Command.withExamples([
      { command: "npm run check -- mutants notifier/interval" },
      { command: "npm run check -- mutants 'lease/*' --only 'leave-out *'" },
      { command: "npm run check -- mutants ~/counter.ts", description: "a program of your own" },
    ]),
  )

  const workers = whole("workers", 1).pipe(
    Flag.withDescription(
      "Threads that explore, each a scenario by itself where there are enough (default: as many as there are cores)",
    ),
    Flag.withDefault(availableParallelism()),
  )
  const docs = Command.make(
    "docs",
    {
      targets: Argument.String("page").pipe(
        Argument.withDescription("The id of a protocol, comparison or guide, or a glob over them; all without any"),
        Argument.variadic(),
      ),
      from: Flag.String("from").pipe(
        Flag.withMetavar("FILE"),
        Flag.withDescription("Take the figures from this document of --json, and check nothing"),
        Flag.optional,
      ),
      mutants: Flag.String("mutants").pipe(
        Flag.withMetavar("FILE"),
        Flag.withDescription("Say what became of mutants too, by this document of mutants --json"),
        Flag.optional,
      ),
      out: Flag.String("out").pipe(
        Flag.withMetavar("DIR"),
        Flag.withDescription("Where the pages go: a directory with nothing else in it (default handbook)"),
        Flag.withDefault("handbook"),
      ),
      json,
      workers,
      memory,
    },
    ({ targets, from, mutants, out, json, workers, memory }) =>
      docsCommand(registry, handbook, {
        targets,
        out,
        workers,
        from: Option.getOrUndefined(from),
        mutants: Option.getOrUndefined(mutants),
        json: Option.getOrUndefined(json),
        memory: Option.getOrUndefined(memory),
      }),
  ).pipe(
    Command.withShortDescription("The protocol handbook, from the specs and a run"),
    Command.withDescription(
      "Writes a page for each protocol, for each comparison of designs, and the guides, as Markdown and as a static HTML site. Every figure is one of a run: of the check that it carries out, or of a document that --json wrote.",
    ),
    Command.withExamples([
      { command: "npm run check -- docs", description: "checks everything, then writes handbook/" },
      { command: "npm run check -- docs --from report.json", description: "after npm run check -- --json report.json" },
      {
        command: "npm run check -- docs --mutants mutants.json",
        description: "after npm run check -- mutants --json mutants.json",
      },
      { command: "npm run check -- docs 'notifier/*' --out pages" },
    ]),
  )

  return Command.make("shootdown", { save, json, workers, memory }, ({ save, json, workers, memory }) =>
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
    Command.withSubcommands([list, explore, replay, mutants, bench, docs]),
  )
}
