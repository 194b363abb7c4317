/** Where other threads get the programs of the command line from: see `campaign/source.ts`. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Source } from "../campaign/source.ts"
import { mutated } from "../mutation/mutated.ts"
import { Mutation } from "../mutation/mutation.ts"
import type { Program } from "../scenario/program.ts"
import type { Registry } from "../scenario/protocol.ts"
import { scenariosOf } from "./select.ts"
import { loadProgram } from "./userProgram.ts"

/** The URL of the module that exports the registry as `registry`; without one, its programs stay on this thread. */
export const RegistryModule = Context.Reference<string | undefined>("shootdown/cli/RegistryModule", {
  defaultValue: () => undefined,
})

/** A program of the command line: its scenario is in the file, or in the registry that the module exports. */
const Named = Schema.Struct({
  from: Schema.Union([Schema.Struct({ file: Schema.String }), Schema.Struct({ registry: Schema.String })]),
  scenario: Schema.String,
  bound: Schema.Record(Schema.String, Schema.Int),
  mutant: Schema.optionalKey(Schema.String),
  mutation: Schema.optionalKey(Mutation),
})

/**
 * Says where a program comes from; `undefined` when other threads cannot have it.
 *
 * @param program as it is without the mutation
 */
export const sourceOf = Effect.fnUntraced(function* (program: Program, file: string | undefined, mutation?: Mutation) {
  const registry = yield* RegistryModule
  const from = file !== undefined ? { file } : registry !== undefined ? { registry } : undefined
  if (from === undefined) return undefined
  const { scenario, bound, mutant } = program
  const argument = {
    from,
    scenario,
    bound,
    ...(mutant === undefined ? {} : { mutant }),
    ...(mutation === undefined ? {} : { mutation }),
  }
  return { module: import.meta.url, argument } satisfies Source
})

const decode = Schema.decodeUnknownSync(Named)

/** Called in other threads. */
export const program = async (argument: unknown): Promise<Program> => {
  const { from, scenario: id, bound, mutant, mutation } = decode(argument)
  const registry = "file" in from ? [await load(from.file)] : await importRegistry(from.registry)
  const scenario = scenariosOf(registry).find((each) => each.id === id)
  if (scenario === undefined) throw new Error(`there is no scenario ${id}`)
  const correct = scenario.program(bound, mutant)
  return mutation === undefined ? correct : mutated(correct, mutation)
}

const load = (file: string) =>
  Effect.runPromise(
    loadProgram(file, file).pipe(
      Effect.mapError(({ messages }) => new Error(messages[0])),
      Effect.provide(NodeServices.layer),
    ),
  )

const importRegistry = async (module: string): Promise<Registry> => {
  const loaded: { readonly registry: Registry } = await import(module) // whoever named the module says so
  return loaded.registry
}
