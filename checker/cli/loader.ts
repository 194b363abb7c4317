/**
 * Hooks for loading a program from outside the repository (`node:module`'s `register`). Whatever directory it lives in,
 * `shootdown` and `effect` must be the copies that are running: a second `shootdown` would have a runtime of its own
 * that no engine knows.
 *
 * They run on a thread of their own, so this file imports nothing.
 */

interface Data {
  /** The URL of the public entry. */
  readonly entry: string
}

interface ResolveContext {
  readonly parentURL?: string
}

interface Resolved {
  readonly url: string
  readonly format?: string | null
  readonly shortCircuit?: boolean
}

type Resolve = (specifier: string, context: ResolveContext) => Promise<Resolved>

let entry = ""

export const initialize = (data: Data): void => {
  entry = data.entry
}

export const resolve = async (specifier: string, context: ResolveContext, next: Resolve): Promise<Resolved> => {
  if (specifier === "shootdown") return { url: entry, format: "module", shortCircuit: true }
  if (specifier.startsWith("shootdown/")) {
    return { ...(await next(specifier, { ...context, parentURL: entry })), format: "module" }
  }
  if (specifier === "effect" || specifier.startsWith("effect/"))
    return next(specifier, { ...context, parentURL: entry })
  const resolved = await next(specifier, context)
  // Without a package.json, or in a CommonJS package, a .ts file would become CommonJS, whose `require` knows no hooks.
  return /\.ts$/.test(new URL(resolved.url).pathname) ? { ...resolved, format: "module" } : resolved
}
