import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import type { HandbookSource } from "../../report/handbook/comparison.ts"
import type { Registry } from "../../scenario/protocol.ts"
import { docsCommand } from "../docs.ts"
import { json, memory, workers } from "./flags.ts"

/** Command `docs`; its pages are also those of the handbook's source. */
export const docs = (registry: Registry, handbook: HandbookSource) =>
  Command.make(
    "docs",
    {
      targets: Argument.String("page").pipe(
        Argument.withDescription("The id of a protocol, comparison or guide, or a glob over them; all without any"),
        Argument.variadic(),
      ),
      from: Flag.String("from").pipe(
        Flag.withMetavar("FILE"),
        Flag.withDescription(
          "Take the figures from this document of --json, and check nothing; only comparisons that it does not have are explored",
        ),
        Flag.optional,
      ),
      mutants: Flag.String("mutants").pipe(
        Flag.withMetavar("FILE"),
        Flag.withDescription("Say what became of mutants too, by this document of mutants --json"),
        Flag.optional,
      ),
      out: Flag.String("out").pipe(
        Flag.withMetavar("DIR"),
        Flag.withDescription(
          "Where the pages go: a directory with nothing else in it, nor a handbook with more pages (default handbook)",
        ),
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
      "Writes a page for each protocol, for each comparison of designs, and the guides, as Markdown and as a static HTML site. Every figure is one of a run: of the check that it carries out and of what it explores for comparisons, or of a document that docs --json wrote of them. A document of the bare command has no comparisons.",
    ),
    Command.withExamples([
      { command: "npm run check -- docs", description: "checks everything, then writes handbook/" },
      {
        command: "npm run check -- docs --from report.json",
        description: "after npm run check -- docs --json report.json",
      },
      {
        command: "npm run check -- docs --mutants mutants.json",
        description: "after npm run check -- mutants --json mutants.json",
      },
      { command: "npm run check -- docs 'notifier/*' --out pages" },
    ]),
  )
