/**
 * The record of invalidations, faults and lives: what properties need to remember and the protocol does not. Recorded
 * from outside, in cells of its own, in the same instant as the step that it is about.
 */
import { type Monitor, type Plain, type Struct, struct } from "../../../checker/index.ts"
import type { HmmMirrorDevice } from "../../../model/driver/hmmMirror.ts"
import { overlaps, type Range } from "../../../model/mm/range.ts"
import type { Parts } from "./world.ts"

/** What a fiber is at. */
export type Walk = {
  /** The range of which a `struct hmm` was told and whose end it was not told, by name; empty when there is none. */
  told: string
  start: number
  end: number
  /** The devices that have dropped it. */
  synced: ReadonlyArray<string>
  /** Whether start has returned -EAGAIN, and the fiber has started nothing since. */
  refused: boolean
  /** The listed notifier whose callback is running, and which callback that is. */
  current: string
  callback: string
  /** How often it holds `mmap_lock` for reading. */
  mmapLocks: number
}

/** What a device has come to. */
export type Life = {
  /** Whether it has looked at the page table, and whether that was inside an invalidation or one has begun since. */
  looked: boolean
  stale: boolean
  /** Whether its mirror was freed. */
  freed: boolean
}

/** What has gone wrong so far. */
export type Slips = {
  installed: boolean
  staleValid: boolean
  usedFreedMirror: boolean
  freedTwice: boolean
  releasedWithRanges: boolean
  /** What a lock is for was changed without it. */
  unlocked: boolean
}

export interface Hmm2019Record {
  readonly walks: ReadonlyMap<string, Struct<Walk>>
  readonly lives: ReadonlyMap<string, Struct<Life>>
  /** The `struct hmm` whose last reference has gone. */
  readonly going: Struct<{ names: ReadonlyArray<string> }>
  readonly slips: Struct<Slips>
  readonly monitor: Monitor
}

const nobody: ReadonlyArray<string> = []

const idle: Walk = {
  told: "",
  start: 0,
  end: 0,
  synced: nobody,
  refused: false,
  current: "",
  callback: "",
  mmapLocks: 0,
}

const none: Slips = {
  installed: false,
  staleValid: false,
  usedFreedMirror: false,
  freedTwice: false,
  releasedWithRanges: false,
  unlocked: false,
}

/** Makes the record. */
export const record = ({ hmm, devices }: Parts, fibers: ReadonlyArray<string>): Hmm2019Record => {
  const walks = new Map(fibers.map((name) => [name, struct(`walk.${name}`, idle)]))
  const lives = new Map(
    devices.map(({ name }) => [name, struct(`life.${name}`, { looked: false, stale: false, freed: false })]),
  )
  const going = struct("going", { names: nobody })
  const slips = struct("slips", none)

  const walking = (write: (walk: Struct<Walk>, args: ReadonlyArray<Plain>, result: Plain, fiber: string) => void) =>
    watching((fiber, args, result) => {
      const walk = walks.get(fiber)
      if (walk !== undefined) write(walk, args, result, fiber)
    })
  /** In the device's own fiber. */
  const faulting = (write: (life: Struct<Life>, device: HmmMirrorDevice, result: Plain) => void) =>
    watching((fiber, _args, result) => {
      const device = devices.find(({ name }) => name === fiber)
      const life = lives.get(fiber)
      if (device !== undefined && life !== undefined) write(life, device, result)
    })
  /** The lock goes under which it invalidates: nobody is told of the end if the struct hmm has gone meanwhile. */
  const leaves = (walk: Struct<Walk>) => {
    walk.told = ""
    walk.synced = nobody
  }
  const inWindow = (range: Range) => [...walks.values()].some((walk) => walk.told !== "" && overlaps(walk, range))
  const locks = (change: number) =>
    walking((walk, _args, result) => {
      if (result !== false) walk.mmapLocks += change
      if (change < 0) leaves(walk)
    })
  /** A step that touches the driver's state of a device, which is the first argument or has that with `.update` behind. */
  const touches = (more: (walk: Struct<Walk>, device: string, fiber: string) => void = () => undefined) =>
    walking((walk, [first], _result, fiber) => {
      const device = String(first).replace(/\.update$/, "")
      if (device !== fiber && lives.get(device)?.freed === true) slips.usedFreedMirror = true
      more(walk, device, fiber)
    })

  const changesTable = (fiber: string, device: Plain | undefined) => {
    if (devices.some(({ name, update }) => name === device && update.state.holder !== fiber)) slips.unlocked = true
  }
  const changesList = watching((fiber, [struct]) => {
    if (hmm.structs.some(({ name, mirrorsSem }) => name === struct && mirrorsSem.state.writer !== fiber))
      slips.unlocked = true
  })

  const monitor: Monitor = {
    hlist_for_each_entry_srcu: walking((walk, [callback], result) => {
      walk.current = result === null ? "" : String(result)
      walk.callback = result === null ? "" : String(callback)
    }),
    hmm_invalidate_range_start: walking((walk, [hmm, start, end]) => {
      walk.told = String(hmm)
      walk.start = Number(start)
      walk.end = Number(end)
      walk.synced = nobody
      walk.refused = false
      for (const { name, range } of devices) {
        const life = lives.get(name)
        if (life?.looked && overlaps(walk, range)) life.stale = true
      }
    }),
    notifiers_decrement: walking(leaves),
    i_mmap_unlock_read: walking(leaves),
    anon_vma_unlock_read: walking(leaves),
    "__oom_reap_task_mm: -EAGAIN": walking((walk) => {
      walk.refused = true
    }),
    mmap_read_trylock: locks(1),
    mmap_read_lock: locks(1),
    mmap_read_unlock: locks(-1),
    mutex_lock: touches(),
    mutex_trylock: touches(),
    mutex_unlock: touches(),
    hmm_mirror_register: changesList,
    "list_del(mirror)": changesList,
    device_unmap: touches((walk, device, fiber) => {
      changesTable(fiber, device)
      if (walk.told !== "") walk.synced = [...walk.synced, device].sort()
    }),
    device_map: watching((fiber, [device, va]) => {
      changesTable(fiber, device)
      const page = { start: Number(va), end: Number(va) + 1 }
      const inside = [...walks.values()].some((walk) => walk.synced.includes(String(device)) && overlaps(walk, page))
      if (inside) slips.installed = true
    }),
    hmm_range_wait_until_valid: faulting((life) => {
      life.looked = false
      life.stale = false
    }),
    hmm_vma_handle_pte: faulting((life, { range }) => {
      life.looked = true
      if (inWindow(range)) life.stale = true
    }),
    hmm_range_valid: faulting((life, _device, result) => {
      if (result === true && life.stale) slips.staleValid = true
    }),
    hmm_range_unregister: faulting((life) => {
      life.looked = false
      life.stale = false
    }),
    "kfree(mirror)": faulting((life) => {
      life.freed = true
    }),
    hmm_free: watching((_fiber, [hmm]) => {
      if (going.names.includes(String(hmm))) slips.freedTwice = true
      else going.names = [...going.names, String(hmm)].sort()
    }),
    hmm_release: watching((_fiber, _args, result) => {
      if (result !== 0) slips.releasedWithRanges = true
    }),
  }
  return { walks, lives, going, slips, monitor }
}

const watching =
  (write: (fiber: string, args: ReadonlyArray<Plain>, result: Plain) => void): Monitor[string] =>
  ({ fiber, args, result }) =>
    write(fiber, args, result)
