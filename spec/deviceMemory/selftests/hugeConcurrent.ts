/** What meets on a huge page in the self tests' driver, under every schedule: the tests of huge pages, with two things at once. */
import * as Effect from "effect/Effect"
import { type Property, type Scenario, scenario, step } from "../../../checker/index.ts"
import { dmirrorMigrateToDevice, dmirrorMigrateToSystem } from "../../../model/driver/testHmmMigrate.ts"
import { userLoad, userStore } from "../../../model/mm/access.ts"
import { folioPut, frameOf } from "../../../model/mm/folio.ts"
import { oomReapTask } from "../../../model/mm/oomReaper.ts"
import type { Range } from "../../../model/mm/range.ts"
import { munmap as doMunmap } from "../../../model/mm/unmap.ts"
import { forgetNumbers } from "../../../model/notifier/sequence.ts"
import { type ConcurrentWorld, concurrently, concurrentProperties } from "./concurrent.ts"
import { hugeProperties } from "./hugeProperties.ts"
import { device, i, load, mmap, munmap, pages, store } from "./verbs.ts"
import { type Bench, expect, selftestWorld, type Verb } from "./world.ts"

/** A huge page here has two pages: half of it is one. */
const hugePages = 2
const thp = pages(0, hugePages)
const gpu = device(0)

const inSystem = [mmap(thp, "private"), store(thp)]
const inDevice = [...inSystem, gpu.migrateToDev(thp, { cpages: hugePages, data: i })]

/** A thread of the process reads a page, and finds its data. */
const reads = ({ world }: Bench, cpu: string, va: number): Effect.Effect<unknown> =>
  Effect.matchEffect(userLoad(world.parent, cpu, va), {
    onSuccess: (got) => expect(world, `page ${va} of the parent`, got, i(va)),
    onFailure: ({ signal }) => expect(world, `page ${va} of the parent`, signal, i(va)),
  })

const toDevice = (bench: Bench, range: Range) => dmirrorMigrateToDevice(bench.migration(0, range))
const toSystem = (bench: Bench, range: Range) => dmirrorMigrateToSystem(bench.file("parent", 0), range)

const faultsEnd: ReadonlyArray<Property<ConcurrentWorld>> = [
  {
    kind: "leadsTo",
    id: "L-FAULT-PRIV",
    statement: "Every fault on a page in a device's memory is resolved, or ends with SIGBUS.",
    source: "mm/huge_memory.c: do_huge_pmd_device_private",
    to: (_, { ended }) => ended("test"),
  },
]

interface Race {
  readonly id: string
  readonly summary: string
  readonly before: ReadonlyArray<Verb>
  readonly atOnce: (bench: Bench) => { readonly [fiber: string]: Effect.Effect<unknown> }
  readonly behind: ReadonlyArray<Verb>
  /** What has to come about. The numbers of invalidations are forgotten then. */
  readonly promises?: ReadonlyArray<Property<ConcurrentWorld>>
}

const define = ({ id, summary, before, atOnce, behind, promises = [] }: Race): Scenario<ConcurrentWorld> =>
  scenario({
    id: `device/selftests/${id}`,
    summary,
    setup: () => {
      const lives = promises.length === 0 ? {} : { lives: 2 }
      const world = selftestWorld({ pages: 4, devicePages: 4, hugePages, ...lives }, ["cpu0", "cpu1"])
      if (promises.length > 0) forgetNumbers(world.parent.subscriptions)
      return concurrently({ fixture: "hmm", before, atOnce, behind }, world, ["private"])
    },
    properties: [...concurrentProperties, ...hugeProperties, ...promises],
  })

/** A huge page goes to the device while the process stores to half of it. */
export const storeAgainstMigration = define({
  id: "huge-store+migrate",
  summary:
    "MIGRATE_TO_DEV of a huge page while a thread stores to half of it. Expected: nothing that was stored is lost",
  before: inSystem,
  atOnce: (bench) => ({
    migrator: toDevice(bench, thp),
    cpu0: Effect.ignore(userStore(bench.world.parent, "cpu0", 1, "stored")),
  }),
  behind: [load(pages(0, 1)), load(pages(1, 2), () => "stored")],
})

/** A fault on half of a huge page that comes back by itself. */
export const faultAgainstMigration = define({
  id: "huge-fault+migrate-back",
  summary: "MIGRATE_TO_SYS of a huge page of the device's while a thread reads half of it. Expected: the data",
  before: inDevice,
  atOnce: (bench) => ({ migrator: toSystem(bench, thp), cpu0: reads(bench, "cpu0", 1) }),
  behind: [load(thp)],
})

/** Half of a huge page that goes to the device is unmapped. */
export const unmapAgainstMigration = define({
  id: "huge-munmap+migrate",
  summary: "munmap of half of a huge page while it goes to the device. Expected: the data in the rest",
  before: inSystem,
  atOnce: (bench) => ({
    migrator: toDevice(bench, thp),
    unmapper: Effect.ignore(doMunmap(bench.world.parent, pages(0, 1))),
  }),
  behind: [load(pages(1, 2))],
})

/** Half of a huge page of the device's is unmapped while the other half is read. */
export const unmapAgainstFault = define({
  id: "huge-munmap+fault",
  summary: "munmap of half of a huge page of the device's while a thread reads the other. Expected: the data",
  before: inDevice,
  atOnce: (bench) => ({
    unmapper: Effect.ignore(doMunmap(bench.world.parent, pages(0, 1))),
    cpu0: reads(bench, "cpu0", 1),
  }),
  behind: [load(pages(1, 2))],
})

/** Two threads read what is left of a huge page of the device's, which has to be split for it. */
export const faultsOnTheRest = define({
  id: "huge-faults-on-the-rest",
  summary:
    "two threads read what is left of a huge page of the device's, half of which is unmapped: it is split in the middle of their faults. Expected: the data",
  before: [...inDevice, munmap(pages(0, 1))],
  atOnce: (bench) => ({ cpu0: reads(bench, "cpu0", 1), cpu1: reads(bench, "cpu1", 1) }),
  behind: [load(pages(1, 2))],
  promises: faultsEnd,
})

/** The process is being reaped while a huge page comes into being in the device's memory. */
export const reapedPlace = define({
  id: "huge-empty+oom-reaper",
  summary: "MIGRATE_TO_DEV of a place for a huge page, which is empty, while the OOM reaper takes the process's memory",
  before: [mmap(thp, "private")],
  atOnce: (bench) => ({ migrator: toDevice(bench, thp), "oom-reaper": oomReapTask(bench.world.parent) }),
  behind: [],
})

/** Takes all pages of the system's memory that huge pages could begin with. */
const fragment: Verb = ({ world: { system } }) => [
  step("alloc_pages: fragmentation", () => {
    const { folios } = system
    const isFirst = (pfn: number) => pfn % hugePages === 0 && !folios.pgmaps.has(pfn)
    while (folios.arena.allocate(({ index }) => isFirst(index)) !== undefined);
    for (const slot of folios.arena.slots) if (isFirst(slot.index)) slot.refcount = 1
  }),
]

/** Gives them back. */
const defragment: Verb = ({ world: { system } }) => [
  step("free_pages: fragmentation", () => {
    const { folios } = system
    for (const slot of folios.arena.slots) {
      const isTaken = slot.live && slot.index % hugePages === 0 && slot.memcg === "" && !folios.pgmaps.has(slot.index)
      if (isTaken) folioPut(folios, frameOf(slot))
    }
  }),
]

/** A huge page of the device's comes back where there is none in system memory. */
export const noHugePage = define({
  id: "huge-fault-no-huge-page",
  summary:
    "a thread reads half of a huge page of the device's, and there are single pages only in system memory. Expected: the data",
  before: [...inDevice, fragment],
  atOnce: (bench) => ({ cpu0: reads(bench, "cpu0", 1) }),
  behind: [load(thp), defragment],
  promises: faultsEnd,
})

export const hugeScenarios = [
  storeAgainstMigration,
  faultAgainstMigration,
  unmapAgainstMigration,
  unmapAgainstFault,
  faultsOnTheRest,
  reapedPlace,
  noHugePage,
]
