/** Designs against each other: a table whose cells are outcomes of runs, as a value that the handbook renders. */
import type * as Effect from "effect/Effect"

/** What came out for one design at one point. */
export interface ComparisonCell {
  /**
   * What the runs came to, a line each, with scenario and bound. What is between backquotes and the id of a scenario or of a
   * seeded bug leads to the page that tells of it.
   */
  readonly outcome: ReadonlyArray<string>
  /** What to make of it. */
  readonly finding?: string
}

/** A row of the table. */
export interface ComparisonRow {
  readonly point: string
  /** One for each design, in their order. */
  readonly cells: ReadonlyArray<ComparisonCell>
}

/** Designs that were argued for, against each other. */
export interface Comparison {
  /** Reads like a path: `comparison/notifier-or-pin`. */
  readonly id: string
  readonly title: string
  /** What is asked of the designs. */
  readonly question: string
  /** Where the question comes from. */
  readonly source: string
  readonly designs: ReadonlyArray<string>
  /**
   * Explores, by `exploreToEnd`, which has the runs listed on the page, and says what came out. Fails where an exploration does
   * not come to its end.
   */
  readonly rows: Effect.Effect<ReadonlyArray<ComparisonRow>, { readonly message: string }>
  /** What it comes to, a paragraph each. */
  readonly conclusion: ReadonlyArray<string>
}

/** A page that is written by hand, in Markdown; its examples are tested. */
export interface Chapter {
  /** Reads like a path: `guide/new-protocol`. */
  readonly id: string
  readonly title: string
  /** In a sentence, what is there. */
  readonly summary: string
  readonly file: URL
}

/** A known bug, of which seeded bugs are models. */
export interface CatalogueEntry {
  /** What the references of those seeded bugs call it: `bug zoo 13`. */
  readonly reference: string
  /** What is wrong there. */
  readonly title: string
  /** By what else it is known: commits, CVEs. */
  readonly known: ReadonlyArray<string>
}

/** A list of known bugs: its page says which seeded bugs they are. */
export interface Catalogue {
  /** Reads like a path: `guide/bug-zoo`. */
  readonly id: string
  readonly title: string
  /** In a sentence or two, what is listed. */
  readonly summary: string
  readonly entries: ReadonlyArray<CatalogueEntry>
}

/** What the handbook has besides the protocols. */
export interface HandbookSource {
  readonly catalogues?: ReadonlyArray<Catalogue>
  readonly comparisons: ReadonlyArray<Comparison>
  readonly chapters: ReadonlyArray<Chapter>
  /** Below a folder, that of the model, in which steps are written, and that of the specs, which define the protocols. */
  readonly sources?: { readonly root: URL; readonly model: string; readonly specs: string }
}
