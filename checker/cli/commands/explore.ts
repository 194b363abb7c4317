import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import { bounded } from "../../explore/bounded.ts"
import { states } from "../../explore/states.ts"
import { strategies, takers } from "../../explore/strategies.ts"
import type { StrategyOption } from "../../explore/strategy.ts"
import type { Registry } from "../../scenario/protocol.ts"
import { defaultSteps, exploreCommand, flagName } from "../explore.ts"
import { duration, json, memory, save, whole } from "./flags.ts"
import { exitStatuses, passes } from "./passes.ts"

const time = duration("time", "60s").pipe(
  Flag.withDescription("Stop each search after this long: 500ms, 60s, 5m, 1h; shrinking what it found is not counted"),
  Flag.optional,
)

/** A file that holds, or is to hold, where an exploration stands. */
const checkpointFile = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar("FILE"), Flag.withDescription(description), Flag.optional)

/** What a flag does, and for which strategies. */
const usedBy = (option: StrategyOption, description: string): string => `${description} (${takers(option)})`

const defaultEvery = 30_000

const strategy = Flag.ChoiceWithValue(
  "strategy",
  strategies.map((each) => [each.name, each] as const),
).pipe(
  Flag.withMetavar("NAME"),
  Flag.withDescription(`How to explore (default ${states.name}; for an Effect without steps ${bounded.name})`),
  Flag.optional,
)

/** Command `explore`. */
export const explore = (registry: Registry) =>
  Command.make(
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
            "Check the rules that programs must obey as the search goes, and name what breaks them; five to twenty times slower",
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
