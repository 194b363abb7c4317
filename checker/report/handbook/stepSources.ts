/**
 * Where operations are made: the file through which one was met in the making and in which its name is written, or, where
 * none was met, a call that makes it, in one of the files that the protocol's definition imports. And what the first comment
 * of each file says that it models.
 */
import * as Arr from "effect/Array"
import type { Operation } from "../../program/operation.ts"

/** A file of the sources. */
export interface SourceFile {
  /** As pages call it: `model/mm/unmap.ts`. */
  readonly path: string
  readonly text: string
}

/** An operation that was seen in the making. */
export interface Made {
  readonly name: string
  readonly kind: Operation["kind"]
  /** The files of the program that were about it, the innermost first. */
  readonly through: ReadonlyArray<string>
}

/** Where operations of one name and kind are made. */
export interface OperationSource {
  readonly name: string
  readonly kind: Operation["kind"]
  /** None if it was not met and no call says its name: then it is put together when the program runs. */
  readonly files: ReadonlyArray<SourceFile>
}

/**
 * The files that define a protocol: the one in which it is defined by its id, and all that it imports, directly or not,
 * for more than types. All files, if none defines it.
 */
export const filesOf = (protocol: string, files: ReadonlyArray<SourceFile>): ReadonlyArray<SourceFile> => {
  const definition = new RegExp(`\\bprotocol\\(\\{\\s*id: "${escaped(protocol)}"`)
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

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/**
 * Finds where the operations of those names are made: one source for each kind that a name was met as.
 *
 * @param files of the protocol
 */
export const sourcesOf = (
  names: ReadonlyArray<string>,
  made: ReadonlyArray<Made>,
  files: ReadonlyArray<SourceFile>,
): ReadonlyArray<OperationSource> => {
  const written = files.map((file) => ({ file, literals: literalsIn(file.text) }))
  const byPath = new Map(written.map((each) => [each.file.path, each]))
  const metAs = new Map(Object.entries(Arr.groupBy(made, ({ name }) => name)))
  const sources = names.map((name): ReadonlyArray<OperationSource> => {
    const met = metAs.get(name)
    if (met === undefined) return [unmet(name, written)]
    return Object.values(Arr.groupBy(met, ({ kind }) => kind)).map((times) => {
      const [{ kind }] = times
      const found = times.flatMap(({ through }) => {
        const known = through.flatMap((path) => byPath.get(path) ?? [])
        return isOwn(kind) ? known.slice(0, 1) : metIn(name, known, written)
      })
      return { name, kind, files: [...new Set(found.map(({ file }) => file))] }
    })
  })
  return sources.flat()
}

/** Whether operations of that kind are called by the checker, so that no file has their name. */
const isOwn = (kind: Operation["kind"]): boolean => kind !== "step" && kind !== "choice"

interface Written {
  readonly file: SourceFile
  readonly literals: Literals
}

/**
 * The files in which an operation that was met got its name: one that was about it, or else those that pass the name, or
 * that of the function of which it is a part (`function: part`), on to one that was.
 */
const metIn = (name: string, through: ReadonlyArray<Written>, all: ReadonlyArray<Written>): ReadonlyArray<Written> => {
  const [whole = name] = name.split(": ")
  for (const wanted of [name, whole]) {
    const found = through.find(({ literals }) => literals.has(wanted))
    if (found !== undefined) return [found]
  }
  const paths = new Set(through.map(({ file }) => file.path))
  const callers = all.filter(({ file }) => importsOf(file).some((path) => paths.has(path)))
  for (const wanted of [name, whole]) {
    const found = callers.filter(({ literals }) => literals.isPassed(wanted))
    if (found.length > 0) return found
  }
  return through.slice(0, 1)
}

/**
 * An operation that was not met is where a call has its name: one that makes operations, or else, for a step, any other, which
 * may have the name of the function of which it is a part.
 */
const unmet = (name: string, all: ReadonlyArray<Written>): OperationSource => {
  const where = (isMade: (literals: Literals) => boolean) =>
    all.flatMap(({ file, literals }) => (isMade(literals) ? [file] : []))
  const steps = where(({ isFirstFor }) => isFirstFor(name, "step") || isFirstFor(name, "guardedStep"))
  if (steps.length > 0) return { name, kind: "step", files: steps }
  const choices = where(({ isFirstFor }) => isFirstFor(name, "choose"))
  if (choices.length > 0) return { name, kind: "choice", files: choices }
  const [whole = name] = name.split(": ")
  const handed = [name, whole].map((wanted) => where(({ isArgument }) => isArgument(wanted)))
  return { name, kind: "step", files: handed.find((found) => found.length > 0) ?? [] }
}

/** The string literals of a file's code. */
interface Literals {
  /** Whether there is such a string, or a template that makes it: with letters of its own for the part before a colon. */
  readonly has: (text: string) => boolean
  /** Whether it is handed to somebody: in a call, or in what may be. */
  readonly isPassed: (text: string) => boolean
  /** Whether it is an argument of a call, and whether it is the first in a call of that function. */
  readonly isArgument: (text: string) => boolean
  readonly isFirstFor: (text: string, called: string) => boolean
}

const tokens = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\$]|\\.|\$(?!\{)|\$\{[^{}]*\})*)`/g
/** How much of the code before a literal says what it is for. */
const contextLength = 100

const literalsIn = (code: string): Literals => {
  const contexts = new Map<string, Array<string>>()
  const templates: Array<RegExp> = []
  for (const token of code.matchAll(tokens)) {
    const [, quoted, template] = token
    const text = quoted ?? template
    if (text === undefined) continue // a comment
    const parts = text.split(/\$\{[^{}]*\}/)
    if (template === undefined || parts.length === 1) {
      const context = code.slice(Math.max(0, token.index - contextLength), token.index)
      contexts.set(text, [...(contexts.get(text) ?? []), context])
    } else if (/[a-z]/i.test(parts.join("\n").split(": ")[0] ?? "")) {
      templates.push(new RegExp(`^${parts.map(escaped).join("[^ ]*")}$`))
    }
  }
  const isSaid = (text: string, so: (context: string) => boolean) => (contexts.get(text) ?? []).some(so)
  return {
    has: (text) => contexts.has(text) || templates.some((template) => template.test(text)),
    isPassed: (text) => isSaid(text, (context) => /[(,?:]\s*$/.test(context)),
    isArgument: (text) => isSaid(text, (context) => openBracket(context) === "("),
    isFirstFor: (text, called) => {
      const call = new RegExp(`\\b${called}(<[^()]*>)?\\(\\s*$`)
      return isSaid(text, (context) => call.test(context))
    },
  }
}

/** The last bracket that is open behind some code. */
const openBracket = (code: string): string | undefined => {
  let closed = 0
  return [...code].reverse().find((character) => {
    if (/[)\]}]/.test(character)) closed++
    else if (/[([{]/.test(character)) return closed-- === 0
    return false
  })
}

/** Steps that are made in one file. */
export interface StepGroup {
  /** Not there for steps whose names are put together when the program runs. */
  readonly file?: { readonly path: string; readonly says: string }
  readonly steps: ReadonlyArray<{
    readonly name: string
    /** Other files in which a step of that name is made. */
    readonly alsoIn: ReadonlyArray<string>
  }>
}

/** Groups steps by the files in which they are made; of several, the one that has most steps to itself. */
export const groupSteps = (steps: ReadonlyArray<OperationSource>): ReadonlyArray<StepGroup> => {
  const own = new Map<SourceFile, number>()
  for (const { files } of steps) {
    const [only, ...others] = files
    if (only !== undefined && others.length === 0) own.set(only, (own.get(only) ?? 0) + 1)
  }
  const groups = new Map<SourceFile | undefined, Array<StepGroup["steps"][number]>>()
  for (const { name, files } of steps) {
    const [file, ...others] = files.toSorted((a, b) => (own.get(b) ?? 0) - (own.get(a) ?? 0))
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
