/** What the pages of a handbook are made of: a protocol, and what a run came to. */
import type { BugEntry, Protocol, Registry } from "../../scenario/protocol.ts"
import type { MutatedProtocol, MutationReport } from "../mutation.ts"
import type { Report, ScenarioReport } from "../report.ts"
import type { Catalogue, Chapter, Comparison, ComparisonRow } from "./comparison.ts"
import { text } from "./markdown.ts"
import type { OperationSource } from "./stepSources.ts"

/** A protocol, and what a run has of it. */
export interface ProtocolSubject {
  readonly protocol: Protocol
  /** The explorations of its scenarios as they should be, in the order of the run. */
  readonly explorations: ReadonlyArray<ScenarioReport>
  readonly hunts: ReadonlyArray<Hunted>
  readonly actors: ReadonlyArray<Actor>
  /** The names of the cells with which its scenarios begin. */
  readonly cells: ReadonlyArray<string>
  /** What its fibers did, by names and kinds, and where each is made. */
  readonly operations: ReadonlyArray<OperationSource>
  /** What its steps touch, as far as that was seen. */
  readonly seen: Seen
  /** What became of its mutants, if they were made. */
  readonly mutated?: MutatedProtocol | undefined
}

/** A fiber. */
export interface Actor {
  readonly name: string
  /** The ids of the scenarios in which it takes part. */
  readonly scenarios: ReadonlyArray<string>
}

/** What a part of the explorations shows of steps. */
export interface Seen {
  /** The most states of a scenario that were visited for it. */
  readonly states: number
  /** By the names of the steps. */
  readonly touches: ReadonlyMap<string, Touches>
}

/** Who takes a step, and the cells that it touches: all by name. */
export interface Touches {
  readonly by: ReadonlySet<string>
  /** Those that its guard reads, which says whether it can be taken. */
  readonly guards: ReadonlySet<string>
  readonly reads: ReadonlySet<string>
  /** Those that it writes, be it with what they held before. */
  readonly writes: ReadonlySet<string>
}

/** A seeded bug, and what the run has of it. */
export interface Hunted {
  readonly bug: BugEntry
  /** Not there if the run did not look for it. */
  readonly report?: ScenarioReport
  /** The run that shows it, laid out; not there if it was missed, or no one schedule shows it. */
  readonly trace?: ReadonlyArray<string>
}

/** Whether the run found it: that what it is to break was broken. */
export const isFound = ({ bug, report }: Hunted): boolean => report?.property === bug.breaks

/** A comparison, run. */
export interface Compared {
  readonly comparison: Comparison
  readonly rows: ReadonlyArray<ComparisonRow>
  readonly runs: ReadonlyArray<ScenarioReport>
  /** What explored: that of the run, or, where its document does not have them, this tool. */
  readonly tool: Report["tool"]
}

/** A chapter, read. */
export interface Written {
  readonly chapter: Chapter
  readonly markdown: string
}

/** Everything that a handbook is made of. */
export interface HandbookSubject {
  readonly run: Pick<Report, "tool" | "interrupted">
  /** Another run, of mutants, if there was one. */
  readonly mutation?: Pick<MutationReport, "tool" | "interrupted" | "budget" | "operators"> | undefined
  /** All protocols, those without a page too. */
  readonly registry: Registry
  readonly protocols: ReadonlyArray<ProtocolSubject>
  readonly catalogues: ReadonlyArray<Catalogue>
  readonly comparisons: ReadonlyArray<Compared>
  readonly chapters: ReadonlyArray<Written>
}

/** A page in Markdown: its name has no ending, and what it links to is called by names with `.md`. */
export interface Page {
  readonly name: string
  readonly title: string
  readonly markdown: string
}

/** The name of the page about something with an id that reads like a path. */
export const pageName = (id: string): string => id.replace(/[^A-Za-z0-9._-]/g, "-").replace(/^\./, "-")

/** A page about something: its title, what it is of the handbook, and the rest. */
export const pageOf = (
  { id, title }: { readonly id: string; readonly title: string },
  is: string,
  lines: ReadonlyArray<string>,
): Page => ({
  name: pageName(id),
  title,
  markdown: [`# ${text(title)}`, "", `${is} of [the handbook](index.md).`, "", ...lines].join("\n"),
})
