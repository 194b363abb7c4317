/** The command line as a process: arguments in, exit status out, and one clear sentence for whatever is wrong. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import type { Benchmark } from "../bench/benchmark.ts"
import { Pool } from "../campaign/pool.ts"
import { keepOutRealWorld } from "../engine/realWorld.ts"
import type { HandbookSource } from "../report/handbook/comparison.ts"
import { printable } from "../report/text.ts"
import { tool } from "../report/tool.ts"
import type { Registry } from "../scenario/protocol.ts"
import { commandLine } from "./command.ts"
import { hearCtrlC } from "./ctrlC.ts"
import { exitStatus } from "./errors.ts"
import { complain } from "./output.ts"
import { SavedDirectory } from "./place.ts"
import { RegistryModule } from "./programSource.ts"
import { isProgramFile } from "./userProgram.ts"

interface Surroundings {
  /** The directory of the registry's counterexamples, if not the repository's. */
  readonly saved?: string
  /** What `bench` measures. */
  readonly benchmarks?: ReadonlyArray<Benchmark>
  /** What `docs` has besides the protocols. */
  readonly handbook?: HandbookSource
  /**
   * The URL of a module that exports the registry as `registry`: worker threads load it from there, and without it they
   * can only explore programs from files.
   */
  readonly module?: string
}

/**
 * Does what a command line says, over a registry.
 *
 * @returns the exit status that the process is to end with
 */
export const runCommandLine = (
  args: ReadonlyArray<string>,
  registry: Registry,
  { saved, benchmarks = [], handbook = { comparisons: [], chapters: [] }, module }: Surroundings = {},
): Effect.Effect<number> => {
  const run = Command.runWith(commandLine(registry, benchmarks, handbook), {
    version: tool.version,
    renderErrors: false,
  })
  return Effect.suspend(() => run(args)).pipe(
    Effect.as<number>(exitStatus.well),
    Effect.catchTags({
      Unexpected: ({ status }) => Effect.succeed<number>(status),
      BadUsage: ({ message, command }) => refuse(message, command),
      BadInput: ({ messages }) => Effect.as(complain(messages), exitStatus.badUsage),
      Stalled: ({ message }) => Effect.as(complain([printable(message, wholeSentence)]), exitStatus.broken),
      SetupFailed: ({ message }) => Effect.as(complain([printable(message, wholeSentence)]), exitStatus.badUsage),
      ShowHelp: ({ errors, commandPath }) => refuse(usageText(errors), commandPath[1]),
    }),
    (effect) => (saved === undefined ? effect : Effect.provideService(effect, SavedDirectory, saved)),
    Effect.provideService(RegistryModule, module),
    Effect.provide(Layer.mergeAll(NodeServices.layer, Pool.layer, builtIns, presenter)),
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.as(confess(cause), exitStatus.defect),
    ),
  )
}

/** Runs the process's command line over a registry, and ends the process with its exit status. */
export const main = (registry: Registry, surroundings: Surroundings = {}): void => {
  keepOutRealWorld() // once, and not around each stretch of a search
  surviveClosedPipes()
  process.once("exit", endedFromWithin)
  // A step that returns a promise is reported by the engine; that promise failing later changes nothing.
  process.on("unhandledRejection", () => undefined)
  const listening = Effect.withFiber((fiber) => hearCtrlC(() => fiber.interruptUnsafe(fiber.id)))
  runMain(Effect.andThen(listening, runCommandLine(process.argv.slice(2), registry, surroundings)), {
    disableErrorReporting: true,
    teardown: (exit) =>
      end(Exit.isSuccess(exit) && typeof exit.value === "number" ? exit.value : exitStatus.interrupted),
  })
}

/** As platform-node's, but for ctrl-C, which needs more than a handler. */
const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  const interrupt = () => fiber.interruptUnsafe(fiber.id)
  process.on("SIGTERM", interrupt)
  fiber.addObserver((exit) => {
    process.off("SIGTERM", interrupt)
    teardown(exit, () => undefined)
  })
})

/** The longest sentence with a program's own words in it. */
const wholeSentence = 1000

/** Ends the process once what was written has left it. A program that was loaded may have timers: they end too. */
const end = (status: number): void => {
  process.stdout.write("", () => leave(status))
}

const leave = (status: number): void => {
  process.off("exit", endedFromWithin)
  process.exit(status)
}

/** The process ends and nothing was reported: that must not look like success. */
const endedFromWithin = (): void => {
  process.stderr.write("shootdown: the process was ended from within: by a program's process.exit, it seems\n")
  process.exitCode = exitStatus.defect
}

/** Help, version and completions; a wizard and a log level have no use here. */
const builtIns = CliConfig.layer({
  builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions],
})

/**
 * Help is printed when it is asked for: a usage error is one sentence, not a page. What it calls the command is what has
 * to be typed.
 */
const presenter = CliOutput.layerPresenter({
  present: (event) => {
    if (event._tag !== "Help") return CliOutput.defaultPresenter.present(event)
    if (event.reason === "Implicit") return Effect.void
    const usage = event.helpDoc.usage.replace(tool.name, "npm run check --")
    return CliOutput.defaultPresenter.present({ ...event, helpDoc: { ...event.helpDoc, usage } })
  },
})

const refuse = (message: string, command: string | undefined) =>
  Effect.as(
    complain([`${message} (npm run check -- ${command === undefined ? "" : `${command} `}--help says more)`]),
    exitStatus.badUsage,
  )

/** The first thing that is wrong with the command line, in a sentence. */
const usageText = ([error]: ReadonlyArray<CliError.NonShowHelpErrors>): string => {
  const meant = (suggestions: ReadonlyArray<string>) =>
    suggestions.length === 0 ? "" : `; did you mean ${suggestions.join(" or ")}?`
  switch (error?._tag) {
    case "UnrecognizedOption":
      return `there is no flag ${printable(error.option)}${meant(error.suggestions)}`
    case "UnknownSubcommand":
      return error.subcommand.includes("/") || isProgramFile(error.subcommand)
        ? `there is no subcommand ${printable(error.subcommand)}; did you mean explore ${printable(error.subcommand)}?`
        : `there is no subcommand ${printable(error.subcommand)}${meant(error.suggestions)}`
    case "InvalidValue":
      return error.value === ""
        ? `--${error.option} needs a value: ${alternatives(error.expected)}`
        : `--${error.option} ${printable(error.value)} must be ${alternatives(error.expected)}`
    case "UnexpectedArgument":
      return `unexpected ${error.arguments.map((argument) => printable(argument)).join(", ")}`
    default:
      return printable(error?.message ?? "the command line cannot be understood")
  }
}

/** What the library writes `"a" | "b"`. */
const alternatives = (expected: string): string =>
  expected.includes(" | ") ? `one of ${expected.replaceAll('"', "").replaceAll(" | ", ", ")}` : expected

/** Says that the fault is ours. The stack is for the report of it. */
const confess = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  const error = Cause.squash(cause)
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return complain([`this is a bug in Shootdown; please report it with these lines:\n${stack}`])
}

/** Whoever reads the output may stop reading (`| head`): there is then nobody to tell, and nothing more to do. */
const surviveClosedPipes = (): void => {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error
      leave(closedPipe)
    })
  }
}

/** What a process that dies of SIGPIPE ends with. */
const closedPipe = 128 + 13
