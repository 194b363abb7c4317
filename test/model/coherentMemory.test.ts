/** Coherent memory of a device, as one thread of its process meets it: what the core leaves alone, and what moves it. */
import { readdirSync, readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { step } from "../../checker/index.ts"
import { gpuAccess, gpuMigrateToDevice } from "../../model/driver/gpu.ts"
import { svmMigrateVramToRam } from "../../model/driver/gpuToSystem.ts"
import { userLoad } from "../../model/mm/access.ts"
import { khugepagedScan } from "../../model/mm/collapse.ts"
import { folioOf } from "../../model/mm/folio.ts"
import { dupMmap } from "../../model/mm/fork.ts"
import { getUserPages, putUserPage } from "../../model/mm/gup.ts"
import { getUserPagesFast } from "../../model/mm/gupFast.ts"
import { madvise } from "../../model/mm/madvise.ts"
import { migratePage } from "../../model/mm/migrate.ts"
import { changeProtNuma } from "../../model/mm/protect.ts"
import { at } from "../../model/mm/range.ts"
import { reclaimPage } from "../../model/mm/reclaim.ts"
import { page, prepare } from "../../spec/mm/pages.ts"
import { build, type MmWorld, subscribe } from "../../spec/mm/world.ts"
import { runAlone } from "./alone.ts"

const here = { start: page, end: page + 1 }

/** What is at the page after something was done to it, and how much of the device's memory is in use. */
const left = (does: (world: MmWorld) => Effect.Effect<unknown, unknown>, folios = 4) =>
  runAlone(() => {
    const crew = { parent: ["cpu", "alone"], child: [], fibers: ["alone"] }
    const { world } = build({ devices: 0, gpus: ["coherent"], folios }, crew)
    subscribe(world)
    prepare(world, page, "coherent")
    return Effect.gen(function* () {
      const result = yield* Effect.match(does(world), {
        onFailure: (failure) =>
          typeof failure === "object" && failure !== null && "errno" in failure ? String(failure.errno) : "failed",
        onSuccess: () => "done",
      })
      return yield* step("look", () => {
        const { pgmaps } = world.folios
        const where = (mm: MmWorld["parent"]) => {
          const pte = at(mm.pte, page).value
          if (pte?.kind !== "present") return { kind: pte?.kind ?? "none" }
          const { content, swapBacked } = folioOf(world.folios, pte.page)
          return { in: pgmaps.has(pte.page.pfn) ? "device" : "system", access: pte.access, content, swapBacked }
        }
        const used = [...new Set(pgmaps.values())].map(({ state }) => state.refs)
        return { result, parent: where(world.parent), child: where(world.child), used }
      })
    })
  })

const untouched = { in: "device", access: "write", content: "old", swapBacked: true }

describe("a page of coherent memory", () => {
  it.each<readonly [string, (world: MmWorld) => Effect.Effect<unknown, unknown>]>([
    ["MADV_FREE", ({ parent }) => madvise(parent, here, "MADV_FREE")],
    ["MADV_PAGEOUT", ({ parent }) => madvise(parent, here, "MADV_PAGEOUT")],
    ["MADV_COLD", ({ parent }) => madvise(parent, here, "MADV_COLD")],
    ["a NUMA hint", ({ parent }) => changeProtNuma(parent, here)],
    ["reclaim", ({ parent }) => reclaimPage(parent, page)],
    ["compaction", ({ parent }) => migratePage(parent, page)],
    ["khugepaged", ({ parent }) => khugepagedScan(parent, page)],
    ["a CPU's load", ({ parent }) => userLoad(parent, "cpu", page)],
    ["a pin for one transfer", ({ parent }) => getUserPages(parent, page, { write: true, pin: true })],
    ["one without locks", ({ parent }) => getUserPagesFast(parent, page, { write: false, pin: true })],
    ["another migration to the device", ({ gpus: [gpu] }) => gpuMigrateToDevice(gpu as never, here)],
  ])("stays as it is with %s", (_, does) => {
    const { parent, used } = left(does)
    expect(parent).toEqual(untouched)
    expect(used).toEqual([1])
  })

  it("moves to system memory to be pinned for good, with what is in it", () => {
    for (const get of [getUserPages, getUserPagesFast]) {
      const pinned = left(({ parent }) => get(parent, page, { write: true, pin: true, longterm: true }))
      expect(pinned).toEqual({
        result: "done",
        parent: { ...untouched, in: "system" },
        child: { kind: "none" },
        used: [0],
      })
    }
  })

  it("is not pinned for good, and stays, where somebody else has pinned it", () => {
    const pinned = left(({ parent }) =>
      Effect.andThen(
        getUserPages(parent, page, { write: true, pin: true }),
        getUserPages(parent, page, { write: true, pin: true, longterm: true }),
      ),
    )
    expect(pinned).toMatchObject({ result: "EBUSY", parent: untouched, used: [1] })
  })

  it("is not pinned for good, and stays, where there is no memory to move it to", () => {
    const longterm = { write: true, pin: true, longterm: true }
    expect(left(({ parent }) => getUserPages(parent, page, longterm), 1)).toMatchObject({
      result: "EBUSY",
      parent: untouched,
      used: [1],
    })
  })

  it("comes back when its driver says so, and goes again", () => {
    const device = (world: MmWorld, back: boolean) => {
      const [gpu] = world.gpus
      if (gpu === undefined) return Effect.void
      const out = svmMigrateVramToRam(gpu.mm, gpu.memory, here)
      return back ? Effect.andThen(out, gpuMigrateToDevice(gpu, here)) : out
    }
    expect(left((world) => device(world, false))).toMatchObject({
      parent: { in: "system", content: "old" },
      used: [0],
    })
    expect(left((world) => device(world, true))).toMatchObject({ parent: { in: "device", content: "old" }, used: [1] })
  })

  it("is shared by fork for reading, and stays the child's when the parent's device stores", () => {
    const forked = ({ parent, child }: MmWorld) => dupMmap(parent, child)
    const readOnly = { ...untouched, access: "read" }
    expect(left(forked)).toMatchObject({ parent: readOnly, child: readOnly, used: [1] })
    const stored = left((world) => {
      const [gpu] = world.gpus
      if (gpu === undefined) return Effect.void
      return Effect.andThen(forked(world), gpuAccess(gpu, page, { kind: "store", content: "new" }))
    })
    expect(stored).toMatchObject({ parent: { in: "system", content: "new" }, child: readOnly, used: [1] })
  })

  it("is the child's copy's original where a pin keeps it with the parent", () => {
    const pinned = left((world) =>
      Effect.gen(function* () {
        const got = yield* getUserPages(world.parent, page, { write: true, pin: true })
        yield* dupMmap(world.parent, world.child)
        yield* putUserPage(world.system, got)
      }),
    )
    expect(pinned).toMatchObject({ parent: untouched, child: { in: "system", content: "old" }, used: [1] })
  })
})

describe("the core", () => {
  /** The lines of a folder's files in which it is asked whether a page is a device's, by file. */
  const asks = (folder: string) =>
    Object.fromEntries(
      readdirSync(new URL(`../../model/${folder}`, import.meta.url)).flatMap((file) => {
        const text = readFileSync(new URL(`../../model/${folder}/${file}`, import.meta.url), "utf8")
        const question = /\b(isZoneDevice|isDevicePrivate|isDeviceCoherent|isLongtermPinnable)\(|pgmaps\.(has|get)\(/g
        const lines = [...text.matchAll(question)].length
        return lines === 0 ? [] : [[file, lines] as const]
      }),
    )

  it("asks in few places whether a page is a device's, as was promised in 2015", () => {
    expect(asks("mm")).toEqual({
      // What is allocated, and what is freed: the two of the mail.
      "folio.ts": 2,
      // collect_longterm_unpinnable_folios, gup_fast: what may be pinned for good
      "gup.ts": 2,
      "gupFast.ts": 1,
      // What becomes of a large folio's huge entry, and of what it is split into
      "hugeMemory.ts": 2,
      "largeFolio.ts": 1,
      // madvise_free_pte_range, madvise_cold_or_pageout_pte_range
      "madvise.ts": 2,
      // remove_migration_pte: which entry leads there
      "migrate.ts": 1,
      // prot_numa_skip
      "protect.ts": 1,
    })
    expect(asks("file")).toEqual({})
  })
})
