/** Where a program comes from, said so that another thread, or another process, can get it too. */
import * as Schema from "effect/Schema"
import type { Program } from "../scenario/program.ts"

/**
 * A module, by its URL, that exports a function `program`, and the argument to call it with. The function returns a
 * `Program` or a promise of one, the same one everywhere.
 */
export const Source = Schema.Struct({ module: Schema.String, argument: Schema.Json })
export type Source = typeof Source.Type

/** Loads a program. Rejects with what the module throws. */
export const loadSource = async ({ module, argument }: Source): Promise<Program> => {
  const loaded: { readonly program?: unknown } = await import(module)
  if (typeof loaded.program !== "function") throw new Error(`${module} exports no function called program`)
  const program: unknown = await loaded.program(argument)
  if (!isProgram(program)) throw new Error(`what the function program of ${module} returns is not a program`)
  return program
}

const isProgram = (value: unknown): value is Program =>
  typeof value === "object" && value !== null && "start" in value && typeof value.start === "function"
