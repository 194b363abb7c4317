/** The handbook says of every operation where it is made: over all protocols the files are right. */
import { readdirSync, readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { originsIn } from "../../checker/cli/origins.ts"
import { filesOf, sourcesOf } from "../../checker/report/handbook/stepSources.ts"
import { registry } from "../../spec/registry.ts"

const root = new URL("../../", import.meta.url)
const files = ["model", "spec"].flatMap((folder) =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => ({ path: `${folder}/${name}`, text: readFileSync(new URL(`${folder}/${name}`, root), "utf8") })),
)

/** Where the operations of each protocol are made that one run of each of its scenarios meets. */
const sources = registry.map((protocol) => {
  const made = protocol.scenarios.flatMap((scenario) => originsIn(scenario.program(), [], root))
  const names = [...new Set(made.map(({ name }) => name))].sort()
  return { protocol: protocol.id, operations: sourcesOf(names, made, filesOf(protocol.id, files)) }
})

const where = (protocol: string, name: string) =>
  sources
    .filter((each) => each.protocol === protocol)
    .flatMap(({ operations }) => operations)
    .filter((operation) => operation.name === name)
    .map(({ kind, files: [file, ...more] }) => [kind, file?.path, ...more.map(({ path }) => path)])

const codeOf = new Map(
  files.map(({ path, text }) => [path, text.replace(/\/\*.*?\*\//gs, "").replace(/^\s*\/\/.*$/gm, "")]),
)

describe("where operations are made", () => {
  it("is a file in whose code the name, or that of the function of which it is a part, is handed to a call", () => {
    const putTogether = new Set<string>()
    let seen = 0
    for (const { protocol, operations } of sources) {
      for (const { name, kind, files } of operations) {
        if (kind !== "step" && kind !== "choice") continue
        expect(files.length, `${protocol}: ${name}`).toBeGreaterThan(0)
        for (const { path } of files) {
          seen++
          const code = codeOf.get(path) ?? ""
          const [whole = name] = name.split(": ")
          const isHanded = [name, whole].some((each) =>
            [`"${each}"`, `\`${each}\``, `\`${each}: $`].some((literal) =>
              code
                .split(literal)
                .slice(0, -1)
                .some((before) => /[(,?:=]\s*$/.test(before)),
            ),
          )
          if (!isHanded) putTogether.add(`${name} ${path}`)
        }
      }
    }
    expect(seen).toBeGreaterThan(2_000)
    // Of these the file has a template that makes the name, or a variable whose type names it.
    expect([...putTogether].sort()).toEqual([
      "MADV_PAGEOUT model/mm/madvise.ts",
      "anon_vma_lock_read model/notifier/mmuNotifier2019.ts",
      "gpu_atomic model/driver/gpu.ts",
      "gpu_load model/driver/gpu.ts",
      "gpu_store model/driver/gpu.ts",
      "i_mmap_lock_read model/notifier/mmuNotifier2019.ts",
      "i_mmap_lock_read model/notifier/notifiedMm.ts",
      "i_mmap_unlock_read model/notifier/notifiedMm.ts",
      "mmap_read_lock model/notifier/mmuNotifier2019.ts",
      "rcu_read_lock model/notifier/2008/list.ts",
      "srcu_read_lock model/notifier/2008/list.ts",
      "try_to_migrate_one: ptep_clear_flush model/mm/reclaim.ts",
      "try_to_migrate_one: ptep_get_and_clear model/mm/reclaim.ts",
      "vma_lock_read model/notifier/notifiedMm.ts",
      "vma_unlock_read model/notifier/notifiedMm.ts",
    ])
  })

  it.each([
    ["mm", "fork", "fork", "spec/mm/world.ts"],
    ["mm", "page", "choice", "spec/mm/world.ts"],
    ["lease/layout", "write", "choice", "spec/lease/layout/scenarios.ts"],
    ["lease/layout", "pin_user_pages", "step", "spec/lease/layout/scenarios.ts"],
    ["lease/fcntl", "do_dentry_open", "step", "spec/lease/fcntl/world.ts"],
    ["driver/odp", "ib_umem_odp_release", "step", "model/driver/umemOdp.ts"],
  ])("of %s's %s is a %s in %s", (protocol, name, kind, path) => {
    expect(where(protocol, name)).toEqual([[kind, path]])
  })
})
