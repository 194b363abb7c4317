/** `docs`: the protocol handbook, made of the specs and of one run. */
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Glob from "effect/Glob"
import * as Path from "effect/Path"
import { fileName } from "../counterexample/files.ts"
import type { Catalogue, Chapter, Comparison, HandbookSource } from "../report/handbook/comparison.ts"
import { handbookPages } from "../report/handbook/pages.ts"
import { htmlPage, stylesheet, stylesheetName } from "../report/handbook/site.ts"
import type { SourceFile } from "../report/handbook/stepSources.ts"
import { type Page, pageName } from "../report/handbook/subject.ts"
import type { Report } from "../report/report.ts"
import { count, printable } from "../report/text.ts"
import type { Registry } from "../scenario/protocol.ts"
import { checkAll } from "./check.ts"
import { comparedIn } from "./comparisons.ts"
import { BadUsage, badInput, exitStatus } from "./errors.ts"
import { prepareDirectory, refuseLoss, writeHandbook } from "./handbookFiles.ts"
import { subjectOf } from "./handbookSubject.ts"
import { Output } from "./output.ts"
import { resolvePath, shownPath } from "./place.ts"
import { readMutationReport, readReport } from "./readReport.ts"
import { inSession, reportOf, Session } from "./session.ts"
import { suggestion } from "./suggest.ts"

interface DocsFlags {
  /** Ids of protocols, lists of known bugs, comparisons and guides, or globs over them; all if none is given. */
  readonly targets: ReadonlyArray<string>
  /** A document that `--json` wrote; without it, the protocols are checked now. */
  readonly from: string | undefined
  /** A document that `mutants --json` wrote, whose figures are added. */
  readonly mutants: string | undefined
  readonly out: string
  readonly json: string | undefined
  readonly workers: number
  /** In bytes. */
  readonly memory: number | undefined
}

/** Runs `docs`. The exit status is that of the check, if there was one. */
export const docsCommand = Effect.fnUntraced(function* (registry: Registry, source: HandbookSource, flags: DocsFlags) {
  if (flags.from !== undefined && flags.json !== undefined) {
    return yield* new BadUsage({
      message: "--json says what a run comes to: with --from there is none",
      command: "docs",
    })
  }
  return yield* inSession(flags.json, makeHandbook(registry, source, flags))
})

const makeHandbook = Effect.fnUntraced(function* (registry: Registry, source: HandbookSource, flags: DocsFlags) {
  const session = yield* Session
  const output = yield* Output
  // What cannot be written is better known now than after minutes of exploring.
  const directory = yield* prepareDirectory(yield* resolvePath(flags.out), flags.out)
  const selected = yield* select(registry, source, flags.targets)
  const read =
    flags.from === undefined ? undefined : yield* readReport(yield* resolvePath(flags.from), flags.from, registry)
  const mutation =
    flags.mutants === undefined
      ? undefined
      : yield* readMutationReport(yield* resolvePath(flags.mutants), flags.mutants, registry)
  yield* refuseLoss(
    directory,
    namesOf({ ...source, protocols: registry }),
    namesOf({ ...selected, protocols: reportedIn(selected.protocols, read) }),
  )
  const stays = directory.missing.length > 0 ? "" : "; what was there stays"
  session.atInterrupt = [`no page was written to ${printable(flags.out)}${stays}`]
  const status =
    read === undefined && selected.protocols.length > 0 ? yield* check(selected.protocols, flags) : exitStatus.well
  const report = read ?? reportOf(session)
  const reported = reportedIn(selected.protocols, report)
  const missing = selected.protocols.find((protocol) => !reported.includes(protocol))
  if (missing !== undefined && flags.targets.length > 0) {
    return yield* badInput(`${printable(flags.from ?? "the run")} has nothing of ${missing.id}`)
  }
  if (
    mutation !== undefined &&
    !mutation.protocols.some(({ protocol }) => reported.some(({ id }) => id === protocol))
  ) {
    return yield* badInput(`${printable(flags.mutants ?? "")} is of none of the protocols that have a page`)
  }
  const sources = yield* sourceFiles(source.sources)
  const protocols = yield* Effect.forEach(reported, (protocol, done) =>
    subjectOf(protocol, report, mutation, sources, (scenario) =>
      output.status(() => `the page of ${protocol.id}, ${done + 1} of ${reported.length}: the steps of ${scenario}`),
    ),
  )
  const comparisons = yield* Effect.forEach(selected.comparisons, (comparison) =>
    comparedIn(comparison, read, flags.from ?? ""),
  )
  const files = yield* FileSystem.FileSystem
  const chapters = yield* Effect.forEach(selected.chapters, (chapter) =>
    files.readFileString(fileURLToPath(chapter.file)).pipe(
      Effect.map((markdown) => ({ chapter, markdown })),
      Effect.mapError(({ reason }) => badInput(`${chapter.id} cannot be read: ${reason._tag}`)),
    ),
  )
  const { catalogues } = selected
  const pages = handbookPages({ run: report, mutation, registry, protocols, catalogues, comparisons, chapters })
  const where = printable(yield* shownPath(directory.path))
  yield* Effect.uninterruptible(
    Effect.tap(writeHandbook(directory, contentsOf(pages)), () => {
      session.atInterrupt = [`${where} was written`]
      return Effect.void
    }),
  )
  yield* output.print([`${where}: ${count(pages.length, "page")}, each as Markdown and as HTML; begin at index.html`])
  return status
})

/** The protocols that a document has something of; all of them, if there is none yet. */
const reportedIn = (protocols: Registry, report: Report | undefined): Registry => {
  if (report === undefined) return protocols
  const inReport = new Set(report.scenarios.map(({ id }) => id))
  return protocols.filter(({ scenarios }) => scenarios.some(({ id }) => inReport.has(id)))
}

const contentsOf = (pages: ReadonlyArray<Page>): ReadonlyMap<string, string> =>
  new Map([
    ...pages.flatMap((page) => [
      [`${page.name}.md`, `${page.markdown.trimEnd()}\n`] as const,
      [`${page.name}.html`, htmlPage(page)] as const,
    ]),
    [stylesheetName, stylesheet],
  ])

/** The check of the protocols that are asked for, with those of the saved counterexamples that are theirs. */
const check = Effect.fnUntraced(function* (protocols: Registry, { workers, memory }: DocsFlags) {
  const { basename } = yield* Path.Path
  const own = new Set(
    protocols.flatMap(({ bugs }) =>
      bugs.map(({ id, scenario, breaks }) => fileName({ mutant: id, scenario, property: breaks })),
    ),
  )
  return yield* checkAll(protocols, { workers, memory, save: false }, (file) => own.has(basename(file)))
})

interface Selected {
  readonly protocols: Registry
  readonly catalogues: ReadonlyArray<Catalogue>
  readonly comparisons: ReadonlyArray<Comparison>
  readonly chapters: ReadonlyArray<Chapter>
}

/** Everything that has a page of its own. */
const pagesIn = ({
  protocols,
  catalogues = [],
  comparisons,
  chapters,
}: Omit<Selected, "catalogues"> & Partial<Selected>) => [...protocols, ...catalogues, ...comparisons, ...chapters]

const namesOf = (of: Parameters<typeof pagesIn>[0]): ReadonlyArray<string> => pagesIn(of).map(({ id }) => pageName(id))

/** What the arguments name. */
const select = Effect.fnUntraced(function* (
  registry: Registry,
  { catalogues = [], comparisons, chapters }: HandbookSource,
  targets: ReadonlyArray<string>,
) {
  if (targets.length === 0) return { protocols: registry, catalogues, comparisons, chapters } satisfies Selected
  const known = pagesIn({ protocols: registry, catalogues, comparisons, chapters }).map(({ id }) => id)
  const chosen = new Set<string>()
  for (const target of targets) {
    const glob = Glob.make(target)
    const found = known.filter((id) => id === target || Glob.match(glob, id))
    if (found.length === 0) {
      const others = [...catalogues, ...comparisons, ...chapters].map(({ id }) => id).join(", ")
      const pages = `; its pages are the protocols that npm run check -- list shows, ${others}`
      return yield* badInput(`the handbook has no page ${printable(target)}${suggestion(target, known, pages)}`)
    }
    for (const id of found) chosen.add(id)
  }
  const isChosen = ({ id }: { readonly id: string }) => chosen.has(id)
  return {
    protocols: registry.filter(isChosen),
    catalogues: catalogues.filter(isChosen),
    comparisons: comparisons.filter(isChosen),
    chapters: chapters.filter(isChosen),
  } satisfies Selected
})

/** The sources of the protocols. */
const sourceFiles = Effect.fnUntraced(function* (sources: HandbookSource["sources"]) {
  const files = yield* FileSystem.FileSystem
  const { join, sep } = yield* Path.Path
  const read = Effect.fnUntraced(function* (folder: string, root: string) {
    const names = yield* files.readDirectory(join(root, folder), { recursive: true })
    return yield* Effect.forEach(names.filter((name) => name.endsWith(".ts")).sort(), (name) =>
      Effect.map(
        files.readFileString(join(root, folder, name)),
        (text): SourceFile => ({ path: [folder, ...name.split(sep)].join("/"), text }),
      ),
    )
  })
  if (sources === undefined) return undefined
  const { root, model, specs } = sources
  return yield* Effect.forEach([model, specs], (folder) => read(folder, fileURLToPath(root))).pipe(
    Effect.map((found) => ({ root, files: found.flat() })),
    Effect.mapError(({ reason }) => badInput(`the sources of the protocols cannot be read: ${reason._tag}`)),
  )
})
