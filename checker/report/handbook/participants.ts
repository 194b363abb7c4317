/** The part of a protocol's page that says who takes part, and what they share. */
import type { Descriptions } from "../../scenario/protocol.ts"
import { figure } from "../text.ts"
import { code, table, text } from "./markdown.ts"
import { fieldsText, namesText, type StateKind, stateKinds, unnumbered } from "./state.ts"
import type { Actor, ProtocolSubject } from "./subject.ts"

/** The fibers: by family where the protocol says what each family does. */
export const actorLines = ({ actors, protocol }: ProtocolSubject): ReadonlyArray<string> => [
  "## Actors",
  "",
  "The fibers of its scenarios, by the names that they have in traces.",
  "",
  ...(protocol.about?.actors === undefined ? fiberTable(actors) : familyTable(actors, protocol.about.actors)),
]

const fiberTable = (actors: ReadonlyArray<Actor>): ReadonlyArray<string> =>
  table(
    [{ title: "fiber" }, { title: "scenarios", align: "right" }],
    actors.map(({ name, scenarios }) => [code(name), figure(scenarios.length)]),
  )

const familyTable = (actors: ReadonlyArray<Actor>, descriptions: Descriptions): ReadonlyArray<string> => {
  const families = [...new Set(actors.map(({ name }) => unnumbered(name)))]
  return table(
    [{ title: "fiber" }, { title: "what it does" }, { title: "scenarios", align: "right" }],
    families.map((family) => {
      const members = actors.filter(({ name }) => unnumbered(name) === family)
      return [
        namesText(members.map(({ name }) => name)),
        text(descriptions[family] ?? ""),
        figure(new Set(members.flatMap(({ scenarios }) => scenarios)).size),
      ]
    }),
  )
}

/** The cells: those of monitors under the others, where the protocol says which they are. */
export const stateLines = ({ cells, protocol }: ProtocolSubject): ReadonlyArray<string> => {
  const { state, monitors } = protocol.about ?? {}
  const kinds = stateKinds(cells)
  const isMonitors = ({ name }: StateKind) => monitors !== undefined && Object.hasOwn(monitors, name)
  const watching = kinds.filter(isMonitors)
  return [
    "## Shared state",
    "",
    `The cells that the scenarios begin with${monitors === undefined ? ", those of monitors among them, which watch from outside" : ""}. \`N\` stands for a number.`,
    "",
    ...kindTable(
      kinds.filter((kind) => !isMonitors(kind)),
      state,
    ),
    ...(watching.length === 0
      ? []
      : [
          "Monitors watch from outside: they keep what properties have to remember and the protocol does not. Nothing that a fiber does depends on these.",
          "",
          ...kindTable(watching, monitors),
        ]),
  ]
}

const kindTable = (kinds: ReadonlyArray<StateKind>, descriptions: Descriptions | undefined): ReadonlyArray<string> =>
  table(
    [{ title: "object" }, ...(descriptions === undefined ? [] : [{ title: "what it is" }]), { title: "cells" }],
    kinds.map(({ name, objects, fields }) => [
      namesText(objects),
      ...(descriptions === undefined ? [] : [text(descriptions[name] ?? "")]),
      fieldsText(fields),
    ]),
  )
