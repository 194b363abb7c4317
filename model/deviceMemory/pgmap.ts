/**
 * Device memory with struct pages (mm/memremap.c, include/linux/memremap.h: ZONE_DEVICE). The pages are never on the LRU or
 * in the system's allocator: their driver gives them out, and gets each back when its last reference is dropped.
 */
import type * as Effect from "effect/Effect"
import { guardedStep, type Struct, self, step, struct } from "../../checker/program/index.ts"
import type { FaultResult } from "../mm/fault.ts"
import { type Folios, type Frame, folioTrylock, frameOf } from "../mm/folio.ts"
import { folioAllocLarge } from "../mm/largeFolio.ts"
import type { Mm } from "../mm/mm.ts"

/** MEMORY_DEVICE_PRIVATE: no CPU can reach it; MEMORY_DEVICE_COHERENT: it can, as it does system memory. */
export type MemoryType = "private" | "coherent"

/**
 * `enum memory_type`: those, and MEMORY_DEVICE_FS_DAX, whose pages are the blocks of a file system. (Of
 * MEMORY_DEVICE_PCI_P2PDMA no process maps a page here: it is a matter of DMA mapping, `DmaDevice.p2pdma`.)
 */
export type PagemapType = MemoryType | "fsdax"

/** What differs by kind. */
interface Kind {
  /**
   * Who gets a page that nobody refers to (free_zone_device_folio): the driver, which may give it out anew, or nobody, as it
   * is a block that stays one.
   */
  readonly back: "to the driver" | "stays"
  /** `folio_is_longterm_pinnable`. Of private memory no CPU has a page to pin. */
  readonly pinnableForGood: boolean
}

const kinds: { readonly [type in PagemapType]: Kind } = {
  private: { back: "to the driver", pinnableForGood: true },
  // Its driver must be able to have it back.
  coherent: { back: "to the driver", pinnableForGood: false },
  // The file system could never free the block.
  fsdax: { back: "stays", pinnableForGood: false },
}

/** Whether a page that nobody refers to any more is free; else it is idle, and its file system frees it. */
export const isFreedWhenIdle = (all: Folios, pfn: number): boolean => {
  const type = all.pgmaps.get(pfn)?.type
  return type === undefined || kinds[type].back === "to the driver"
}

/** Memory of a device, as a system is made with it. */
export interface DeviceMemory<Type extends PagemapType = MemoryType> {
  readonly name: string
  readonly type: Type
  /** `pgmap->owner`: whose pages they are, for those who are to leave others' alone. */
  readonly owner: string
  readonly pages: number
}

/** What a CPU's fault on a private page is about (struct vm_fault). The page is locked, and refers to it the fault. */
export interface PrivateFault {
  readonly mm: Mm
  readonly va: number
  readonly page: Frame
  /** Whether a huge entry maps it, of which it is the first page (`!vmf->pte`). */
  readonly huge?: boolean
}

/** `struct dev_pagemap` */
export interface DevPagemap<Type extends PagemapType = MemoryType> extends DeviceMemory<Type> {
  readonly state: Struct<{
    /** `pgmap->ref`: one for each page that is given out. */
    refs: number
    /** Whether `memunmap_pages` has begun: no page is given out any more. */
    dying: boolean
    /** Whether it is taken away. */
    gone: boolean
  }>
  /** `ops->migrate_to_ram`: moves the page to system memory, or says SIGBUS. Set by the driver. */
  migrateToRam: (fault: PrivateFault) => Effect.Effect<FaultResult>
}

/** `memremap_pages`: makes a device's memory, none of it given out. */
export const devPagemap = <Type extends PagemapType>(memory: DeviceMemory<Type>): DevPagemap<Type> => ({
  ...memory,
  state: struct(`${memory.name}.pgmap`, { refs: 0, dying: false, gone: false }),
  migrateToRam: ({ page }) => {
    throw new RangeError(`nobody brings page ${page.pfn} of ${memory.name} back`)
  },
})

/** The device memory that a frame lies in; `undefined` for system memory. */
export const pgmapOf = ({ pgmaps }: Folios, frame: Frame): DevPagemap<PagemapType> | undefined => pgmaps.get(frame.pfn)

/** The memories of devices whose drivers give out their pages. */
export const driverPgmaps = ({ pgmaps }: Folios): ReadonlyArray<DevPagemap> =>
  [...new Set(pgmaps.values())].filter((pgmap): pgmap is DevPagemap => kinds[pgmap.type].back === "to the driver")

/** `folio_is_device_private` */
export const isDevicePrivate = (all: Folios, frame: Frame): boolean => pgmapOf(all, frame)?.type === "private"

/** `folio_is_device_coherent` */
export const isDeviceCoherent = (all: Folios, frame: Frame): boolean => pgmapOf(all, frame)?.type === "coherent"

/** `folio_is_longterm_pinnable`: not what must stay movable, nor memory of some kinds. */
export const isLongtermPinnable = (all: Folios, frame: Frame): boolean => {
  const type = pgmapOf(all, frame)?.type
  return !all.movable.has(frame.pfn) && (type === undefined || kinds[type].pinnableForGood)
}

/** `folio_is_zone_device` */
export const isZoneDevice = (all: Folios, frame: Frame): boolean => all.pgmaps.has(frame.pfn)

/**
 * `zone_device_page_init`: the driver gives a page out, locked, with one reference; `null` when all are, or when the memory
 * is being taken away.
 */
export const zoneDevicePageInit = (all: Folios, pgmap: DevPagemap): Effect.Effect<Frame | null> =>
  step("zone_device_page_init", [pgmap.name], () => {
    if (pgmap.state.dying) return null
    const folio = all.arena.allocate((slot) => all.pgmaps.get(slot.index) === pgmap)
    if (folio === undefined) return null
    pgmap.state.refs++
    folio.refcount = 1
    folio.lock = self()
    return frameOf(folio)
  })

/** The same of a folio as large as a huge page. */
export const zoneDeviceFolioInit = (all: Folios, pgmap: DevPagemap): Effect.Effect<Frame | null> =>
  step("zone_device_folio_init", [pgmap.name], () => {
    if (pgmap.state.dying) return null
    const head = folioAllocLarge(all, (pfn) => all.pgmaps.get(pfn) === pgmap)
    if (head === null) return null
    pgmap.state.refs += all.hugePages
    folioTrylock(all, head)
    return head
  })

/** `memunmap_pages`: takes the memory away when no page of it is in use any more. */
export const memunmapPages = (all: Folios, pgmap: DevPagemap): Effect.Effect<void> =>
  guardedStep(
    "memunmap_pages: wait_for_completion",
    [pgmap.name],
    () => pgmap.state.refs === 0,
    () => {
      pgmap.state.gone = true
    },
    {
      on: `the last page of ${pgmap.name}`,
      kind: "pgmap",
      sleeps: true,
      hindrances: () =>
        all.arena.slots.flatMap(({ live, lock, index }) =>
          live && lock !== "" && all.pgmaps.get(index) === pgmap ? [{ fiber: lock, how: "has locked a page of" }] : [],
        ),
    },
  )

/** `percpu_ref_kill` of `memunmap_pages`: no page is given out any more. */
export const pgmapKill = (pgmap: DevPagemap): Effect.Effect<void> =>
  step("percpu_ref_kill", [pgmap.name], () => {
    pgmap.state.dying = true
  })
