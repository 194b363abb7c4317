/**
 * The interval notifier cut down to what races: the sequence, its copies in the subscriptions, and the devices' page
 * tables under their locks. No wait queues, deferred lists or TLBs, and one page invalidated at a time. Its numbers of
 * states are known from a program that has nothing of the checker, so that speeds can be compared.
 */
import * as Effect from "effect/Effect"
import {
  type Cell,
  cell,
  checkpoint,
  choose,
  guardedStep,
  type Invariant,
  type Scenario,
  type Setup,
  scenario,
  step,
} from "../../checker/index.ts"

interface Size {
  readonly devices: number
  readonly pages: number
  readonly invalidations: number
}

/** A device; its cells are named by it. */
interface Device {
  readonly name: string
  /** The sequence of its subscription. */
  readonly seq: Cell<number>
  readonly locked: Cell<boolean>
  /** The frame that each page is mapped to, 0 for none. */
  readonly pageTable: ReadonlyArray<Cell<number>>
}

interface World {
  readonly seq: Cell<number>
  /** The frame that the CPU maps each page to, 0 for none. */
  readonly pageTable: ReadonlyArray<Cell<number>>
  /** Whether each frame is free; frame 0 is no frame. */
  readonly freed: ReadonlyArray<Cell<boolean>>
  readonly devices: ReadonlyArray<Device>
}

/** How an invalidation calls every device once. */
type Calls = (world: World, round: number, page: number, frame: number) => Effect.Effect<void>

const reduced = ({ devices, pages, invalidations }: Size, callAll: Calls, interchangeable: boolean): Setup<World> => {
  const world: World = {
    seq: cell("seq", 2),
    pageTable: numbered(pages, (page) => cell(`pte${page}`, page + 1)),
    freed: numbered(pages + invalidations + 2, (frame) => cell(`freed${frame}`, false)),
    devices: numbered(devices, (position) => deviceOf(`gpu${position}`, pages)),
  }
  const mirrors = world.devices.map((device) => [device.name, mirror(world, device)] as const)
  return {
    world,
    fibers: { cpu0: invalidator(world, invalidations, callAll), ...Object.fromEntries(mirrors) },
    interchangeable: interchangeable ? [world.devices.map(({ name }) => name)] : [],
  }
}

const deviceOf = (name: string, pages: number): Device => ({
  name,
  seq: cell(`${name}.seq`, 1),
  locked: cell(`${name}.lock`, false),
  pageTable: numbered(pages, (page) => cell(`${name}.pte${page}`, 0)),
})

const numbered = <A>(count: number, make: (position: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, position) => make(position))

const at = <A>(table: ReadonlyArray<Cell<A>>, position: number): Cell<A> => {
  const entry = table[position]
  if (entry === undefined) throw new RangeError(`there is no entry ${position}`)
  return entry
}

const lock = ({ name, locked }: Device) =>
  guardedStep(
    "mutex_lock",
    [name],
    () => !locked.value,
    () => {
      locked.value = true
    },
  )

const unlock = ({ name, locked }: Device) =>
  step("mutex_unlock", [name], () => {
    locked.value = false
  })

/** A device fault on every page, as Documentation/mm/hmm.rst has it. */
const mirror = Effect.fnUntraced(function* (world: World, device: Device) {
  for (;;) {
    yield* checkpoint("retry")
    const began = yield* step("mmu_interval_read_begin", () => ({
      seq: device.seq.value,
      invalidating: device.seq.value === world.seq.value,
    }))
    if (began.invalidating) {
      yield* guardedStep(
        "wait_event",
        () => world.seq.value !== began.seq,
        () => undefined,
      )
    }
    const frames: Array<number> = []
    for (const pte of world.pageTable) frames.push(yield* step("hmm_vma_handle_pte", () => pte.value))
    yield* lock(device)
    if (yield* step("mmu_interval_read_retry", () => device.seq.value !== began.seq)) {
      yield* unlock(device)
      continue
    }
    for (const [page, frame] of frames.entries()) {
      yield* step("device_map", [page], () => {
        at(device.pageTable, page).value = frame
      })
    }
    yield* unlock(device)
    return
  }
})

/** A CPU that unmaps one page after the other, and maps a page to a frame of its own before it unmaps it again. */
const invalidator = Effect.fnUntraced(function* (world: World, invalidations: number, callAll: Calls) {
  let nextFrame = world.pageTable.length + 1
  for (let round = 0; round < invalidations; round++) {
    yield* checkpoint("invalidate", round, nextFrame)
    const page = round % world.pageTable.length
    const pte = at(world.pageTable, page)
    const frame = nextFrame
    if (round > 0 && (yield* step("do_anonymous_page", [page], () => fill(pte, frame)))) nextFrame++
    yield* step("mn_itree_inv_start_range", () => {
      world.seq.value |= 1
    })
    yield* callAll(world, round, page, nextFrame)
    const old = yield* step("ptep_clear_flush", [page], () => {
      const before = pte.value
      pte.value = 0
      return before
    })
    yield* step("free_pages", [old], () => {
      at(world.freed, old).value = true
    })
    yield* step("mn_itree_inv_end", () => {
      world.seq.value++
    })
  }
})

const fill = (pte: Cell<number>, frame: number): boolean => {
  if (pte.value !== 0) return false
  pte.value = frame
  return true
}

/** `ops->invalidate` */
const invalidate = Effect.fnUntraced(function* ({ seq }: World, device: Device, page: number) {
  yield* lock(device)
  yield* step("mmu_interval_set_seq", [device.name], () => {
    device.seq.value = seq.value
  })
  yield* step("device_unmap", [device.name, page], () => {
    at(device.pageTable, page).value = 0
  })
  yield* unlock(device)
})

const inTheirOrder: Calls = Effect.fnUntraced(function* (world, _round, page) {
  for (const device of world.devices) yield* invalidate(world, device, page)
})

/** The record of those that are left is keyed by the names of fibers, so that exchanging devices exchanges its keys. */
const inAnyOrder: Calls = Effect.fnUntraced(function* (world, round, page, frame) {
  let left: { readonly [device: string]: true } = Object.fromEntries(world.devices.map(({ name }) => [name, true]))
  for (;;) {
    yield* checkpoint("call", round, frame, left)
    const names = Object.keys(left)
    if (names.length === 0) return
    const [only] = names
    const chosen = names.length === 1 ? only : yield* choose("device", names)
    for (const device of world.devices) if (device.name === chosen) yield* invalidate(world, device, page)
    left = Object.fromEntries(names.flatMap((name) => (name === chosen ? [] : [[name, true]])))
  }
})

/** No device maps a page that was freed. */
const useAfterFree: Invariant<World> = {
  kind: "invariant",
  id: "useAfterFree",
  statement: "No device maps a page that was freed.",
  source: "Linux MMU notifiers, LKML 2008; Documentation/mm/mmu_notifier.rst",
  holds: ({ devices, freed }) =>
    devices.every(({ pageTable }) => pageTable.every(({ value }) => value === 0 || !at(freed, value).value)),
}

const reducedScenario = (id: string, summary: string, callAll: Calls, interchangeable: boolean): Scenario<World> =>
  scenario({
    id: `benchmark/${id}`,
    summary,
    parameters: {
      devices: { description: "devices that mirror the process", default: 3, min: 1, max: 6 },
      pages: { description: "pages of the process", default: 2, min: 1, max: 4 },
      invalidations: { description: "pages unmapped one after the other", default: 2, min: 1, max: 6 },
    },
    setup: (bound) => reduced(bound, callAll, interchangeable),
    properties: [useAfterFree],
  })

/** Each invalidation calls the devices in their order. */
export const reducedNotifier = reducedScenario(
  "reduced-notifier",
  "devices fault while a CPU invalidates, calling them in their order",
  inTheirOrder,
  false,
)

/** Each invalidation calls the devices in any order: exchanging two of them changes nothing. */
export const reducedNotifierAnyOrder = reducedScenario(
  "reduced-notifier-any-order",
  "devices fault while a CPU invalidates, calling them in any order",
  inAnyOrder,
  true,
)
