/** Seeded bugs of what device memory promises to come about. */
import * as Effect from "effect/Effect"
import {
  changeBody,
  changeGuard,
  changeResult,
  checkpoint,
  leaveOut,
  type Replacements,
  type SeededBug,
  step,
} from "../../../checker/index.ts"
import { isZoneDevice } from "../../../model/deviceMemory/pgmap.ts"
import { gpuEvict } from "../../../model/driver/gpuEvict.ts"
import { type Frame, folioOf, folioPut, folioTrylock, frameOf } from "../../../model/mm/folio.ts"
import { rmappedPage } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { mmOf } from "../../../model/mm/rmap.ts"
import { zoo } from "../../bugZoo.ts"
import { close, exclusive, longterm, pinned, unbind, waiters } from "./migrations.ts"
import { takeFromEachOther } from "./pingPong.ts"
import { drain, faults } from "./scenarios.ts"
import { firstGpu, type LiveWorld } from "./world.ts"

/** The page of device memory that an entry is of. Within a step. */
const privatePage = ({ system }: LiveWorld, [mm, va]: ReadonlyArray<unknown>): Frame | null => {
  const pte = at(mmOf(system, String(mm)).pte, Number(va)).value
  return pte?.kind === "private" ? rmappedPage(pte) : null
}

/** The page in a frame, whatever its life. Within a step. */
const pageIn = ({ folios }: LiveWorld, pfn: unknown): Frame => {
  const folio = folios.arena.slots[Number(pfn)]
  if (folio === undefined) throw new RangeError(`there is no page ${pfn}`)
  return frameOf(folio)
}

/**
 * The fault takes a reference and no lock, and the migration locks the page itself: every lock of a device's page is that of
 * the fiber that migrates it.
 */
const referenceWithoutLock = (world: LiveWorld, fiber: string): Replacements => {
  const { folios } = world
  return {
    "do_swap_page: trylock_page": changeBody(({ args }) => {
      const page = privatePage(world, args)
      if (page === null) return "done"
      folioOf(folios, page).refcount++
      return "migrate"
    }),
    "migrate_vma_collect_pmd: ptep_get_and_clear": changeBody(({ args, body }) => {
      const page = privatePage(world, args)
      return page !== null && !folioTrylock(folios, page) ? "skip" : body()
    }),
    "folio_unlock, folio_putback_lru": changeBody(({ args, body }) => {
      const folio = folioOf(folios, pageIn(world, args[0]))
      if (folio.lock === fiber) folio.lock = ""
      body()
    }),
    "do_swap_page: unlock_page, put_page": changeBody(({ args }) => folioPut(folios, pageIn(world, args[0]))),
  }
}

/** Who waits for the page's lock keeps the page from being freed, by a reference, which is dropped when it wakes. */
const waiterHoldsReference = (world: LiveWorld): Replacements => {
  const { folios } = world
  let waitsFor: Frame | null = null
  return {
    "do_swap_page: trylock_page": (original, operation) =>
      operation.kind !== "step"
        ? original
        : Effect.map(
            changeBody(({ args, body }) => {
              const page = privatePage(world, args)
              const result = body()
              if (result !== "locked" || page === null) return { result, page: null }
              folioOf(folios, page).refcount++
              return { result, page }
            })(original, operation),
            (told) => {
              const { result, page } = told as { readonly result: string; readonly page: Frame | null } // as above
              waitsFor = page
              return result
            },
          ),
    softleaf_entry_wait_on_locked: (original) =>
      Effect.tap(original, () =>
        Effect.suspend(() => {
          const page = waitsFor
          waitsFor = null
          return page === null
            ? Effect.void
            : step("softleaf_entry_wait_on_locked: put_page", [page.pfn], () => folioPut(folios, page))
        }),
      ),
  }
}

/** Passes of an eviction until one has nothing left to do. */
const evictUntilEmpty = Effect.fnUntraced(function* (world: LiveWorld) {
  const { memory } = firstGpu(world)
  for (;;) {
    yield* checkpoint("evict until empty")
    if (yield* step("nouveau_dmem_fini: callocated", [memory.name], () => memory.state.refs === 0)) return
    yield* gpuEvict(world.system, memory)
  }
})

/** The driver closes without a look at the pages in its memory, nor at the faults that are under way. */
const closesAlone = (_: LiveWorld, fiber: string): Replacements =>
  fiber !== "close"
    ? {}
    : {
        "migrate_device_pfn_lock: folio_get_nontail_page": leaveOut(null),
        "dmirror_fops_release: wait for faults": leaveOut(),
      }

export const liveBugs: ReadonlyArray<SeededBug<LiveWorld>> = [
  {
    id: "exclusive-ping-pong-unbounded",
    title:
      "a driver that never gives up: a GPU and a thread take a page from each other for ever, and none comes to its access",
    source: "L-PINGPONG; drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_svm_fault_cancel",
    scenario: takeFromEachOther.id,
    bound: { gpus: 1, cpus: 1 },
    breaks: "L-PINGPONG",
    at: () => ({ nouveau_svm_fault_cancel: changeResult(() => false) }),
  },
  {
    id: "device-fault-refs-block-migration",
    title:
      "faults on a private page take a reference each and then migrate it: each finds the others' references, and all begin again",
    source: "commit 1afaeb8293c9 (mm/migrate: Trylock device page in do_swap_page)",
    references: zoo(55),
    scenario: faults.id,
    bound: { cpus: 2, drivers: 0 },
    breaks: "L-FAULT-PRIV",
    at: referenceWithoutLock,
  },
  {
    id: "range-fault-spins-on-locked-page",
    title:
      "a fault that finds the page locked returns at once: without preemption the work item that the lock's holder waits for never runs",
    source: "commit b570f37a2ce4 (mm: Fix a hmm_range_fault() livelock / starvation problem)",
    references: zoo(56),
    scenario: drain.id,
    breaks: "L-FAULT-PRIV",
    at: () => ({
      "do_swap_page: trylock_page": changeBody(({ body }) => {
        const result = body()
        return result === "locked" ? "done" : result
      }),
    }),
  },
  {
    id: "drain-does-not-wait",
    title: "a migration has work items queued that put pages on their lists, and goes on before they have run",
    source: "mm/swap.c: __lru_add_drain_all, flush_work; by inference",
    scenario: drain.id,
    breaks: "LRU-DRAINED",
    at: () => ({ "lru_add_drain_all: flush_work": leaveOut() }),
  },
  {
    id: "private-fault-waits-with-reference",
    title: "who waits for the lock of a private page holds a reference meanwhile, and no migration ever succeeds",
    source: "mm/filemap.c: softleaf_entry_wait_on_locked",
    scenario: faults.id,
    bound: { cpus: 2, drivers: 0 },
    breaks: "L-FAULT-PRIV",
    at: waiterHoldsReference,
  },
  {
    id: "private-fault-puts-before-unlock",
    title: "a fault drops its reference to the page before it unlocks it: the page was moved and is free",
    source: "mm/memory.c: do_swap_page",
    scenario: faults.id,
    bound: { cpus: 1, drivers: 0 },
    breaks: "assertion",
    at: (world) => ({
      "do_swap_page: unlock_page, put_page": (_, { args }) =>
        Effect.gen(function* () {
          const page = yield* step("do_swap_page: put_page", [...args], () => {
            const frame = pageIn(world, args[0])
            folioPut(world.folios, frame)
            return frame
          })
          yield* step("do_swap_page: unlock_page", [...args], () => {
            folioOf(world.folios, page).lock = ""
          })
        }),
    }),
  },
  {
    id: "migration-leaves-source-locked",
    title: "a page that could not be migrated is mapped again and stays locked: who waits for it waits for ever",
    source: "mm/migrate_device.c: migrate_vma_finalize, migrate_device_unmap",
    scenario: waiters.id,
    breaks: "L-FAULT-MIGR",
    at: (world) => ({
      "folio_unlock, folio_putback_lru": changeBody(({ args, body }) => {
        const page = pageIn(world, args[0])
        const { lock, mapcount } = folioOf(world.folios, page)
        body()
        if (mapcount > 0 && !isZoneDevice(world.folios, page)) folioOf(world.folios, page).lock = lock
      }),
    }),
  },
  {
    id: "migration-waits-for-pins",
    title: "a migration that finds its page pinned waits until it is not, instead of leaving it where it is",
    source: "mm/migrate_device.c: migrate_vma_collect_pmd",
    scenario: pinned.id,
    bound: { cpus: 0 },
    breaks: "L-MIGRATE-PINNED",
    at: ({ folios }) => ({
      "migrate_vma_collect_pmd: set_pte_at": changeGuard(() =>
        folios.arena.slots.every(({ pincount }) => pincount === 0),
      ),
    }),
  },
  {
    id: "longterm-pin-of-page-never-on-lru",
    title: "a page that may not be pinned for good and is on no LRU list is looked for again and again",
    source: "commit 1aaf8c122918 (mm: gup: fix infinite loop within __get_longterm_locked), since reverted",
    references: zoo(70),
    scenario: longterm.id,
    bound: { migrations: 0, cpus: 0 },
    breaks: "L-LONGTERM",
    at: ({ folios }) => ({
      collect_longterm_unpinnable_folios: changeBody(({ args }) =>
        folios.movable.has(Number(args[0])) ? "busy" : "kept",
      ),
    }),
  },
  {
    id: "unbind-races-migration",
    title:
      "a driver gets its pages back while a migration to its memory is under way: that one's page is locked and passed over",
    source: "as published: lib/test_hmm.c: dmirror_device_remove_chunks, dmirror_migrate_to_device",
    scenario: unbind.id,
    bound: { cpus: 0, migrations: 1 },
    breaks: "L-EVICT",
    at: (_, fiber) => (fiber === "rmmod" ? { mutex_lock: leaveOut(), mutex_unlock: leaveOut() } : {}),
  },
  {
    id: "unbind-evicts-until-empty",
    title:
      "a driver tries again and again to get its pages back: the reference that it takes before it finds a page locked makes the migration fail for which that is locked",
    source: "mm/migrate_device.c: migrate_device_pfn_lock",
    scenario: unbind.id,
    bound: { cpus: 1, migrations: 0 },
    breaks: "L-EVICT",
    at: (world, fiber) =>
      fiber !== "rmmod"
        ? {}
        : {
            "memunmap_pages: wait_for_completion": (original) => Effect.andThen(evictUntilEmpty(world), original),
          },
  },
  {
    id: "unbind-does-not-wait",
    title: "a driver takes its memory away when it has been through its pages, whether or not they are all back",
    source: "mm/memremap.c: memunmap_pages, wait_for_completion(&pgmap->done); by inference",
    scenario: unbind.id,
    bound: { cpus: 1, migrations: 0 },
    breaks: "DEV-GONE-UNUSED",
    at: () => ({ "memunmap_pages: wait_for_completion": changeGuard() }),
  },
  {
    id: "driver-close-leaves-device-pages",
    title: "a device is closed and what its driver has for the process freed, with pages still in its memory",
    source: "commit 744dd97752ef (lib: test_hmm: evict device pages on file close to avoid use-after-free)",
    references: zoo(98),
    scenario: close.id,
    breaks: "DEV-PROVIDER",
    at: closesAlone,
  },
  {
    id: "fault-follows-closed-driver",
    title: "the same, until a thread touches such a page: the handler of its fault follows a pointer to what was freed",
    source: "commit 744dd97752ef (lib: test_hmm: evict device pages on file close to avoid use-after-free)",
    references: zoo(98),
    scenario: close.id,
    breaks: "assertion",
    at: closesAlone,
  },
  {
    id: "driver-close-passes-over-faults",
    title:
      "a device is closed when its pages have been evicted, but for one whose fault is under way: it was locked, and its handler uses what is freed",
    source: "as published: lib/test_hmm.c: dmirror_fops_release behind commit 744dd97752ef, dmirror_device_evict_chunk",
    scenario: close.id,
    breaks: "assertion",
    at: (_, fiber) => (fiber === "close" ? { "dmirror_fops_release: wait for faults": leaveOut() } : {}),
  },
  {
    id: "exclusive-page-unlocked-early",
    title: "make_device_exclusive returns the page unlocked: a thread takes it back before the device is programmed",
    source: "mm/rmap.c: make_device_exclusive",
    scenario: exclusive.id,
    breaks: "L-EXCL-DEVICE",
    at: (world, fiber) =>
      fiber !== "gpu"
        ? {}
        : {
            "make_device_exclusive: set_pte_at": changeBody(({ args, body }) => {
              body()
              const page = rmappedPage(at(mmOf(world.system, String(args[0])).pte, Number(args[1])).value)
              if (page !== null) folioOf(world.folios, page).lock = ""
            }),
            "folio_unlock, folio_put": changeBody(({ args }) => folioPut(world.folios, pageIn(world, args[0]))),
          },
  },
  {
    id: "exclusive-page-stays-locked",
    title: "a driver programs its device and forgets to unlock the page: nobody ever takes it back",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_atomic_range_fault",
    scenario: exclusive.id,
    breaks: "L-EXCL-CPU",
    at: (world, fiber) =>
      fiber !== "gpu"
        ? {}
        : { "folio_unlock, folio_put": changeBody(({ args }) => folioPut(world.folios, pageIn(world, args[0]))) },
  },
]
