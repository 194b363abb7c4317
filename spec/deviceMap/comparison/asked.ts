/**
 * The scenarios of the comparison as the command line explores them, `npm run check -- explore` with the name of this file:
 * what is violated there is where a design does not do what the mail wants.
 */
import type { Protocol, ScenarioEntry } from "../../../checker/index.ts"
import { type Point, points } from "./points.ts"
import type { Question } from "./question.ts"

const entry = (id: string, { named, bound, bug }: Question): ScenarioEntry => {
  const found = named(id)
  return {
    ...found,
    parameters: Object.fromEntries(
      Object.entries(found.parameters).map(([name, parameter]) => [
        name,
        { ...parameter, default: bound[name] ?? parameter.default },
      ]),
    ),
    program: (settings) => found.program({ ...bound, ...settings }, bug),
  }
}

const entries = ({ id, deviceMap, lease }: Point): ReadonlyArray<ScenarioEntry> => [
  ...deviceMap.questions.map((question, i) =>
    entry(`comparison/${id}/device-map${i === 0 ? "" : `-${i + 1}`}`, question),
  ),
  ...lease.questions.map((question, i) => entry(`comparison/${id}/lease${i === 0 ? "" : `-${i + 1}`}`, question)),
]

const asked: Protocol = {
  id: "comparison",
  title: "Layout leases and device mappings, asked what the mail of April 2019 wants of them",
  scenarios: points.flatMap(entries),
  bugs: [],
}

export default asked
