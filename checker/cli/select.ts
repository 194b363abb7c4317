/** From what the command line names to the programs that are meant: scenarios, bounds, seeded bugs. */
import * as Effect from "effect/Effect"
import * as Glob from "effect/Glob"
import { printable } from "../report/text.ts"
import type { Program } from "../scenario/program.ts"
import type { BugEntry, Protocol, Registry, ScenarioEntry } from "../scenario/protocol.ts"
import { BadBound, type Bound } from "../scenario/scenario.ts"
import { BadUsage, badInput } from "./errors.ts"
import { resolvePath, SavedDirectory } from "./place.ts"
import { listed, suggestion } from "./suggest.ts"
import { isProgramFile, loadProgram } from "./userProgram.ts"

/** A scenario that was named, and the directory in which its counterexamples are saved. */
export interface Selected {
  readonly scenario: ScenarioEntry
  /** The file of a program of one's own. */
  readonly file?: string
  readonly directory: string
}

/** A protocol that was named, and the file that it is in if that is a program of one's own. */
export interface SelectedProtocol {
  readonly protocol: Protocol
  readonly file: string | undefined
}

/** The protocols that arguments name, each once: ids, globs over ids, or files. Without any, all there are. */
export const selectProtocols = Effect.fnUntraced(function* (registry: Registry, targets: ReadonlyArray<string>) {
  if (targets.length === 0) return registry.map((protocol): SelectedProtocol => ({ protocol, file: undefined }))
  const selected: Array<SelectedProtocol> = []
  for (const target of targets) {
    if (isProgramFile(target)) {
      const file = yield* resolvePath(target)
      selected.push({ protocol: yield* loadProgram(file, target), file })
      continue
    }
    const glob = Glob.make(target)
    const chosen = registry.filter(({ id }) => id === target || Glob.match(glob, id))
    if (chosen.length === 0) {
      const ids = registry.map(({ id }) => id)
      return yield* badInput(`there is no protocol ${printable(target)}${suggestion(target, ids)}`)
    }
    for (const protocol of chosen) {
      if (!selected.some((other) => other.protocol === protocol)) selected.push({ protocol, file: undefined })
    }
  }
  return selected
})

export const scenariosOf = (registry: Registry): ReadonlyArray<ScenarioEntry> =>
  registry.flatMap(({ scenarios }) => scenarios)

export const bugsOf = (registry: Registry): ReadonlyArray<BugEntry> => registry.flatMap(({ bugs }) => bugs)

/** The scenarios that an argument of `explore` names: an id, a glob over ids, or a file. */
export const select = Effect.fnUntraced(function* (registry: Registry, argument: string) {
  if (isProgramFile(argument)) {
    const file = yield* resolvePath(argument)
    const { scenarios } = yield* loadProgram(file, argument)
    const directory = file.replace(/[^/\\]*$/, "")
    return scenarios.map((scenario): Selected => ({ scenario, file, directory }))
  }
  const known = scenariosOf(registry)
  const glob = Glob.make(argument)
  const chosen = known.filter(({ id }) => id === argument || Glob.match(glob, id))
  const directory = yield* SavedDirectory
  if (chosen.length > 0) return chosen.map((scenario): Selected => ({ scenario, directory }))
  if (/[*?[{]/.test(argument)) return yield* badInput(`no scenario matches ${printable(argument)}${listed}`)
  if (known.some(({ id }) => id.startsWith(`${argument}/`))) {
    return yield* badInput(
      `there is no scenario ${printable(argument)}; those below it are '${printable(argument)}/**'`,
    )
  }
  return yield* badInput(unknownScenario(argument, known))
})

/** The sentence about an id that no scenario has. */
export const unknownScenario = (id: string, known: ReadonlyArray<ScenarioEntry>): string =>
  `there is no scenario ${printable(id)}${suggestion(
    id,
    known.map((scenario) => scenario.id),
  )}`

/** The sentence about an id that no seeded bug has. */
export const unknownMutant = (id: string, known: ReadonlyArray<BugEntry>, of: string): string =>
  `there is no mutant ${printable(id)}${of}${suggestion(
    id,
    known.map((bug) => bug.id),
  )}`

/** A `--set` as it was typed. */
interface Setting {
  readonly name: string
  readonly value: string
}

/** Takes `name=value` apart. What is in it is judged where it meets a scenario. */
export const parseSettings = Effect.fnUntraced(function* (texts: ReadonlyArray<string>) {
  const settings = texts.map((text): Setting => {
    const equals = text.indexOf("=")
    return equals < 0 ? { name: text, value: "" } : { name: text.slice(0, equals), value: text.slice(equals + 1) }
  })
  for (const [position, { name }] of settings.entries()) {
    if (settings.findIndex((other) => other.name === name) < position) {
      return yield* usage(`--set ${printable(name)} is given twice`)
    }
  }
  return settings
})

const usage = (message: string) => new BadUsage({ message, command: "explore" })

/** The program of a scenario at the bound that the settings ask for, over a seeded bug's own bound. */
export const programAt = Effect.fnUntraced(function* (
  scenario: ScenarioEntry,
  settings: ReadonlyArray<Setting>,
  mutant: string | undefined,
  bugBound: Bound = {},
) {
  const bound: Record<string, number> = { ...bugBound }
  for (const { name, value } of settings) {
    const flag = `--set ${printable(`${name}=${value}`, 60)}`
    if (!Object.hasOwn(scenario.parameters, name)) {
      return yield* usage(
        name === ""
          ? `${flag} must be name=value; ${rangesOf(scenario)}`
          : `${flag}: there is no parameter ${printable(name, 60)}; ${rangesOf(scenario)}`,
      )
    }
    const { min = 0, max = 0 } = scenario.parameters[name] ?? {}
    const number = /^-?\d+$/.test(value) ? Number(value) : Number.NaN
    if (!(number >= min && number <= max)) {
      return yield* usage(`${flag}: ${name} of ${scenario.id} must be a whole number from ${min} to ${max}`)
    }
    bound[name] = number
  }
  return yield* checked(scenario, bound, mutant, (message) => usage(`--set: ${message}`))
})

/** The program of a scenario at a bound. Fails with what `wrong` makes of the sentence about a bad bound. */
export const checked = <E>(
  scenario: ScenarioEntry,
  bound: Bound,
  mutant: string | undefined,
  wrong: (message: string) => E,
): Effect.Effect<Program, E> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(scenario.program(bound, mutant))
    } catch (error) {
      if (error instanceof BadBound) return Effect.fail(wrong(error.message))
      throw error
    }
  })

const rangesOf = ({ id, parameters }: ScenarioEntry): string => {
  const ranges = Object.entries(parameters).map(([name, { min, max }]) => `${name} (${min} to ${max})`)
  return `${id} has ${ranges.length === 0 ? "no parameters" : ranges.join(", ")}`
}
