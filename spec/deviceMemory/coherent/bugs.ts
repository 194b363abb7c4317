/** Seeded bugs of coherent memory, and of the questions of 2022. */
import * as Effect from "effect/Effect"
import { changeBody, changeResult, leaveOut, type Replacement, type SeededBug } from "../../../checker/index.ts"
import { isDeviceCoherent, isDevicePrivate, isZoneDevice, pgmapOf } from "../../../model/deviceMemory/pgmap.ts"
import { type Frame, folioOf, folioPut, frameOf, isLive, memcgCharge } from "../../../model/mm/folio.ts"
import { grab } from "../../../model/mm/gup.ts"
import { at } from "../../../model/mm/range.ts"
import { zoo } from "../../bugZoo.ts"
import { blindToPins, placeOf } from "../../mm/bugs/instead.ts"
import type { DeviceWorld } from "../world.ts"
import { forWriting, readOnly } from "./cost.ts"
import { coherentAndExclusive, cow, free, pinCoherent, pinExclusive, pinPrivate, privateAfterFork } from "./seed003.ts"

const synthetic = "synthetic, from the rules that the mail of 2022 states"

/** What fork announces is left out. */
const silentFork =
  (result: { readonly seq: number; readonly first: null } | false): Replacement =>
  (original, { args }) =>
    args[4] === "copy_page_range" ? Effect.succeed(result) : original

/** A migration entry that takes the place of one of a private page says that the page may be stored to. */
const writableFromWrongBit = (world: DeviceWorld): Replacement =>
  changeBody((operation) => {
    const result = operation.body()
    const { mm, va } = placeOf(world, operation)
    const entry = at(mm.pte, va)
    if (entry.value?.kind === "migration" && isDevicePrivate(world.folios, entry.value.page)) {
      entry.value = { ...entry.value, mode: "write" }
    }
    return result
  })

/** The page of copy-on-write comes from the memory that the old one is in. */
const copyInto = (world: DeviceWorld): Replacement =>
  changeBody((operation) => {
    const { folios } = world
    const result = operation.body()
    const { mm, va } = placeOf(world, operation)
    const old = at(mm.pte, va).value
    const pgmap = old?.kind === "present" ? pgmapOf(folios, old.page) : undefined
    const folio = folios.arena.allocate(({ index }) => pgmap !== undefined && folios.pgmaps.get(index) === pgmap)
    if (pgmap === undefined || folio === undefined || typeof result !== "object" || result === null) return result
    const copy = result as Frame // what the step returns
    pgmap.state.refs++
    folio.refcount = 1
    folio.content = folioOf(folios, copy).content
    memcgCharge(folios, folio, mm.name)
    folioPut(folios, copy)
    return frameOf(folio)
  })

/** A pin takes the page of an entry through which no CPU can reach it. */
const pinsThrough = (world: DeviceWorld, kind: "private" | "exclusive"): Replacement =>
  changeBody((operation) => {
    const { mm, va } = placeOf(world, operation)
    const entry = at(mm.pte, va).value
    if (entry?.kind !== kind) return operation.body()
    grab(folioOf(world.folios, entry.page), true)
    return { frame: entry.page, pinned: true }
  })

/** Pages of devices keep what was said of them when their last reference goes. */
const leavesTraces = ({ folios }: DeviceWorld): Replacement =>
  changeBody((operation) => {
    const traces = folios.arena.slots
      .filter((folio) => folio.live && isZoneDevice(folios, frameOf(folio)))
      .map((folio) => ({ folio, frame: frameOf(folio), anonExclusive: folio.anonExclusive, mapping: folio.mapping }))
    const result = operation.body()
    for (const { folio, frame, anonExclusive, mapping } of traces) {
      if (!isLive(folios, frame)) Object.assign(folio, { anonExclusive, mapping })
    }
    return result
  })

/** The step is taken as if all pages of devices were pinned. */
const asIfPinned = ({ folios, parent }: DeviceWorld): Replacement =>
  changeBody((operation) => {
    const pages = folios.arena.slots.filter((folio) => folio.live && isZoneDevice(folios, frameOf(folio)))
    for (const folio of pages) folio.pincount++
    const { hasPinned } = parent.state
    parent.state.hasPinned = true
    const result = operation.body()
    parent.state.hasPinned = hasPinned
    for (const folio of pages) folio.pincount--
    return result
  })

/** The GPU maps the page so. */
const mapsAs = (world: DeviceWorld, write: boolean): Replacement =>
  changeBody((operation) => {
    operation.body()
    const [name, va] = operation.args
    const entry = world.gpus.find((gpu) => gpu.name === name)?.pageTable[Number(va)]
    if (entry?.value != null) entry.value = { ...entry.value, write }
  })

export const coherentBugs: ReadonlyArray<SeededBug<DeviceWorld>> = [
  {
    id: "coherent-allows-longterm-pin",
    title: "a coherent page is pinned for good without being moved to system memory first",
    source: `coherentAllowsLongtermPin; ${synthetic}`,
    references: zoo("coherentAllowsLongtermPin"),
    scenario: pinCoherent.id,
    breaks: "GUP-LT-POLICY",
    at: () => ({ collect_longterm_unpinnable_folios: changeResult(() => "kept") }),
  },
  {
    id: "coherent-fork-no-secondary-wp",
    title: "fork takes the right to store to a coherent page from the CPUs, and the device keeps it",
    source: `coherentForkNoSecondaryWp; ${synthetic}`,
    references: zoo("coherentForkNoSecondaryWp"),
    scenario: cow.id,
    breaks: "COH-DEVICE-RO",
    at: () => ({
      mn_itree_inv_start_range: silentFork({ seq: 0, first: null }),
      mn_itree_inv_end: silentFork(false),
    }),
  },
  {
    id: "cow-copies-into-device-memory",
    title: "who stores to a shared coherent page gets a copy in the device's memory",
    source: synthetic,
    scenario: cow.id,
    breaks: "COW-ORPHAN-COHERENT",
    at: (world) => ({ "wp_page_copy: folio_prealloc": copyInto(world) }),
  },
  {
    id: "fork-leaves-exclusive",
    title: "fork passes over what a device has for itself",
    source: "mm/memory.c: copy_nonpresent_pte",
    scenario: coherentAndExclusive.id,
    breaks: "FORK-EXCL-GONE",
    at: (world) => ({
      copy_pte_range: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        return at(mm.pte, va).value?.kind === "exclusive" ? "copied" : operation.body()
      }),
    }),
  },
  {
    id: "device-page-freed-anonymous",
    title: "a page of a device's memory is given back to its driver and still says that it is anonymous",
    source: "mm/memremap.c: free_zone_device_folio",
    scenario: free.id,
    breaks: "DEV-CLEAN-FREE",
    at: (world) => ({
      free_pages_and_swap_cache: leavesTraces(world),
      "folio_unlock, folio_putback_lru": leavesTraces(world),
    }),
  },
  {
    id: "migration-ignores-pins-of-coherent",
    title: "a driver unmaps a coherent page that is pinned",
    source: "mm/migrate_device.c: migrate_vma_collect_pmd",
    scenario: pinCoherent.id,
    breaks: "COH-PIN-SHORT",
    at: (world) => ({ "migrate_vma_collect_pmd: set_pte_at": blindToPins(world) }),
  },
  {
    id: "gup-pins-private-page",
    title: "a pin takes a private page as it is",
    source: `GUP-PRIV-NEVER-PINNED; ${synthetic}`,
    scenario: pinPrivate.id,
    breaks: "GUP-PRIV-NEVER-PINNED",
    at: (world) => ({ follow_page_pte: pinsThrough(world, "private") }),
  },
  {
    id: "gup-pins-exclusive-page",
    title: "a pin takes a page that a device has for itself, and leaves it to the device",
    source: synthetic,
    scenario: pinExclusive.id,
    breaks: "GUP-EXCL-RESTORED",
    at: (world) => ({ follow_page_pte: pinsThrough(world, "exclusive") }),
  },
  {
    id: "special-entry-bit-aliasing",
    title: "a migration entry is made writable by a bit that in the entry of a private page means something else",
    source: "commit 43e7f189769c: mm/huge_memory: use correct flags for device private PMD entry; CVE-2026-53155",
    references: zoo(92),
    scenario: privateAfterFork.id,
    breaks: "COW-AE-SINGLE",
    at: (world) => ({
      "migrate_vma_collect_pmd: set_pte_at": writableFromWrongBit(world),
      "try_to_migrate_one: set_migration_pte": writableFromWrongBit(world),
    }),
  },
  {
    id: "read-faults-map-writable",
    title: "a driver that is to map for reading on a read fault maps what it gets",
    source: synthetic,
    scenario: readOnly.id,
    breaks: "COST-LOAD-STORE",
    at: (world) => ({ gpu_map: mapsAs(world, true) }),
  },
  {
    id: "write-faults-map-read-only",
    title: "a driver asks for a page to store to, and maps it for reading",
    source: synthetic,
    scenario: forWriting.id,
    breaks: "COST-STORE",
    at: (world) => ({ gpu_map: mapsAs(world, false) }),
  },
  {
    id: "cow-reuses-shared-coherent",
    title: "who stores to a coherent page takes it for his alone, though a child has it too",
    source: `COW-ORPHAN-COHERENT; ${synthetic}`,
    scenario: forWriting.id,
    breaks: "COST-LOAD",
    at: (world) => ({
      do_wp_page: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const entry = at(mm.pte, va)
        if (entry.value?.kind !== "present" || !isDeviceCoherent(world.folios, entry.value.page))
          return operation.body()
        entry.value = { ...entry.value, access: "write", dirty: true }
        return "done"
      }),
    }),
  },
  {
    id: "fork-copies-coherent",
    title: "fork gives the child a copy of a coherent page at once, as of one that is pinned",
    source: synthetic,
    scenario: readOnly.id,
    breaks: "COH-WHO-KEEPS",
    at: (world) => ({ copy_pte_range: asIfPinned(world) }),
  },
  {
    id: "external-dirty-dropped",
    title: "a device's stores do not make a page dirty, and the page is dropped",
    source: "synthetic, from the rules of LKML 2008",
    references: zoo("externalDirtyDropped"),
    scenario: "device/coherent/gpu+reclaim",
    breaks: "COW-NO-LEAK",
    at: ({ folios }) => ({
      gpu_map: changeBody((operation) => {
        const dirty = folios.arena.slots.map((folio) => folio.dirty)
        operation.body()
        for (const [pfn, folio] of folios.arena.slots.entries()) folio.dirty = dirty[pfn] ?? false
      }),
    }),
  },
  {
    id: "release-leaves-new-faults-open",
    title: "a device goes on faulting pages of a process whose end has begun",
    source: "synthetic, from the rules of LKML 2008",
    references: zoo("releaseLeavesNewFaultsOpen"),
    scenario: "device/coherent/gpu+call",
    breaks: "EXIT-NO-DPTE",
    at: (_, fiber) => (fiber.startsWith("gpu") ? { mmget_not_zero: leaveOut(true), mmput: leaveOut() } : {}),
  },
]
