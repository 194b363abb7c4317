/** Programs from outside the repository: a file whose default export is a scenario, an Effect program or a protocol. */
import { register } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import { keepOutRealWorld } from "../engine/realWorld.ts"
import type { Property } from "../property/property.ts"
import { printable } from "../report/text.ts"
import { EffectProgram, protocolOfEffects } from "../scenario/effectProgram.ts"
import { type Protocol, protocolOf } from "../scenario/protocol.ts"
import type { Scenario } from "../scenario/scenario.ts"
import { type BadInput, badInput } from "./errors.ts"
import { entryUrl } from "./place.ts"

/** Whether an argument names a file, not a scenario: ids do not end like this. */
export const isProgramFile = (argument: string): boolean => /\.(ts|mts|mjs)$/.test(argument)

/** Seconds that a file may take to load; longer, and it waits for something that does not come. */
const loadingTime = 30

let registered = false

/**
 * Loads a program.
 *
 * @param shown how messages call the file
 */
export const loadProgram = Effect.fnUntraced(function* (file: string, shown: string) {
  const files = yield* FileSystem.FileSystem
  const info = yield* Effect.mapError(files.stat(file), ({ reason }) =>
    badInput(`${printable(shown)} ${reason._tag === "NotFound" ? "does not exist" : `cannot be read: ${reason._tag}`}`),
  )
  if (info.type !== "File") return yield* badInput(`${printable(shown)} is not a file`)
  const exported = yield* importDefault(file, shown)
  if (exported instanceof EffectProgram) return protocolOfEffects([exported])
  if (isScenario(exported)) return protocolOf(exported)
  if (isProtocol(exported)) return exported
  return yield* badInput(
    `the default export of ${printable(shown)} must be a scenario (what scenario({ id, summary, setup, properties }) returns), an Effect program (what effectProgram({ id, program }) returns) or a protocol, not ${describe(exported)}`,
  )
})

const importDefault = (file: string, shown: string): Effect.Effect<unknown, BadInput> =>
  Effect.suspend(() => {
    if (!registered) register("./loader.ts", import.meta.url, { data: { entry: entryUrl } })
    registered = true
    keepOutRealWorld()
    return Effect.tryPromise({
      try: async (): Promise<unknown> => {
        const module: Readonly<Record<string, unknown>> = await import(pathToFileURL(file).href)
        return module.default
      },
      catch: (error) => badInput(`${printable(shown)} cannot be loaded: ${loadingError(error)}`),
    })
  }).pipe(
    Effect.timeoutOrElse({
      duration: `${loadingTime} seconds`,
      orElse: () => Effect.fail(badInput(`${printable(shown)} did not finish loading within ${loadingTime} s`)),
    }),
  )

/** What went wrong while a file was loaded, and where in the user's files, in a sentence. */
const loadingError = (error: unknown): string => {
  if (!(error instanceof Error)) return `it threw ${printable(String(error))}`
  const syntax = /^(.*:\d+:\d+): ERROR: (.*)$/m.exec(error.message)
  if (syntax !== null) return `${printable(syntax[1] ?? "")}: ${printable(syntax[2] ?? "")}`
  const message = `${error.name}: ${printable(error.message)}`
  const place = placeIn(error.stack ?? "")
  return place === undefined ? message : `${place}: ${message}`
}

/** The first place in a stack that is a user's: neither ours nor a library's. */
const placeIn = (stack: string): string | undefined => {
  const ours = fileURLToPath(new URL("../", import.meta.url))
  for (const line of stack.split("\n")) {
    const [, file, position] = /(?:^|\(|file:\/\/|at )(\/[^():]+|[A-Za-z]:[^():]+):(\d+(?::\d+)?)\)?$/.exec(line) ?? []
    if (file === undefined || file.startsWith(ours) || file.includes("node_modules")) continue
    return printable(`${file}:${position}`)
  }
  return undefined
}

const describe = (value: unknown): string => {
  if (value === undefined) return "missing"
  if (typeof value !== "object" || value === null) return `the ${typeof value} ${printable(String(value), 40)}`
  const keys = Object.keys(value)
  return keys.length === 0 ? "an object without fields" : `an object with ${printable(keys.join(", "), 80)}`
}

const isFunction = (value: unknown): value is (...args: Array<never>) => unknown => typeof value === "function"

const Stated = Schema.Struct({
  kind: Schema.Literals([
    "invariant",
    "action",
    "atEnd",
    "progress",
    "leadsTo",
    "dataRaces",
    "lockOrder",
    "lockInversions",
  ]),
  id: Schema.NonEmptyString,
  statement: Schema.String,
  source: Schema.String,
})

const Orders = Schema.Struct({
  order: Schema.Array(Schema.String),
  single: Schema.optionalKey(Schema.Array(Schema.String)),
})

const hasPredicate: { readonly [kind in Property<never>["kind"]]: (property: object) => boolean } = {
  invariant: (property) => "holds" in property && isFunction(property.holds),
  atEnd: (property) => "holds" in property && isFunction(property.holds),
  action: (property) =>
    "holds" in property && isFunction(property.holds) && "observe" in property && isFunction(property.observe),
  progress: (property) => "stuck" in property && isFunction(property.stuck),
  leadsTo: (property) =>
    "to" in property && isFunction(property.to) && (!("from" in property) || isFunction(property.from)),
  dataRaces: () => true,
  lockOrder: Schema.is(Orders),
  lockInversions: () => true,
}

const isProperty = (value: unknown): value is Property<unknown> =>
  Schema.is(Stated)(value) && hasPredicate[value.kind](value)

const Parameters = Schema.Record(
  Schema.String,
  Schema.Struct({ description: Schema.String, default: Schema.Int, min: Schema.Int, max: Schema.Int }),
)

const ScenarioShape = Schema.Struct({
  id: Schema.NonEmptyString,
  summary: Schema.String,
  parameters: Parameters,
  requires: Schema.optionalKey(
    Schema.declare((value: unknown): value is NonNullable<Scenario<unknown>["requires"]> => isFunction(value)),
  ),
  setup: Schema.declare((value: unknown): value is Scenario<unknown>["setup"] => isFunction(value)),
  properties: Schema.Array(Schema.declare(isProperty)),
})

const isScenario: (value: unknown) => value is Scenario<unknown> = Schema.is(ScenarioShape)

const isRunnable = (value: unknown): value is Protocol["scenarios"][number] =>
  typeof value === "object" && value !== null && "program" in value && isFunction(value.program)

const ProtocolShape = Schema.Struct({
  id: Schema.NonEmptyString,
  title: Schema.String,
  scenarios: Schema.Array(Schema.declare(isRunnable)),
  bugs: Schema.Array(
    Schema.declare(
      (value: unknown): value is Protocol["bugs"][number] =>
        typeof value === "object" && value !== null && "id" in value && "breaks" in value,
    ),
  ),
  steps: Schema.optionalKey(Schema.Array(Schema.String)),
  survivors: Schema.optionalKey(Schema.Record(Schema.String, Schema.NonEmptyString)),
})

const isProtocol: (value: unknown) => value is Protocol = Schema.is(ProtocolShape)
