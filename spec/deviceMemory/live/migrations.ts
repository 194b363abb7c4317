/** Migrations, pins, evictions and exclusive pages that must come to their ends: `device/live/...`. */
import * as Effect from "effect/Effect"
import type { Monitor } from "../../../checker/index.ts"
import { type Gpu, gpuAtomicFault, gpuMigrateToDevice } from "../../../model/driver/gpu.ts"
import { gpuClose, gpuOpen, gpuUnbind } from "../../../model/driver/gpuEvict.ts"
import { userLoad, userStore } from "../../../model/mm/access.ts"
import { exitMm } from "../../../model/mm/exit.ts"
import { getUserPages, putUserPage } from "../../../model/mm/gup.ts"
import { at } from "../../../model/mm/range.ts"
import { type Mutex, mutex, mutexLock, mutexUnlock } from "../../../model/sync/mutex.ts"
import { names, parameter } from "../../define.ts"
import { page, prepare } from "../../mm/pages.ts"
import type { MmWorld } from "../../mm/world.ts"
import {
  evictions,
  exclusiveAccess,
  longtermPins,
  migrationWaits,
  pinnedMigrations,
  providers,
  unbindings,
} from "./properties.ts"
import { define, stores } from "./scenarios.ts"
import { firstGpu, type LiveRecord, unmapFromGpus } from "./world.ts"

const all = { start: page, end: page + 1 }
const anon = (world: MmWorld) => prepare(world, page, "anon")

/** A thread pins the page, or refers to it, for a while. */
const holds = (world: MmWorld, pin: boolean) =>
  Effect.gen(function* () {
    const got = yield* getUserPages(world.parent, page, { write: true, pin })
    yield* putUserPage(world.system, got)
  })

/** The first GPU takes the page to its memory. */
const migrates = (world: MmWorld) => gpuMigrateToDevice(firstGpu(world), all)

export const waiters = define(
  "migration-waiters",
  "threads access a page while a GPU takes it, which fails where another thread refers to it",
  { cpus: parameter("threads that access the page", 1, 3, 0) },
  (bound) => ({
    gpus: ["private"],
    cpus: [...names("cpu", bound.cpus), "gup"],
    prepare: anon,
    fibers: (world) => ({
      ...Object.fromEntries(
        names("cpu", bound.cpus).map((cpu, i) => [
          cpu,
          i === 0 ? userLoad(world.parent, cpu, page) : userStore(world.parent, cpu, page, cpu),
        ]),
      ),
      gup: holds(world, false),
      gpu: migrates(world),
    }),
  }),
  migrationWaits,
)

export const pinned = define(
  "pinned-page",
  "a GPU takes a page that is pinned, or about to be, and never given back",
  { cpus: parameter("threads that store to the page", 1, 2, 0) },
  (bound) => ({
    gpus: ["private"],
    cpus: [...names("cpu", bound.cpus), "pin"],
    prepare: anon,
    fibers: (world) => ({
      ...stores(world, bound.cpus),
      pin: getUserPages(world.parent, page, { write: true, pin: true }),
      gpu: migrates(world),
    }),
  }),
  pinnedMigrations,
)

export const longterm = define(
  "longterm-pin",
  "a page is pinned for good that lies where nothing may be, while a GPU takes it and a thread wants it back",
  {
    migrations: parameter("how often the GPU takes the page", 2, 3, 0),
    cpus: parameter("threads that store", 0, 2, 0),
  },
  (bound) => ({
    gpus: ["private"],
    cpus: [...names("cpu", bound.cpus), "pin"],
    prepare: anon,
    fibers: (world) => ({
      ...stores(world, bound.cpus),
      pin: Effect.ignore(getUserPages(world.parent, page, { write: true, pin: true, longterm: true })),
      ...(bound.migrations > 0 ? { gpu: Effect.forEach(names("move", bound.migrations), () => migrates(world)) } : {}),
    }),
  }),
  longtermPins,
)

export const unbind = define(
  "unbind",
  "a driver is unbound while threads store to what is in its memory, or its GPU takes a page there",
  {
    cpus: parameter("threads that store", 1, 2, 0),
    migrations: parameter("how often the GPU takes a page", 0, 1, 0),
  },
  (bound) => {
    const migrations = mutex("migrate_mutex")
    return {
      gpus: ["private"],
      gpuPages: 2,
      mmPages: 2,
      cpus: names("cpu", bound.cpus),
      prepare: (world) => {
        prepare(world, page, "device")
        prepare(world, other, "anon")
        unmapFromGpus(world)
      },
      fibers: (world) => {
        const gpu = firstGpu(world)
        return {
          ...stores(world, bound.cpus),
          ...(bound.migrations === 1 ? { gpu: migratesUnder(migrations, gpu, other) } : {}),
          rmmod: gpuUnbind(world.system, gpu.memory, migrations),
        }
      },
    }
  },
  unbindings,
)

const other = 1

const migratesUnder = Effect.fnUntraced(function* (migrations: Mutex, gpu: Gpu, va: number) {
  yield* mutexLock(migrations)
  yield* gpuMigrateToDevice(gpu, { start: va, end: va + 1 })
  yield* mutexUnlock(migrations)
})

/** Pages that a CPU can reach can be pinned. Their driver cannot have them back before their process ends. */
export const unbindPinned = define(
  "unbind-pinned",
  "a driver with coherent memory is unbound while a thread pins what is there, gives it back and exits",
  {},
  () => ({
    gpus: ["coherent"],
    cpus: ["cpu0"],
    fibers: (world) => ({
      cpu0: Effect.andThen(holds(world, true), exitMm(world.parent)),
      rmmod: gpuUnbind(world.system, firstGpu(world).memory, mutex("migrate_mutex")),
    }),
  }),
  unbindings,
)

/** What a driver has for a process goes when that closes the device; what is in its memory must not need it any more. */
export const close = define(
  "close",
  "a process closes a device that has a page of it, while a thread stores there",
  { cpus: parameter("threads that store", 1, 2, 0) },
  (bound) => ({
    gpus: ["private"],
    cpus: names("cpu", bound.cpus),
    provider: (world) => gpuOpen(firstGpu(world)),
    fibers: (world, provider) => ({
      ...stores(world, bound.cpus),
      ...(provider === null ? {} : { close: gpuClose(firstGpu(world), provider) }),
    }),
  }),
  [...evictions, ...providers],
)

export const exclusive = define(
  "exclusive",
  "a GPU faults on a page to have it for itself, and threads take it back",
  { cpus: parameter("threads that store", 1, 2, 0) },
  (bound) => ({
    gpus: ["private"],
    cpus: names("cpu", bound.cpus),
    prepare: anon,
    subscribed: true,
    fibers: (world) => ({
      ...stores(world, bound.cpus),
      gpu: gpuAtomicFault(firstGpu(world), page),
    }),
    monitor: recordExclusive,
  }),
  exclusiveAccess,
)

const recordExclusive = ({ parent, gpus }: MmWorld, record: LiveRecord): Monitor => ({
  "make_device_exclusive: set_pte_at": () => {
    if (record.exclusive !== "lost") record.exclusive = "made"
  },
  gpu_map: () => {
    const isProgrammed = gpus.some(({ pageTable }) => at(pageTable, page).value?.atomic === true)
    if (isProgrammed && record.exclusive === "made") record.exclusive = "programmed"
  },
  restore_exclusive_pte: () => {
    if (at(parent.pte, page).value?.kind !== "exclusive" && record.exclusive === "made") record.exclusive = "lost"
  },
})
