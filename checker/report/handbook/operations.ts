/** What the fibers of a protocol do: its steps, its choices, and how it starts and ends fibers. */
import { isNamed } from "../../scenario/names.ts"
import { count, figure } from "../text.ts"
import { code, table, text } from "./markdown.ts"
import { kindsText, stateKinds, unnumbered } from "./state.ts"
import { groupSteps, type OperationSource } from "./stepSources.ts"
import type { ProtocolSubject, Seen, Touches } from "./subject.ts"

/**
 * Lays the operations of a protocol out.
 *
 * @param taken how often the explorations took those of each name
 */
export const operationLines = (
  { protocol: { environment = [] }, operations, seen }: ProtocolSubject,
  taken: ReadonlyMap<string, number>,
): ReadonlyArray<string> => {
  const of = (isWanted: (operation: OperationSource) => boolean) => operations.filter(isWanted)
  const steps = of(({ kind }) => kind === "step")
  const isOutside = ({ name }: OperationSource) => isNamed(name, environment)
  const times = new Map(operations.map(({ name }) => [name, timesOf(name, operations, taken)]))
  return [
    "## Steps",
    "",
    `A step is atomic. It is called by the kernel function, or the part of it, that it models, or, where nothing of the kernel's is modelled, by what happens: a user stores, a device loads. It is listed under the file in which it is made, with how often the explorations took it.`,
    "",
    ...(seen.touches.size === 0 ? [] : [whatIsTouched(seen), ""]),
    ...stepLines(
      steps.filter((step) => !isOutside(step)),
      times,
      seen,
    ),
    ...section(
      "Steps of the environment",
      "What users, devices and hardware do of their own accord, and what is only told to properties: the protocol promises none of it.",
      "step",
      steps.filter(isOutside),
      times,
      seen,
    ),
    ...section(
      "Choices",
      "Where more than one thing may come: what a user does, which page it is, whether something fails. The explorations try all of them. A choice is no step of the protocol, and its name is the model's.",
      "choice",
      of(({ kind }) => kind === "choice"),
      times,
    ),
    ...section(
      "Starting and ending fibers",
      "The checker's own operations, by which a fiber starts another, waits for its end, or interrupts it.",
      "operation",
      of(({ kind }) => kind !== "step" && kind !== "choice"),
      times,
    ),
  ]
}

/** A document counts by names: what is a step here and a choice there has one number. */
const timesOf = (name: string, all: ReadonlyArray<OperationSource>, taken: ReadonlyMap<string, number>): string => {
  const kinds = all.filter((operation) => operation.name === name).map(({ kind }) => kind)
  const times = figure(taken.get(name) ?? 0)
  return kinds.length < 2 ? times : `${times} as ${kinds.toSorted().join(" and ")}`
}

const whatIsTouched = ({ states }: Seen): string =>
  `Who takes it, and which cells it touches, was seen in the first ${count(states, "state")} of each scenario: where there are more, so may be these. A step waits until what it *waits for* lets it be taken; it reads the rest for what it does, and for its assertions. What it writes may be what was there before, as where a page is freed. \`N\` stands for a number.`

const touchColumns = [
  { title: "by", of: ({ by }: Touches) => familiesText(by) },
  { title: "waits for", of: ({ guards }: Touches) => cellsText(guards) },
  { title: "reads", of: ({ guards, reads }: Touches) => cellsText([...reads].filter((cell) => !guards.has(cell))) },
  { title: "writes", of: ({ writes }: Touches) => cellsText(writes) },
]

const familiesText = (fibers: Iterable<string>): string =>
  [...new Set([...fibers].map(unnumbered))].sort().map(code).join(", ")

const cellsText = (cells: Iterable<string>): string => kindsText(stateKinds([...cells].sort()))

/** The columns of a table that tell what steps touch: none where none of them has been seen. */
const columnsOf = (steps: ReadonlyArray<{ readonly name: string }>, seen: Seen | undefined) => {
  const touches = seen?.touches ?? new Map<string, Touches>()
  const titles = steps.some(({ name }) => touches.has(name)) ? touchColumns : []
  const cells = (name: string): ReadonlyArray<string> => {
    const touched = touches.get(name)
    return titles.map(({ of }) => (touched === undefined ? "" : of(touched)))
  }
  return { titles, cells }
}

const stepLines = (
  steps: ReadonlyArray<OperationSource>,
  times: ReadonlyMap<string, string>,
  seen: Seen,
): ReadonlyArray<string> =>
  groupSteps(steps).flatMap(({ file, steps: names }) => {
    const isElsewhere = names.some(({ alsoIn }) => alsoIn.length > 0)
    const columns = columnsOf(names, seen)
    return [
      `### ${file === undefined ? "Steps whose names are put together" : code(file.path)}`,
      "",
      ...(file === undefined || file.says === "" ? [] : [text(file.says), ""]),
      ...table(
        [
          { title: "step" },
          { title: "taken", align: "right" },
          ...columns.titles,
          ...(isElsewhere ? [{ title: "also made in" }] : []),
        ],
        names.map(({ name, alsoIn }) => [
          code(name),
          times.get(name) ?? "",
          ...columns.cells(name),
          ...(isElsewhere ? [alsoIn.map(code).join(", ")] : []),
        ]),
      ),
    ]
  })

/**
 * A table of operations with the files in which they are made, if there are any.
 *
 * @param seen of steps; what is no step may have the name of one
 */
const section = (
  title: string,
  says: string,
  called: string,
  operations: ReadonlyArray<OperationSource>,
  times: ReadonlyMap<string, string>,
  seen?: Seen,
): ReadonlyArray<string> => {
  if (operations.length === 0) return []
  const columns = columnsOf(operations, seen)
  return [
    `## ${title}`,
    "",
    says,
    "",
    ...table(
      [{ title: called }, { title: "taken", align: "right" }, ...columns.titles, { title: "made in" }],
      operations.map(({ name, files }) => [
        code(name),
        times.get(name) ?? "",
        ...columns.cells(name),
        files.map(({ path }) => code(path)).join(", "),
      ]),
    ),
  ]
}
