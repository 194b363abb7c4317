/** The self tests in which two things happen at once, under every schedule. */
import * as Effect from "effect/Effect"
import { choose, fork, join, type Property, type Setup, scenario } from "../../../checker/index.ts"
import { type DmirrorCmd, dmirrorRead } from "../../../model/driver/testHmm.ts"
import { dmirrorMigrateToDevice } from "../../../model/driver/testHmmMigrate.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { munmap as doMunmap } from "../../../model/mm/unmap.ts"
import { mappingProperties } from "../../driver/mappings.ts"
import { mappedBy } from "../../driver/testHmm/properties.ts"
import { intervalSteps, recordWindows, type Windows } from "../../driver/windows.ts"
import { selftestProperties } from "./properties.ts"
import { device, expectedInWords, i, inOrder, inWords, load, mmap, mprotect, pages, type Said, store } from "./verbs.ts"
import {
  type Bench,
  benchOf,
  closeAll,
  expect,
  type Fixture,
  openAll,
  type SelftestWorld,
  selftestWorld,
  task,
  type Variant,
  type Verb,
  variants,
} from "./world.ts"

/** What the properties of these tests see. */
export interface ConcurrentWorld extends SelftestWorld {
  readonly mm: Mm
  readonly windows: Windows
}

/** A test: what is done one after the other, what then at once, and what behind that. */
export interface Concurrent {
  readonly fixture: Fixture
  readonly before: ReadonlyArray<Verb>
  readonly atOnce: (bench: Bench) => { readonly [fiber: string]: Effect.Effect<unknown> }
  readonly behind: ReadonlyArray<Verb>
}

/** Runs it with each kind of memory in turn; at the end everything is given back. */
export const concurrently = (
  { fixture, before, atOnce, behind }: Concurrent,
  world = selftestWorld(),
  kinds: ReadonlyArray<Variant> = variants,
): Setup<ConcurrentWorld> => {
  const runs = kinds.map((variant) => {
    const bench = benchOf(world, variant)
    return {
      variant,
      begin: [openAll(bench, fixture), ...inOrder(before)(bench)],
      atOnce: atOnce(bench),
      end: [...inOrder(behind)(bench), closeAll(bench, fixture)],
    }
  })
  const test = Effect.gen(function* () {
    const variant = yield* choose("variant", kinds)
    const run = runs.find((one) => one.variant === variant)
    if (run === undefined) return
    for (const verb of run.begin) yield* join(yield* fork(task, verb))
    const forked = []
    for (const [name, effect] of Object.entries(run.atOnce)) forked.push(yield* fork(name, effect))
    for (const one of forked) yield* join(one)
    for (const verb of run.end) yield* join(yield* fork(task, verb))
  })
  const fibers = ["test", task, ...Object.keys(runs[0]?.atOnce ?? {})]
  const { windows, monitor } = recordWindows(fibers, intervalSteps)
  return {
    world: { ...world, mm: world.parent, windows },
    fibers: { test },
    monitors: [monitor],
  }
}

export const concurrentProperties: ReadonlyArray<Property<ConcurrentWorld>> = [
  ...selftestProperties,
  ...mappingProperties<ConcurrentWorld>(
    ({ dmirrors }) => [...dmirrors.values()].flatMap((dmirror) => mappedBy(dmirror, dmirror.name)),
    "lib/test_hmm.c",
  ),
]

/** A command that comes to one of these. */
export const comesTo = (
  { world }: Bench,
  name: string,
  run: Effect.Effect<DmirrorCmd>,
  end: number,
  possible: ReadonlyArray<Said>,
): Effect.Effect<unknown> =>
  Effect.flatMap(run, (cmd) => {
    const expected = possible.map((said) => expectedInWords(name, pages(0, end), said))
    const got = possible.map((said) => inWords(name, cmd, said))
    const match = expected.find((words, position) => words === got[position])
    return expect(world, `HMM_DMIRROR_${name}`, match ?? got.join(" or "), match ?? expected.join(" or "))
  })

const size = { description: "pages of the buffer", min: 1, max: 4 }

/** 19: anon_teardown */
export const teardown = scenario({
  id: "device/selftests/anon_teardown",
  summary:
    "a thread unmaps half of a buffer while the device has READ all of it. Expected: READ comes to 0 with all pages, 1 fault and the data, or to -EFAULT",
  parameters: { pages: { ...size, default: 2, min: 2 } },
  setup: ({ pages: end }) =>
    concurrently({
      fixture: "hmm",
      before: [mmap(pages(0, end), "private"), store(pages(0, end))],
      atOnce: (bench) => ({
        reader: comesTo(bench, "READ", dmirrorRead(bench.file("parent", 0), pages(0, end)), end, [
          { cpages: end, faults: 1, data: i },
          "-EFAULT",
        ]),
        unmapper: Effect.ignore(doMunmap(bench.world.parent, pages(Math.floor(end / 2), end))),
      }),
      behind: [load(pages(0, Math.floor(end / 2)))],
    }),
  properties: concurrentProperties,
})

/** 23: double_map, the last two commands of which at once. */
export const doubleMap = scenario({
  id: "device/selftests/double_map-at-once",
  summary:
    "pages that both devices map are migrated to device 1 while device 0 has READ them. Expected: READ comes to 0 with all pages and the data, MIGRATE_TO_DEV to that, or to -ENOENT where they were taken back meanwhile",
  parameters: { pages: { ...size, default: 1 } },
  setup: ({ pages: end }) => {
    const all = pages(0, end)
    return concurrently({
      fixture: "hmm2",
      before: [
        mmap(all, "private"),
        store(all),
        mprotect(all, "r"),
        device(0).read(all, { cpages: end, faults: 1, data: i }),
        device(1).read(all, { cpages: end, faults: 1, data: i }),
      ],
      atOnce: (bench) => ({
        device0: comesTo(bench, "READ", dmirrorRead(bench.file("parent", 0), all), end, [{ cpages: end, data: i }]),
        device1: comesTo(bench, "MIGRATE_TO_DEV", dmirrorMigrateToDevice(bench.migration(1, all)), end, [
          { cpages: end, data: i },
          "-ENOENT",
        ]),
      }),
      behind: [load(all)],
    })
  },
  properties: concurrentProperties,
})
