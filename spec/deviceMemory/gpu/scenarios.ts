/** A GPU's driver at work, as in nouveau, amdgpu and Xe, against what its process does: `device/gpu/...`. */
import * as Effect from "effect/Effect"
import { choose, type Parameter, type Scenario, scenario } from "../../../checker/index.ts"
import { gpuAccess, gpuMigrateToDevice } from "../../../model/driver/gpu.ts"
import { gpuEvict, gpuMigrateEvicting, gpuUnbind } from "../../../model/driver/gpuEvict.ts"
import { gpuMigrateFromPeer } from "../../../model/driver/gpuPeer.ts"
import { svmMigrateVramToRam } from "../../../model/driver/gpuToSystem.ts"
import { forgetNumbers } from "../../../model/notifier/sequence.ts"
import { type Mutex, mutex } from "../../../model/sync/mutex.ts"
import { operation } from "../../mm/operations.ts"
import { otherPage, type PageKind, page, prepare } from "../../mm/pages.ts"
import type { Machine, MmWorld, Operation } from "../../mm/world.ts"
import { deviceProperties } from "../properties.ts"
import { type DeviceWorld, deviceRace } from "../world.ts"
import { memunmapProperties } from "./properties.ts"

const here = { start: page, end: page + 1 }

/** What the process does to the page that it is all about; `madvise-pageout` is reclaim. */
const calls = ["store", "munmap", "madvise-dontneed", "madvise-pageout", "fork", "exit"] as const

type Call = (typeof calls)[number]

/** A thread makes one of the calls. */
const oneOf = (of: ReadonlyArray<Call>): Operation => ({
  id: "call",
  actor: "cpu",
  pages: [],
  run: Effect.fnUntraced(function* (world, fiber) {
    yield* operation(yield* choose("call", of)).run(world, fiber)
  }),
})

const gpuOf = ({ gpus }: MmWorld, position = 0) => {
  const gpu = gpus[position]
  if (gpu === undefined) throw new RangeError(`the machine has no GPU ${position}`)
  return gpu
}

/** What a driver, or a GPU, does. */
const by = (actor: string, run: (world: MmWorld, fiber: string) => Effect.Effect<unknown>): Operation => ({
  id: actor,
  actor,
  pages: [],
  run,
})

const parameter = (description: string, initial: number, max: number): Parameter => ({
  description,
  default: initial,
  min: 0,
  max,
})

/** What is done, in its order; the whole of it makes many states, so that the default bound is the beginning. */
type Work = ReadonlyArray<(world: MmWorld, fiber: string, migrations: Mutex) => Effect.Effect<unknown>>

interface Race {
  readonly id: string
  readonly summary: string
  readonly pages?: ReadonlyArray<PageKind>
  readonly actor: string
  readonly work: Work
  /** What the process may do meanwhile; everything if nothing is said. */
  readonly against?: ReadonlyArray<Call>
  /** The default bound, where it is not one thread that makes a call and nothing else. */
  readonly bound?: Partial<Bound>
  readonly machine?: Partial<Machine>
  /**
   * Whether there is an eviction, whose reference makes a fault fail that then comes again, as often as it likes: so that it comes back to
   * states that have been before, numbers of invalidations are forgotten, and two lives of a page are told apart.
   */
  readonly repeats?: boolean
}

type Bound = { readonly calls: number; readonly accesses: number; readonly done: number }

const setUp = ({ pages = ["device"], actor, work, machine, against = calls, repeats }: Race, bound: Bound) => {
  const migrations = mutex("migrate_mutex")
  const done = work.slice(0, bound.done)
  const setup = deviceRace(
    pages,
    [
      by(actor, (world, fiber) => Effect.forEach(done, (one) => one(world, fiber, migrations))),
      ...Array.from({ length: bound.calls }, () => oneOf(against)),
      ...Array.from({ length: bound.accesses }, () => by("gpu", stores(0))),
    ],
    { ...machine, ...(repeats === true ? { lives: 2 } : {}) },
  )
  if (repeats === true) forgetNumbers(setup.world.parent.subscriptions)
  return setup
}

const define = (of: Race): Scenario<DeviceWorld> =>
  scenario({
    id: `device/gpu/${of.id}`,
    summary: of.summary,
    parameters: {
      calls: parameter("threads of the process that make a call", of.bound?.calls ?? 1, 2),
      accesses: parameter("whether the first GPU stores to the page besides", of.bound?.accesses ?? 0, 1),
      done: parameter("how much of it is done, from its beginning", of.bound?.done ?? 1, of.work.length),
    },
    setup: (bound) => setUp(of, bound),
    properties: [...deviceProperties, ...memunmapProperties],
  })

/** The first GPU accesses the page atomically. */
const atomically = (world: MmWorld, fiber: string) =>
  gpuAccess(gpuOf(world), page, { kind: "atomic", content: `${fiber}.2` })

/** A GPU stores to the page. */
const stores = (position: number) => (world: MmWorld, fiber: string) =>
  gpuAccess(gpuOf(world, position), page, { kind: "store", content: `${fiber}.1` })

export const evict = define({
  id: "evict",
  summary: "a driver gets a page of its GPU's memory back, by its number, while the process uses it",
  actor: "driver",
  work: [(world) => gpuEvict(world.system, gpuOf(world).memory)],
  repeats: true,
  // What else may happen meanwhile, happens in `unbind` too.
  bound: { calls: 0, accesses: 1 },
})

export const pressure = define({
  id: "memory-pressure",
  summary:
    "a GPU wants a page in its memory, which is full: another page is evicted first, while the process uses that",
  actor: "gpu",
  work: [(world) => gpuMigrateEvicting(gpuOf(world), { start: otherPage, end: otherPage + 1 })],
  against: ["store", "munmap", "fork"],
  repeats: true,
  machine: { layOut: (world) => prepare(world, otherPage, "anon") },
})

export const unbind = define({
  id: "unbind",
  summary: "a driver is unbound and its memory taken away while the process uses what is there",
  actor: "rmmod",
  work: [(world, _, migrations) => gpuUnbind(world.system, gpuOf(world).memory, migrations)],
  repeats: true,
})

/** A GPU at work: its data comes to it, is worked on, and goes back. */
export const atWork = define({
  id: "work",
  summary: "a GPU takes a page to its memory, stores there, has it brought back and accesses it atomically",
  pages: ["anon"],
  actor: "gpu",
  work: [
    (world) => gpuMigrateToDevice(gpuOf(world), here),
    stores(0),
    (world) => svmMigrateVramToRam(world.parent, gpuOf(world).memory, here),
    atomically,
  ],
})

const fromPeer: Work = [(world) => gpuMigrateFromPeer(gpuOf(world, 1), gpuOf(world), here), stores(1), atomically]

export const peers = define({
  id: "two-gpus",
  summary:
    "a GPU takes a page that is in another's memory, stores there, and the other wants it for itself; each may move only its own",
  actor: "gpu",
  work: fromPeer,
  against: ["store", "munmap", "fork"],
  machine: { gpus: ["private", "private"] },
})

export const oneOwner = define({
  id: "two-gpus-one-owner",
  summary:
    "a GPU takes a page that is in another's memory, which it can reach, stores there, and the other wants it for itself",
  actor: "gpu",
  work: fromPeer,
  machine: { gpus: ["private", "private"], gpuOwner: "peers" },
})

/** A GPU's fault on a page that is another's. */
export const peerFault = define({
  id: "two-gpus-fault",
  summary:
    "a GPU stores to a page that is in another's memory, which it cannot reach: the other's driver brings it back",
  actor: "gpu",
  work: [stores(1)],
  against: ["store", "munmap"],
  machine: { gpus: ["private", "private"] },
})

export const gpuScenarios = [evict, pressure, unbind, atWork, peers, oneOwner, peerFault]
