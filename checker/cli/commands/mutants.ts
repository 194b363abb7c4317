import { availableParallelism } from "node:os"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import { operators } from "../../mutation/operators/index.ts"
import { wrap } from "../../report/text.ts"
import type { Registry } from "../../scenario/protocol.ts"
import { mutantsCommand } from "../mutants.ts"
import { json, memory, whole } from "./flags.ts"

const defaultMutantStates = 100_000

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

/** Command `mutants`. */
export const mutants = (registry: Registry) =>
  Command.make(
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
          `The most states of one exploration (default ${defaultMutantStates}); all those of one mutant may visit five times as many; what is open then is asked once more with five times of both`,
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
