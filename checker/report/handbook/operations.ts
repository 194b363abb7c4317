/** What the fibers of a protocol do: its steps, its choices, and how it starts and ends fibers. */
import { isNamed } from "../../scenario/names.ts"
import { figure } from "../text.ts"
import { code, table, text } from "./markdown.ts"
import { kindsText, stateKinds, unnumbered } from "./state.ts"
import { groupSteps, type OperationSource } from "./stepSources.ts"
import type { ProtocolSubject, Touches } from "./subject.ts"

/**
 * Lays the operations of a protocol out.
 *
 * @param taken how often the explorations took those of each name
 */
export const operationLines = (
  { protocol: { environment = [] }, operations, touches }: ProtocolSubject,
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
    ...(touches.size === 0 ? [] : [whatIsTouched, ""]),
    ...stepLines(
      steps.filter((step) => !isOutside(step)),
      times,
      touches,
    ),
    ...section(
      "Steps of the environment",
      "What users, devices and hardware do of their own accord, and what is only told to properties: the protocol promises none of it.",
      "step",
      steps.filter(isOutside),
      times,
      touches,
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

const whatIsTouched =
  "Who takes it, and which cells it waits for, reads and changes, was seen in a part of the explorations; `N` stands for a number. What a step waits for it reads, too."

/** What is known of the steps that have been seen. */
const touchColumns = [
  { title: "by", of: ({ by }: Touches) => familiesText(by) },
  { title: "waits for", of: ({ awaits }: Touches) => cellsText(awaits) },
  { title: "reads", of: ({ awaits, reads }: Touches) => cellsText([...reads].filter((cell) => !awaits.has(cell))) },
  { title: "changes", of: ({ changes }: Touches) => cellsText(changes) },
]

const familiesText = (fibers: Iterable<string>): string =>
  [...new Set([...fibers].map(unnumbered))].sort().map(code).join(", ")

const cellsText = (cells: Iterable<string>): string => kindsText(stateKinds([...cells].sort()))

const stepLines = (
  steps: ReadonlyArray<OperationSource>,
  times: ReadonlyMap<string, string>,
  touches: ReadonlyMap<string, Touches>,
): ReadonlyArray<string> =>
  groupSteps(steps).flatMap(({ file, steps: names }) => {
    const isElsewhere = names.some(({ alsoIn }) => alsoIn.length > 0)
    const isSeen = names.some(({ name }) => touches.has(name))
    return [
      `### ${file === undefined ? "Steps whose names are put together" : code(file.path)}`,
      "",
      ...(file === undefined || file.says === "" ? [] : [text(file.says), ""]),
      ...table(
        [
          { title: "step" },
          { title: "taken", align: "right" },
          ...(isSeen ? touchColumns : []),
          ...(isElsewhere ? [{ title: "also made in" }] : []),
        ],
        names.map(({ name, alsoIn }) => [
          code(name),
          times.get(name) ?? "",
          ...(isSeen ? touchedBy(touches.get(name)) : []),
          ...(isElsewhere ? [alsoIn.map(code).join(", ")] : []),
        ]),
      ),
    ]
  })

const touchedBy = (touches: Touches | undefined): ReadonlyArray<string> =>
  touchColumns.map(({ of }) => (touches === undefined ? "" : of(touches)))

/** A table of operations with the files in which they are made, if there are any. */
const section = (
  title: string,
  says: string,
  called: string,
  operations: ReadonlyArray<OperationSource>,
  times: ReadonlyMap<string, string>,
  touches: ReadonlyMap<string, Touches> = new Map(),
): ReadonlyArray<string> =>
  operations.length === 0
    ? []
    : [
        `## ${title}`,
        "",
        says,
        "",
        ...table(
          [
            { title: called },
            { title: "taken", align: "right" },
            ...(touches.size === 0 ? [] : touchColumns),
            { title: "made in" },
          ],
          operations.map(({ name, files }) => [
            code(name),
            times.get(name) ?? "",
            ...(touches.size === 0 ? [] : touchedBy(touches.get(name))),
            files.map(({ path }) => code(path)).join(", "),
          ]),
        ),
      ]
