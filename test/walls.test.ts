/** Who may import whom: the walls of the house. */
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"

const root = dirname(dirname(fileURLToPath(import.meta.url)))

const sources = (folder: string): ReadonlyArray<string> =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[cm]?[jt]s$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))

/** Static and dynamic imports, re-exports and `import()` types, of relative paths. */
const imports = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/(?:\bfrom|\bimport|\bimport\()\s*["'](\.[^"']*)["']/g)].flatMap(([, path]) => path ?? [])

/** The files that a file imports, from the root. */
const imported = (file: string): ReadonlyArray<string> =>
  imports(readFileSync(join(root, file), "utf8")).map((path) => relative(root, join(root, dirname(file), path)))

const within = (folder: string) => (file: string) => file.startsWith(`${folder}/`)

/** The imports that cross a wall, as `who -> what`. */
const crossings = (folder: string, allowed: (file: string) => boolean): ReadonlyArray<string> =>
  sources(folder).flatMap((file) =>
    imported(file)
      .filter((target) => !allowed(target))
      .map((target) => `${file} -> ${target}`),
  )

const checker = within("checker")
const model = within("model")
const spec = within("spec")

describe("walls", () => {
  it("the checker knows neither the model nor the specs", () => {
    expect(sources("checker").length).toBeGreaterThan(20)
    expect(crossings("checker", checker)).toEqual([])
  })

  it("what programs are written in knows nothing of the engine, but by type", () => {
    expect(crossings("checker/program", within("checker/program"))).toEqual([])
  })

  it("the model imports only what programs are written in", () => {
    expect(crossings("model", (file) => model(file) || within("checker/program")(file))).toEqual([])
  })

  it("the specs import the model and the checker's public entry; only the command line's start goes further", () => {
    const allowed = (file: string) => spec(file) || model(file) || file === "checker/index.ts"
    const start = (crossing: string) => crossing.startsWith("spec/check.ts -> checker/cli/")
    expect(crossings("spec", allowed).filter((crossing) => !start(crossing))).toEqual([])
  })

  it("tests of the checker know neither the model nor the specs", () => {
    const allowed = (file: string) => checker(file) || within("test/checker")(file) || file === "test/long.ts"
    expect(crossings("test/checker", allowed)).toEqual([])
  })

  it("are looked for in every way to import", () => {
    const text = [
      'import a from "./a.ts"',
      "import { b } from '../b.ts'",
      'import type { C } from "./c.ts"',
      'export * from "./d.ts"',
      'import "./e.ts"',
      'const f = await import("./f.ts")',
      'type G = import("./g.ts").G',
      'import {\n  h,\n} from "./h.ts"',
      'import * as Effect from "effect/Effect"',
    ].join("\n")
    expect(imports(text)).toEqual(
      ["a", "../b", "c", "d", "e", "f", "g", "h"].map((n) => (n[0] === "." ? `${n}.ts` : `./${n}.ts`)),
    )
  })
})
