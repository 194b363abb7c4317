/**
 * Random sequences of operations. A rough idea of what is mapped goes along with them, so that most operations are about
 * something that is there; it follows no rule exactly, and some of what it picks is bad input, as is meant.
 */
import fc from "fast-check"
import {
  type Advice,
  areaPages,
  type Backing,
  maximalFilePages,
  maximalProcesses,
  type Operation,
  type Protection,
  type Sequence,
  type Sharing,
} from "./sequence.ts"

/** What a process has mapped, as far as a random sequence takes account of it: how each page may be used. */
type Layout = ReadonlyArray<Protection | undefined>

interface Range {
  readonly start: number
  readonly pages: number
}

/** What the next operation of a random sequence may well be about. */
interface Sketch {
  /** Of each process that there has been; `undefined` where it is gone. */
  readonly layouts: ReadonlyArray<Layout | undefined>
  /** What the last operation was about. */
  readonly last: Range | undefined
  /** How many references are in the pipe, if none failed. */
  readonly references: number
}

/** A random operation, as yet without the processes and ranges that there are: those it picks by number. */
interface Draft {
  readonly kind: Operation["op"]
  readonly who: number
  readonly whom: number
  /** Whether the range is all that is mapped in one piece, a part of that, that of the operation before, or any. */
  readonly aim: "whole" | "part" | "again" | "any"
  readonly start: number
  readonly pages: number
  readonly newPages: number
  /** Whether mremap keeps the size, as most real uses do that move. */
  readonly keep: boolean
  /** Where mremap moves to, in pages after the range, round and round. */
  readonly to: number | null
  readonly protection: Protection
  readonly sharing: Sharing
  readonly backing: Backing
  readonly advice: Advice
  readonly value: number
  readonly file: number
  readonly filePages: number
}

const weighted = <Value>(...choices: ReadonlyArray<readonly [weight: number, value: Value]>): fc.Arbitrary<Value> =>
  fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })))

const draft: fc.Arbitrary<Draft> = fc.record({
  kind: weighted<Operation["op"]>(
    [10, "write"],
    [6, "read"],
    [6, "mmap"],
    [6, "madvise"],
    [4, "fork"],
    [2, "exit"],
    [4, "mremap"],
    [3, "mprotect"],
    [2, "munmap"],
    [3, "pageReader"],
    [3, "vmsplice"],
    [3, "readPipe"],
    [2, "ftruncate"],
  ),
  who: fc.nat({ max: maximalProcesses - 1 }),
  whom: fc.nat({ max: maximalProcesses - 1 }),
  aim: weighted<Draft["aim"]>([7, "again"], [6, "part"], [3, "whole"], [2, "any"]),
  start: fc.nat({ max: areaPages - 1 }),
  pages: fc.oneof(
    { weight: 12, arbitrary: fc.integer({ min: 1, max: 4 }) },
    { weight: 2, arbitrary: fc.integer({ min: 5, max: areaPages }) },
    { weight: 1, arbitrary: fc.constant(0) },
  ),
  newPages: fc.oneof(
    { weight: 12, arbitrary: fc.integer({ min: 1, max: 5 }) },
    { weight: 1, arbitrary: fc.constantFrom(0, areaPages) },
  ),
  keep: fc.boolean(),
  to: fc.oneof({ weight: 1, arbitrary: fc.constant(null) }, { weight: 2, arbitrary: fc.nat({ max: areaPages - 1 }) }),
  protection: weighted<Protection>([7, "rw"], [2, "r"], [1, "none"]),
  sharing: weighted<Sharing>([3, "private"], [1, "shared"]),
  backing: fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    {
      weight: 1,
      arbitrary: fc.record({ file: weighted([2, 0], [1, 1]), page: weighted([4, 0], [2, 1], [1, 2], [1, 3]) }),
    },
  ),
  advice: weighted<Advice>([3, "DONTNEED"], [3, "FREE"], [3, "PAGEOUT"], [1, "COLD"]),
  value: fc.integer({ min: 64, max: 255 }),
  file: weighted([2, 0], [1, 1]),
  filePages: fc.nat({ max: maximalFilePages }),
})

/** The `which`-th of some, counted round and round. */
const pick = <Value>(some: ReadonlyArray<Value>, which: number): Value | undefined => some[which % some.length]

/** The pages that can be used in one of the ways. */
const pagesOf = (layout: Layout, ways: ReadonlyArray<Protection>): ReadonlyArray<number> =>
  layout.flatMap((way, page) => (way !== undefined && ways.includes(way) ? [page] : []))

const anyWay: ReadonlyArray<Protection> = ["none", "r", "rw"]

const rangeOf = (sketch: Sketch, layout: Layout, wish: Draft, ways = anyWay): Range => {
  if (wish.aim === "any") return wish
  if (wish.aim === "again" && sketch.last !== undefined) return sketch.last
  const start = pick(pagesOf(layout, ways), wish.start)
  if (start === undefined) return wish
  let first = start
  while (wish.aim === "whole" && layout[first - 1] !== undefined) first--
  let end = start + 1
  while (layout[end] !== undefined) end++
  return { start: first, pages: wish.aim === "whole" ? end - first : Math.min(wish.pages, end - first) }
}

const operationOf = (sketch: Sketch, wish: Draft): Operation | undefined => {
  const alive = [...sketch.layouts.keys()].filter((process) => sketch.layouts[process] !== undefined)
  const process = pick(alive, wish.who)
  if (process === undefined) return undefined
  const layoutOf = (which: number): Layout => sketch.layouts[which] ?? []
  const range = (...ways: ReadonlyArray<Protection>): Range =>
    rangeOf(sketch, layoutOf(process), wish, ways.length === 0 ? anyWay : ways)
  switch (wish.kind) {
    case "mmap": {
      const { pages, protection, sharing, backing } = wish
      const start = wish.aim === "any" ? wish.start : Math.min(wish.start, areaPages - pages)
      return { op: "mmap", process, start, pages, protection, sharing, backing }
    }
    case "munmap": {
      const { start, pages } = range()
      return { op: "munmap", process, start, pages }
    }
    case "mprotect": {
      const { start, pages } = range()
      return { op: "mprotect", process, start, pages, protection: wish.protection }
    }
    case "mremap": {
      const { start, pages } = range()
      // Counted from the end of the range, so that most moves do not overlap what they move.
      const to = wish.to === null ? null : (start + pages + wish.to) % areaPages
      return { op: "mremap", process, start, pages, newPages: wish.keep ? pages : wish.newPages, to }
    }
    case "madvise": {
      const { start, pages } = range()
      return { op: "madvise", process, start, pages, advice: wish.advice }
    }
    case "fork":
      return sketch.layouts.length < maximalProcesses ? { op: "fork", process } : undefined
    case "exit":
      return alive.length > 1 ? { op: "exit", process } : undefined
    case "read":
      return { op: "read", process, page: range("r", "rw").start }
    case "write":
      return { op: "write", process, page: range("rw").start, value: wish.value }
    case "pageReader": {
      const target = pick(alive, wish.whom) ?? process
      return { op: "pageReader", process, target, page: rangeOf(sketch, layoutOf(target), wish).start }
    }
    case "vmsplice":
      return { op: "vmsplice", process, page: range("r", "rw").start }
    case "readPipe":
      return sketch.references > 0 || wish.aim === "any" ? { op: "readPipe" } : undefined
    case "ftruncate":
      return { op: "ftruncate", file: wish.file, pages: wish.filePages }
  }
}

const withLayout = (sketch: Sketch, process: number, layout: Layout | undefined): Sketch => ({
  ...sketch,
  layouts: sketch.layouts.map((old, position) => (position === process ? layout : old)),
})

const isWithin = (range: Range, page: number): boolean => range.start <= page && page < range.start + range.pages

/** What is mapped after an operation, as far as that can be said without knowing all the rules. */
const after = (before: Sketch, operation: Operation): Sketch => {
  const sketch =
    "start" in operation
      ? { ...before, last: { start: operation.start, pages: operation.pages } }
      : "page" in operation
        ? { ...before, last: { start: operation.page, pages: 1 } }
        : before
  switch (operation.op) {
    case "mmap":
    case "munmap":
    case "mprotect": {
      const layout = sketch.layouts[operation.process] ?? []
      if (operation.start + operation.pages > areaPages) return sketch
      const now = operation.op === "munmap" ? undefined : operation.protection
      const changed = layout.map((old, page) => {
        const stays = !isWithin(operation, page) || (operation.op === "mprotect" && old === undefined)
        return stays ? old : now
      })
      return withLayout(sketch, operation.process, changed)
    }
    case "mremap": {
      const { process, start, pages, newPages, to } = operation
      const layout = sketch.layouts[process] ?? []
      const target = { start: to ?? start, pages: newPages }
      const moved = layout.map((old, page) =>
        isWithin(target, page) ? layout[start] : isWithin(operation, page) ? undefined : old,
      )
      const fails = newPages === 0 || target.start + newPages > areaPages || layout[start] === undefined
      const overlaps = to !== null && start + pages > to && to + newPages > start
      return fails || overlaps ? sketch : withLayout({ ...sketch, last: target }, process, moved)
    }
    case "fork":
      return { ...sketch, layouts: [...sketch.layouts, sketch.layouts[operation.process]] }
    case "exit":
      return withLayout(sketch, operation.process, undefined)
    case "vmsplice":
      return { ...sketch, references: sketch.references + 1 }
    case "readPipe":
      return { ...sketch, references: Math.max(0, sketch.references - 1) }
    default:
      return sketch
  }
}

const nothing: Layout = Array.from({ length: areaPages }, () => undefined)

/** The drafts with processes and ranges put in: those that the operations before them are likely to have left. */
const operationsOf = (drafts: ReadonlyArray<Draft>): ReadonlyArray<Operation> => {
  let sketch: Sketch = { layouts: [nothing], last: undefined, references: 0 }
  const operations: Array<Operation> = []
  for (const wish of drafts) {
    // Without any mapping there is little to see.
    const isEmpty = sketch.layouts.every((layout) => layout?.every((way) => way === undefined) ?? true)
    const operation = operationOf(sketch, isEmpty && wish.aim !== "any" ? { ...wish, kind: "mmap" } : wish)
    if (operation === undefined) continue
    operations.push(operation)
    sketch = after(sketch, operation)
  }
  return operations
}

const filePages = weighted([2, 3], [2, 4], [1, 2], [1, 1], [1, 0])

/** Random sequences of up to 20 operations; most are about something that is mapped. */
export const sequences: fc.Arbitrary<Sequence> = fc
  .record({
    files: fc.tuple(filePages, filePages),
    drafts: fc.array(draft, { minLength: 4, maxLength: 20, size: "max" }),
  })
  .map(({ files, drafts }) => ({ files, operations: operationsOf(drafts) }))
