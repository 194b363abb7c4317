/** The invariants of the HMM of 2019, as executable specs. */
import { lockOrder, type Property } from "../../../checker/index.ts"
import type { Hmm } from "../../../model/hmm/mirror2019.ts"
import { fateOf, isLive } from "../../../model/mm/folio.ts"
import { at } from "../../../model/mm/range.ts"
import { isInside } from "../../../model/sync/gracePeriod.ts"
import type { Hmm2019World } from "./world.ts"

type Spec = Property<Hmm2019World>

const walksOf = ({ record }: Hmm2019World) => [...record.walks.values()]
const livesOf = ({ record }: Hmm2019World) => [...record.lives.values()]

/** What the devices map. */
const mappings = ({ devices }: Hmm2019World) =>
  devices.flatMap(({ name, pageTable }) =>
    pageTable.flatMap(({ value: page }, va) => (page === null ? [] : [{ name, va, page }])),
  )

const dangling = (world: Hmm2019World) => mappings(world).filter(({ page }) => !isLive(world.mm.folios, page))

/** Mappings that the page table does not have, of which no invalidation is under way that has yet to drop them. */
const disagreements = (world: Hmm2019World) =>
  mappings(world).filter(({ name, va, page }) => {
    const pte = at(world.mm.pte, va).value
    if (pte !== null && pte.pfn === page.pfn && pte.generation === page.generation) return false
    return !walksOf(world).some(
      ({ told, synced, start, end }) => told !== "" && !synced.includes(name) && start <= va && va < end,
    )
  })

const inWords =
  (wrong: typeof mappings) =>
  (world: Hmm2019World): string =>
    wrong(world)
      .map(({ name, va, page }) => `${name} maps address ${va} to ${fateOf(world.mm.folios, page)}.`)
      .join(" ")

/** The `struct hmm` whose notifier's callback a fiber is in, although it was freed. */
const callbacksOfFreed = (world: Hmm2019World) =>
  walksOf(world).filter(({ current }) =>
    world.hmm.structs.some(({ name, state }) => name === current && state.life === "freed"),
  )

const isReferred = ({ state }: Hmm): boolean => state.life === "allocated" && state.kref > 0

/** What the devices map. */
const mirrorProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "MIRROR-NO-UAF",
    statement: "No device maps a page that was freed.",
    source: "Linux MMU notifiers, LKML 2008; Documentation/vm/hmm.rst of Linux 5.3",
    premise: (world) => mappings(world).length > 0,
    holds: (world) => dangling(world).length === 0,
    explain: inWords(dangling),
  },
  {
    kind: "invariant",
    id: "MIRROR-AGREE",
    statement:
      "A device maps what the process's page table maps, unless an invalidation has started there that it has yet to hear of.",
    source: "Documentation/vm/hmm.rst of Linux 5.3; include/linux/mmu_notifier.h",
    premise: (world) => mappings(world).length > 0,
    holds: (world) => disagreements(world).length === 0,
    explain: inWords(disagreements),
  },
  {
    kind: "invariant",
    id: "MIRROR-NO-INSTALL-IN-WINDOW",
    statement: "A device maps nothing in a range between the start of its invalidation, once it was told, and the end.",
    source: "Linux MMU notifiers, LKML 2008; include/linux/mmu_notifier.h",
    premise: (world) => walksOf(world).some(({ synced }) => synced.length > 0),
    holds: ({ record }) => !record.slips.installed,
  },
  {
    kind: "invariant",
    id: "DMA-2019-VALID",
    statement:
      "When a device is told that a range is valid, no invalidation of it was under way when it looked at the page table, nor has one begun since.",
    source:
      'include/linux/hmm.h of Linux 5.3: struct hmm_range, valid: "pfns array did not change since it has been fill by an HMM function"; 04ec32fbc2b2',
    premise: (world) => livesOf(world).some(({ stale }) => stale),
    holds: ({ record }) => !record.slips.staleValid,
  },
  {
    kind: "invariant",
    id: "HMM-LOCK",
    statement:
      "Who faults on a range has mmap_lock once or not at all: it is neither kept when an error says that it was dropped, nor dropped twice.",
    source: "2bcbeaefde2f: mm/hmm: always return EBUSY for invalid ranges in hmm_range_{fault,snapshot}",
    premise: (world) => walksOf(world).some(({ mmapLocks }) => mmapLocks > 0),
    holds: (world) => walksOf(world).every(({ mmapLocks }) => mmapLocks === 0 || mmapLocks === 1),
    explain: ({ record }) =>
      [...record.walks]
        .filter(([, { mmapLocks }]) => mmapLocks !== 0 && mmapLocks !== 1)
        .map(([fiber, { mmapLocks }]) => `${fiber} holds mmap_lock ${mmapLocks} times.`)
        .join(" "),
  },
]

/** Starts and ends. */
const rangeProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "HMM-COUNT",
    statement:
      "A struct hmm whose notifier is on the list counts the invalidations that it was told of and whose end it was not.",
    source: "mm/hmm.c of Linux 5.3: hmm_invalidate_range_start, notifiers_decrement",
    premise: (world) =>
      walksOf(world).some(({ told }) => told !== "") || world.hmm.structs.some(({ state }) => state.notifiers !== 0),
    holds: (world) =>
      world.hmm.structs.every(
        ({ name, notifier, state }) =>
          state.kref === 0 ||
          !notifier.state.hashed ||
          state.notifiers === walksOf(world).filter(({ told }) => told === name).length,
      ),
    explain: (world) =>
      world.hmm.structs
        .map(
          ({ name, state }) =>
            `${name} counts ${state.notifiers} invalidations; it was told of ${walksOf(world).filter(({ told }) => told === name).length} whose end it was not told.`,
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-FAIL-RESTORES",
    statement: "A start that was refused is not counted: its end will not be announced.",
    source: "5a136b4ae327: mm/hmm: Fix error flows in hmm_invalidate_range_start",
    premise: (world) => walksOf(world).some(({ refused }) => refused),
    holds: (world) => walksOf(world).every(({ refused, told }) => !refused || told === ""),
    explain: (world) =>
      world.hmm.structs.map(({ name, state }) => `${name} still counts ${state.notifiers} invalidations.`).join(" "),
  },
]

/** Mirrors and the `struct hmm` that come and go. */
const lifeProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "NOTIFIER-FREE-AFTER-GRACE",
    statement: "A struct hmm is freed when everybody who could have found its notifier on the list has left.",
    source: "6d7c3cde93c1: mm/hmm: fix use after free with struct hmm in the mmu notifiers",
    premise: ({ hmm }) => hmm.structs.some(({ state }) => state.life === "freed"),
    holds: (world) => callbacksOfFreed(world).length === 0,
    explain: (world) =>
      callbacksOfFreed(world)
        .map(({ current, callback }) => `${callback} of ${current}, which was freed, is running.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-CB-CONTEXT",
    statement: "A callback of a notifier on the list runs inside an SRCU section.",
    source: "mm/mmu_notifier.c: the walkers of the list",
    premise: (world) => walksOf(world).some(({ current }) => current !== ""),
    holds: ({ mm, record }) =>
      [...record.walks].every(([fiber, { current }]) => current === "" || isInside(mm.subs.srcu, fiber)),
  },
  {
    kind: "invariant",
    id: "HMM-FREE-ONCE",
    statement: "The last reference to a struct hmm goes once, and nobody gets one after that.",
    source: "6d7c3cde93c1: mm/hmm: fix use after free with struct hmm in the mmu notifiers: kref_get_unless_zero",
    premise: ({ record }) => record.going.names.length > 0,
    holds: ({ hmm, record }) =>
      !record.slips.freedTwice &&
      hmm.structs.every(
        ({ name, state }) => state.kref >= 0 && (state.kref === 0 || !record.going.names.includes(name)),
      ),
    explain: ({ hmm }) => hmm.structs.map(({ name, state }) => `${name} has ${state.kref} references.`).join(" "),
  },
  {
    kind: "invariant",
    id: "HMM-POINTER",
    statement: "The address space points to no struct hmm that was freed.",
    source: "mm/hmm.c of Linux 5.3: hmm_free, hmm_get_or_create",
    premise: ({ hmm }) => hmm.structs.some(({ state }) => state.life === "freed"),
    holds: ({ hmm }) => hmm.structs.every(({ name, state }) => state.life !== "freed" || hmm.pointer.hmm !== name),
  },
  {
    kind: "invariant",
    id: "HMM-ONE",
    statement:
      "An address space has one struct hmm at a time that anybody refers to, and points to it: who registers a mirror joins that.",
    source:
      "8a9320b7ec5d: mm/hmm: Simplify hmm_get_or_create and make it reliable: under the write side of the mmap_sem",
    premise: ({ hmm }) => hmm.structs.some(isReferred),
    holds: ({ hmm }) =>
      hmm.structs.filter(isReferred).length <= 1 &&
      hmm.structs.every(({ name, state }) => state.mirrors.length === 0 || hmm.pointer.hmm === name),
    explain: ({ hmm }) => {
      const used = hmm.structs.filter(isReferred).map(({ name }) => name)
      return `${used.join(", ")}: in use; the address space points to ${hmm.pointer.hmm || "none"}.`
    },
  },
  {
    kind: "atEnd",
    id: "HMM-FREED",
    statement:
      "When everything has ended, what nobody refers to any more has been freed: each struct hmm, with what it held of the address space, and each mirror that was unregistered.",
    source: "mm/hmm.c of Linux 5.3: hmm_free_rcu: mmdrop, kfree; hmm_mirror_unregister",
    holds: ({ mm, hmm, devices, record }) => {
      const kept = hmm.structs.filter(({ state }) => state.life === "allocated")
      // A reference of its own, and one of its notifier.
      const held = (mm.state.users > 0 ? 1 : 0) + 2 * kept.length
      const isListed = (name: string) => kept.some(({ state }) => state.mirrors.includes(name))
      return (
        kept.every(isReferred) &&
        mm.state.count === held &&
        devices.every(({ name, mirror }) => mirror.state.hmm === "" || isListed(name) || record.lives.get(name)?.freed)
      )
    },
  },
  {
    kind: "invariant",
    id: "NOTIFIER-MMCOUNT",
    statement: "The address space outlives every struct hmm of it.",
    source: "mm/hmm.c of Linux 5.3: hmm_get_or_create: mmgrab, hmm_free_rcu: mmdrop",
    premise: ({ hmm }) => hmm.structs.some(({ state }) => state.life === "allocated"),
    holds: ({ mm, hmm }) => mm.state.count > 0 || hmm.structs.every(({ state }) => state.life !== "allocated"),
  },
  {
    kind: "invariant",
    id: "HMM-NO-CB-AFTER-UNREGISTER",
    statement: "When a mirror has been unregistered no callback of it is running or will.",
    source: "mm/hmm.c of Linux 5.3: hmm_mirror_unregister, mirrors_sem",
    premise: (world) => livesOf(world).some(({ freed }) => freed),
    holds: ({ record }) => !record.slips.usedFreedMirror,
  },
  {
    kind: "invariant",
    id: "HMM-LOCKED",
    statement:
      "A device's page table is changed by who holds its driver's lock, and the list of mirrors by who holds mirrors_sem for writing.",
    source: "Documentation/vm/hmm.rst of Linux 5.3: driver->update; mm/hmm.c of Linux 5.3: hmm_mirror_unregister",
    premise: (world) => world.record.slips.unlocked || mappings(world).length > 0 || world.hmm.structs.some(isReferred),
    holds: ({ record }) => !record.slips.unlocked,
  },
  {
    kind: "invariant",
    id: "HMM-RELEASE-NO-RANGES",
    statement: "While a range is registered the process does not exit.",
    source: "mm/hmm.c of Linux 5.3: hmm_release, WARN_ON(!list_empty_careful(&hmm->ranges))",
    premise: ({ mm, record }) => mm.state.users === 0 || record.slips.releasedWithRanges,
    holds: ({ record }) => !record.slips.releasedWithRanges,
  },
  {
    kind: "invariant",
    id: "NOTIFIER-RELEASE-BEFORE-FREE",
    statement: "When exit frees the first page no device maps any.",
    source: "mm/mmap.c: exit_mmap; mm/hmm.c of Linux 5.3: hmm_release",
    premise: ({ mm }) => mm.state.exiting,
    holds: (world) => !world.mm.state.exiting || mappings(world).length === 0,
    explain: inWords(mappings),
  },
]

/** A driver's locks, one for each device, are of one class. */
const lockProperties: ReadonlyArray<Spec> = [
  lockOrder([], "kernel/locking/lockdep.c: check_deadlock", "HMM-ONE-LOCK", ["driver_lock"]),
]

export const hmm2019Properties: ReadonlyArray<Spec> = [
  ...mirrorProperties,
  ...rangeProperties,
  ...lifeProperties,
  ...lockProperties,
]

/** What comes about in the end. Deciding it takes the graph of all states, so small scenarios ask for it. */
export const faultsEnd: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "L-RETRY",
    statement: "As there are finitely many invalidations, every device comes to the end of its fault.",
    source: "Documentation/vm/hmm.rst of Linux 5.3",
    to: ({ devices }, fibers) => devices.every(({ name }) => fibers.ended(name)),
  },
]
