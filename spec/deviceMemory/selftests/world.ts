/** The machine of the HMM self tests (tools/testing/selftests/mm/hmm-tests.c): a process, its child, four devices. */
import * as Effect from "effect/Effect"
import { checkpoint, choose, fork, join, type Setup, type Struct, step, struct } from "../../../checker/index.ts"
import { driverPgmaps, type MemoryType } from "../../../model/deviceMemory/pgmap.ts"
import { type Dmirror, dmirrorFopsOpen, dmirrorFopsRelease, dmirrorOf } from "../../../model/driver/testHmm.ts"
import { type DmirrorDevice, dmirrorDevice } from "../../../model/driver/testHmmDevice.ts"
import { type Migration, migrationOf } from "../../../model/driver/testHmmMigrate.ts"
import { type Snapshot, snapshotOf } from "../../../model/driver/testHmmSnapshot.ts"
import { type Inode, inode } from "../../../model/file/inode.ts"
import { addressSpace, type Mm } from "../../../model/mm/mm.ts"
import type { Range } from "../../../model/mm/range.ts"
import { type System, system } from "../../../model/mm/system.ts"
import { munmap } from "../../../model/mm/unmap.ts"
import { type Userfaultfd, userfaultfd } from "../../../model/mm/userfaultfd.ts"
import type { Selftest } from "./selftest.ts"

/** Who does something: the process that the test is, and the child that it forks. */
export type Who = "parent" | "child"

/** Of which kind the devices' memory is that the test is run with. */
export type Variant = MemoryType

/** What the properties and seeded bugs of the self tests see. */
export interface SelftestWorld {
  readonly system: System
  readonly parent: Mm
  readonly child: Mm
  /** The parent's, where there are no huge pages. */
  readonly userfaultfd: Userfaultfd | null
  readonly devices: ReadonlyArray<DmirrorDevice>
  /** The devices' files that are opened, by name. */
  readonly dmirrors: Map<string, Dmirror>
  /** A file on a disk, and the memory of MAP_SHARED | MAP_ANONYMOUS. */
  readonly file: Inode
  readonly shmem: Inode
  readonly outcome: Struct<{
    /** How many outcomes were as they are to be. */
    asExpected: number
    /** Which was not, in words. */
    wrong: string
  }>
}

/** What the steps of a test are done with: the machine, and the devices of a variant. */
export interface Bench {
  readonly world: SelftestWorld
  readonly variant: Variant
  /** `/dev/hmm_dmirrorN`, N counted from the first of the variant, as opened by a process. */
  readonly file: (who: Who, device: number) => Dmirror
  readonly migration: (device: number, range: Range) => Migration
  readonly snapshot: (device: number, range: Range) => Snapshot
}

/** Some steps of a test, one after the other; what the next one does depends on no earlier one's result. */
export type Verb = (bench: Bench) => ReadonlyArray<Effect.Effect<unknown>>

/** How large a machine is, in pages: its processes, and the memory of each device; and whether there are huge pages, of how many. */
interface Size {
  readonly pages: number
  /** Its own memory, if not twice as much as a process. */
  readonly memory?: number
  readonly devicePages: number
  readonly hugePages?: number
  /** Whether there is hugetlbfs, where there are huge pages. */
  readonly hugetlb?: boolean
  /** How many lives of a frame are told apart, if not all. */
  readonly lives?: number
}

/** Large enough for the tests of plain pages. */
const plain: Size = { pages: 8, devicePages: 6 }

/** The devices of a test's fixture: `hmm` opens one, `hmm2` two. */
export type Fixture = "hmm" | "hmm2"

export const variants: ReadonlyArray<Variant> = ["private", "coherent"]

/** `DMIRROR_NDEVICES`: two of private memory, two of coherent memory. */
const perVariant = 2

/** Makes the machine, nothing mapped. */
export const selftestWorld = (size: Size = plain, cpus: ReadonlyArray<string> = ["cpu0"]): SelftestWorld => {
  const { pages: mmPages, memory = 2 * mmPages, devicePages, hugePages, hugetlb = false, lives } = size
  const memories = variants.flatMap((type, position) =>
    Array.from({ length: perVariant }, (_, i) => {
      const name = `hmm_dmirror${position * perVariant + i}`
      return { name, type, owner: name, pages: devicePages }
    }),
  )
  const of = system({
    folios: memory,
    devices: memories,
    pagesPerTable: hugePages ?? 4,
    thp: hugePages !== undefined,
    hugetlb,
    lives,
    cgroups: ["parent", "child", "file", "shmem", "hmm_dmirror"],
  })
  const contents = Array.from({ length: mmPages }, (_, index) => `i${index}`)
  // What vm_insert_page maps of the device's file belongs to no page cache.
  inode(of, "hmm_dmirror", { size: mmPages })
  const parent = addressSpace(of, "parent", mmPages, cpus)
  return {
    system: of,
    parent,
    userfaultfd: of.thp ? null : userfaultfd(parent),
    child: addressSpace(of, "child", mmPages, ["child0"], 0),
    devices: driverPgmaps(of.folios).map((memory) => dmirrorDevice(of, memory)),
    dmirrors: new Map(),
    file: inode(of, "file", { size: mmPages, contents }),
    shmem: inode(of, "shmem", { size: mmPages, tracksDirty: false }),
    outcome: struct("outcome", { asExpected: 0, wrong: "" }),
  }
}

/** The bench for a variant: what has cells is made beforehand, and only once. */
export const benchOf = (world: SelftestWorld, variant: Variant): Bench => {
  const once = <A>(make: (key: string) => A) => {
    const made = new Map<string, A>()
    return (key: string): A => {
      const found = made.get(key) ?? make(key)
      made.set(key, found)
      return found
    }
  }
  const first = variants.indexOf(variant) * perVariant
  const files = once((key) => {
    const [who = "", device = ""] = key.split(" ")
    const mdevice = world.devices[first + Number(device)]
    if (mdevice === undefined) throw new RangeError(`there is no device ${device}`)
    const name = `${who}.dmirror${first + Number(device)}`
    const dmirror = dmirrorOf(who === "child" ? world.child : world.parent, name, mdevice)
    world.dmirrors.set(name, dmirror)
    return dmirror
  })
  const file: Bench["file"] = (who, device) => files(`${who} ${device}`)
  const argsOf = (key: string, what: string): readonly [Dmirror, Range, string] => {
    const [device = 0, start = 0, end = 0] = key.split(" ").map(Number)
    const dmirror = file("parent", device)
    return [dmirror, { start, end }, `${dmirror.name}.${what}${start}-${end}`]
  }
  const migrations = once((key) => migrationOf(...argsOf(key, "migration")))
  const snapshots = once((key) => snapshotOf(...argsOf(key, "snapshot")))
  return {
    world,
    variant,
    file,
    migration: (device, { start, end }) => migrations(`${device} ${start} ${end}`),
    snapshot: (device, { start, end }) => snapshots(`${device} ${start} ${end}`),
  }
}

/** FIXTURE_SETUP: opens the devices. */
export const openAll = (bench: Bench, fixture: Fixture): Effect.Effect<void> =>
  Effect.forEach(filesOf(bench, fixture), dmirrorFopsOpen, { discard: true })

/** `hmm_buffer_free` and FIXTURE_TEARDOWN: all memory is given back, the devices closed. */
export const closeAll = (bench: Bench, fixture: Fixture): Effect.Effect<void> => {
  const files = filesOf(bench, fixture)
  return Effect.andThen(
    Effect.ignore(munmap(bench.world.parent, { start: 0, end: bench.world.parent.pages })),
    Effect.forEach(files, dmirrorFopsRelease, { discard: true }),
  )
}

const filesOf = (bench: Bench, fixture: Fixture): ReadonlyArray<Dmirror> =>
  (fixture === "hmm" ? [0] : [0, 1]).map((device) => bench.file("parent", device))

/** Compares what came out with what is to: the first that differs is kept. */
export const expect = (
  { outcome }: SelftestWorld,
  what: string,
  got: string,
  expected: string,
): Effect.Effect<unknown> =>
  step("ASSERT_EQ", [what, got, expected], () => {
    if (got === expected) outcome.asExpected++
    else if (outcome.wrong === "") outcome.wrong = `${what}: ${got}, where it is to be ${expected}.`
  })

/** Does what the test does, one thing after the other, each as a fiber of that name: short ones are learnt more easily. */
export const task = "task"

/** One of the tests, with each kind of memory in turn. */
export const oneOf = (
  tests: ReadonlyArray<Selftest>,
  world = selftestWorld(),
  kinds: ReadonlyArray<Variant> = variants,
): Setup<SelftestWorld> => {
  const benches = new Map(kinds.map((variant) => [variant, benchOf(world, variant)]))
  const runs = new Map(
    tests.flatMap((test) =>
      [...benches].map(([variant, bench]) => [`${test.id} ${variant}`, runOf(test, bench)] as const),
    ),
  )
  const test = Effect.gen(function* () {
    if (tests.length === 0) return yield* step("SKIP", () => undefined)
    const id = yield* choose(
      "test",
      tests.map((one) => one.id),
    )
    const variant = yield* choose("variant", kinds)
    for (const [position, verb] of (runs.get(`${id} ${variant}`) ?? []).entries()) {
      yield* checkpoint("verb", id, variant, position)
      yield* join(yield* fork(task, verb))
    }
  })
  return { world, fibers: { test }, monitors: [] }
}

const runOf = ({ fixture, script }: Selftest, bench: Bench): ReadonlyArray<Effect.Effect<unknown>> => [
  openAll(bench, fixture),
  ...script.flatMap((verb) => verb(bench)),
  closeAll(bench, fixture),
]
