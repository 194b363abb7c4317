/** What the fibers of a protocol do: its steps, its choices, and how it starts and ends fibers. */
import { isNamed } from "../../scenario/names.ts"
import { figure } from "../text.ts"
import { code, table, text } from "./markdown.ts"
import { groupSteps, type OperationSource } from "./stepSources.ts"
import type { ProtocolSubject } from "./subject.ts"

/**
 * Lays the operations of a protocol out.
 *
 * @param taken how often the explorations took those of each name
 */
export const operationLines = (
  { protocol: { environment = [] }, operations }: ProtocolSubject,
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
    ...stepLines(
      steps.filter((step) => !isOutside(step)),
      times,
    ),
    ...section(
      "Steps of the environment",
      "What users, devices and hardware do of their own accord, and what is only told to properties: the protocol promises none of it.",
      "step",
      steps.filter(isOutside),
      times,
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

const stepLines = (
  steps: ReadonlyArray<OperationSource>,
  times: ReadonlyMap<string, string>,
): ReadonlyArray<string> => {
  const columns = [{ title: "step" }, { title: "taken", align: "right" }, { title: "also made in" }] as const
  return groupSteps(steps).flatMap(({ file, steps: names }) => {
    const isElsewhere = names.some(({ alsoIn }) => alsoIn.length > 0)
    return [
      `### ${file === undefined ? "Steps whose names are put together" : code(file.path)}`,
      "",
      ...(file === undefined || file.says === "" ? [] : [text(file.says), ""]),
      ...table(
        isElsewhere ? columns : columns.slice(0, 2),
        names.map(({ name, alsoIn }) => [
          code(name),
          times.get(name) ?? "",
          ...(isElsewhere ? [alsoIn.map(code).join(", ")] : []),
        ]),
      ),
    ]
  })
}

/** A table of operations with the files in which they are made, if there are any. */
const section = (
  title: string,
  says: string,
  called: string,
  operations: ReadonlyArray<OperationSource>,
  times: ReadonlyMap<string, string>,
): ReadonlyArray<string> =>
  operations.length === 0
    ? []
    : [
        `## ${title}`,
        "",
        says,
        "",
        ...table(
          [{ title: called }, { title: "taken", align: "right" }, { title: "made in" }],
          operations.map(({ name, files }) => [
            code(name),
            times.get(name) ?? "",
            files.map(({ path }) => code(path)).join(", "),
          ]),
        ),
      ]
