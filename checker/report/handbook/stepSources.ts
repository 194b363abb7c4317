/**
 * Where steps are written: the files in whose text the name of a step stands as a literal, among those that a protocol's
 * definition imports, and what the first comment of each file says that it models. Nothing is run and nothing parsed: that
 * is enough to find the way.
 */

/** A file of the sources. */
export interface SourceFile {
  /** As pages call it: `model/mm/unmap.ts`. */
  readonly path: string
  readonly text: string
}

/** Steps that are written in one file. */
export interface StepGroup {
  /** Not there for steps whose names are put together when the program runs. */
  readonly file?: { readonly path: string; readonly says: string }
  readonly steps: ReadonlyArray<{
    readonly name: string
    /** Other files that the protocol imports in which a step of that name is written. */
    readonly alsoIn: ReadonlyArray<string>
  }>
}

/**
 * The files that define a protocol: the one in which it is defined by its id, and all that it imports, directly or not,
 * for more than types. All files, if none defines it.
 */
export const filesOf = (protocol: string, files: ReadonlyArray<SourceFile>): ReadonlyArray<SourceFile> => {
  const definition = new RegExp(`\\bprotocol\\(\\{\\s*id: "${protocol.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}"`)
  const start = files.find(({ text }) => definition.test(text))
  if (start === undefined) return files
  const byPath = new Map(files.map((file) => [file.path, file]))
  const reached = new Set([start])
  for (const file of reached) {
    for (const path of importsOf(file)) {
      const imported = byPath.get(path)
      if (imported !== undefined) reached.add(imported)
    }
  }
  return [...reached]
}

const importsOf = ({ path, text }: SourceFile): ReadonlyArray<string> =>
  [...text.matchAll(/^(?:import|export)\s+(?!type\b)[^"']*?\bfrom "(\.[^"]+)"/gm)].map(([, target = ""]) =>
    new URL(target, `file:///${path}`).pathname.slice(1),
  )

/**
 * Groups the steps of a protocol by the files in which they are written: rather in `home`, the folder of the model, than
 * where specs tell of them. A part of a function, `function: part`, is written where the function is if nowhere by itself.
 */
export const groupSteps = (
  names: ReadonlyArray<string>,
  files: ReadonlyArray<SourceFile>,
  home: string,
): ReadonlyArray<StepGroup> => {
  const texts = files.map((file) => ({
    file,
    isHome: file.path.startsWith(`${home}/`),
    made: literalsIn(file.text, /\(\s*(?:"([^"\n]+)"|`([^`\n$]+)`)/g),
    named: literalsIn(file.text, /"([^"\n]+)"|`([^`\n$]+)`/g),
  }))
  const having = (name: string, isHome: boolean, how: "made" | "named") =>
    texts.flatMap((each) => (each.isHome === isHome && each[how].has(name) ? [each.file] : []))
  const writtenIn = (name: string): ReadonlyArray<SourceFile> => {
    const [whole = name] = name.split(": ")
    const lookups = [
      () => having(name, true, "made"),
      () => having(name, true, "named"),
      () => having(whole, true, "made"),
      () => having(whole, true, "named"),
      () => having(name, false, "made"),
    ]
    for (const lookup of lookups) {
      const found = lookup()
      if (found.length > 0) return found
    }
    return []
  }
  const candidates = new Map(names.map((name) => [name, writtenIn(name)] as const))
  const own = new Map<SourceFile, number>()
  for (const [only, ...others] of candidates.values()) {
    if (only !== undefined && others.length === 0) own.set(only, (own.get(only) ?? 0) + 1)
  }
  const groups = new Map<SourceFile | undefined, Array<StepGroup["steps"][number]>>()
  for (const name of names) {
    const [file, ...others] = (candidates.get(name) ?? []).toSorted((a, b) => (own.get(b) ?? 0) - (own.get(a) ?? 0))
    const group = groups.get(file) ?? []
    group.push({ name, alsoIn: others.map(({ path }) => path) })
    groups.set(file, group)
  }
  const sorted = [...groups].sort(([a], [b]) => compare(a?.path, b?.path))
  return sorted.map(([file, steps]) =>
    file === undefined ? { steps } : { file: { path: file.path, says: firstComment(file.text) }, steps },
  )
}

const compare = (a: string | undefined, b: string | undefined): number => {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? 1 : -1
  return a < b ? -1 : a > b ? 1 : 0
}

const literalsIn = (text: string, literal: RegExp): ReadonlySet<string> =>
  new Set([...text.matchAll(literal)].map(([, quoted, template]) => quoted ?? template ?? ""))

/** The first paragraph of the comment that a file begins with, on one line. */
const firstComment = (text: string): string => {
  const [, comment = ""] = /^\/\*\*(.*?)\*\//s.exec(text) ?? []
  const [paragraph = ""] = comment
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trim())
    .join("\n")
    .trim()
    .split("\n\n")
  return paragraph.replaceAll("\n", " ")
}
