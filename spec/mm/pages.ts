/** The pages with which a race begins: what kinds there are, and how each is laid out. */
import type { MemoryType } from "../../model/deviceMemory/pgmap.ts"
import type { Gpu } from "../../model/driver/gpu.ts"
import { type Folio, type Frame, folioAlloc, folioOf, frameOf, memcgCharge } from "../../model/mm/folio.ts"
import { type Mm, tableOf } from "../../model/mm/mm.ts"
import { type Access, type Pte, present } from "../../model/mm/pte.ts"
import { at } from "../../model/mm/range.ts"
import { anonMapping } from "../../model/mm/rmap.ts"
import { addToSwapCache } from "../../model/mm/swap.ts"
import { anonymous, type Vma } from "../../model/mm/vma.ts"
import { anything } from "./memory.ts"
import type { MmWorld } from "./world.ts"

/**
 * What is at the page that everything is about when the race begins. `swapcache`: as `anon`, swapped in and not stored to
 * since. `lazyfree`: as `anon`, given to MADV_FREE. `readonly`: as `private`, without the right to store.
 * `cached`: as `private`, not mapped yet. `device`: as `anon`, in the memory of the first GPU. `coherent`: as `device`, of
 * the first GPU whose memory the CPUs can reach. `exclusive`: as `anon`, the first GPU's alone.
 */
export type PageKind =
  | "none"
  | "zero"
  | "anon"
  | "cow"
  | "swap"
  | "shared"
  | "private"
  | "swapcache"
  | "lazyfree"
  | "readonly"
  | "cached"
  | "device"
  | "coherent"
  | "exclusive"

/** The page that everything is about, and the other one, which is free: mremap moves there. */
export const page = 0
export const otherPage = 1

/** What is in anonymous memory at the beginning. */
const stored = (va: number): string => (va === page ? "old" : `old${va}`)

/** What is in the pages of the file at the beginning. */
export const filed = (index: number): string => (index === 0 ? "file" : `file${index}`)

/** Lays out a page of the parent, and where it is one that both have, of the child. Within a step. */
export const prepare = (world: MmWorld, va: number, kind: PageKind): void => {
  const { parent, child, memory } = world
  const vma = vmaFor(kind, va)
  at(parent.vma, va).value = vma
  if (isForked(kind)) {
    child.state.users = 1
    at(child.vma, va).value = kind === "cow" ? { ...vma, anonVmas: ["parent", "child"] } : vma
  }
  switch (kind) {
    case "none":
      return
    case "zero":
      at(parent.pte, va).value = { kind: "zero", access: "read" }
      return
    case "anon":
      mapAnon(world, parent, va, vma, "write")
      break
    case "swapcache": {
      const folio = folioOf(world.folios, mapAnon(world, parent, va, vma, "write", false))
      const slot = world.system.swap.allocate()
      if (slot === undefined) throw new RangeError("the machine has no swap to begin with")
      slot.content = stored(va)
      addToSwapCache(slot, folio)
      break
    }
    case "lazyfree":
      folioOf(world.folios, mapAnon(world, parent, va, vma, "write", false)).swapBacked = false
      memory.expect(parent, va, anything)
      return
    case "cow": {
      const frame = mapAnon(world, parent, va, vma, "read")
      const folio = folioOf(world.folios, frame)
      folio.anonExclusive = false
      share(child, va, folio, present(frame, "read", { dirty: true, young: false }))
      child.rss.anon++
      memory.expect(child, va, stored(va))
      break
    }
    case "device":
      mapDevice(world, firstGpu(world), va, vma)
      break
    case "coherent":
      mapDevice(world, firstGpu(world, "coherent"), va, vma)
      break
    case "exclusive": {
      const frame = mapAnon(world, parent, va, vma, "write")
      at(parent.pte, va).value = { kind: "exclusive", page: frame }
      for (const cache of parent.tlbs.values()) at(cache, va).value = null
      const gpu = firstGpu(world)
      at(gpu.pageTable, va).value = { page: frame, write: true, atomic: true }
      break
    }
    case "swap": {
      const slot = world.system.swap.allocate()
      if (slot === undefined) throw new RangeError("the machine has no swap to begin with")
      slot.count = 1
      slot.content = stored(va)
      parent.rss.swap++
      at(parent.pte, va).value = { kind: "swap", slot: slot.index, exclusive: true }
      break
    }
    case "shared":
    case "private":
    case "readonly":
      mapFile(world, va, kind)
      return
    case "cached":
      cacheFile(world, va)
      return
  }
  memory.expect(parent, va, stored(va))
}

/** Whether a page of that kind is the child's too. */
export const isForked = (kind: PageKind): boolean => kind === "cow" || kind === "shared"

const vmaFor = (kind: PageKind, va: number): Vma => {
  const ofFile = kind === "shared" || kind === "private" || kind === "readonly" || kind === "cached"
  const file = ofFile ? "file" : null
  const anonVmas = ofFile || kind === "none" || kind === "zero" ? [] : ["parent"]
  const prot = kind === "readonly" ? "r" : "rw"
  return { ...anonymous, prot, pgoff: va, shared: kind === "shared", file, anonVmas }
}

/** A process of its own: an area, a page table, and no page. Within a step. */
export const prepareStranger = (mm: Mm): void => {
  mm.state.users = 1
  at(mm.vma, page).value = { ...anonymous, pgoff: page }
  Object.assign(tableOf(mm, page).state, { linked: true, live: true })
}

/** A page in use by one entry, translated by the CPUs that run the process. */
const share = (mm: Mm, va: number, folio: Folio, pte: Extract<Pte, { kind: "present" }>): void => {
  folio.refcount++
  folio.mapcount++
  Object.assign(tableOf(mm, va).state, { linked: true, live: true })
  at(mm.pte, va).value = pte
  for (const cache of mm.tlbs.values()) {
    at(cache, va).value = {
      page: pte.page,
      write: pte.access === "write",
      dirty: pte.dirty && pte.access === "write",
    }
  }
}

const allocate = (world: MmWorld, cgroup: string): Frame => {
  const frame = folioAlloc(world.folios, cgroup)
  if (frame === null) throw new RangeError("the machine has no memory to begin with")
  return frame
}

const mapAnon = (world: MmWorld, mm: Mm, va: number, vma: Vma, access: Access, dirty = true): Frame => {
  const frame = allocate(world, mm.name)
  const folio = folioOf(world.folios, frame)
  folio.refcount = 0
  Object.assign(folio, {
    anonExclusive: true,
    mapping: anonMapping(mm.name),
    offset: vma.pgoff,
    lru: true,
    content: stored(va),
  })
  share(mm, va, folio, present(frame, access, { dirty, young: false }))
  mm.rss.anon++
  return frame
}

const firstGpu = ({ gpus }: MmWorld, type?: MemoryType): Gpu => {
  const gpu = gpus.find(({ memory }) => type === undefined || memory.type === type)
  if (gpu === undefined) throw new RangeError("the machine has no GPU")
  return gpu
}

/** A page in the memory of a GPU, which maps it. */
const mapDevice = (world: MmWorld, gpu: Gpu, va: number, vma: Vma): void => {
  const { folios, parent } = world
  const folio = folios.arena.allocate(({ index }) => folios.pgmaps.get(index) === gpu.memory)
  if (folio === undefined) throw new RangeError("the GPU has no memory to begin with")
  gpu.memory.state.refs++
  memcgCharge(folios, folio, parent.name)
  Object.assign(folio, {
    anonExclusive: true,
    mapping: anonMapping(parent.name),
    offset: vma.pgoff,
    content: stored(va),
  })
  const frame = frameOf(folio)
  parent.rss.anon++
  at(gpu.pageTable, va).value = { page: frame, write: true, atomic: false }
  if (gpu.memory.type === "coherent") {
    share(parent, va, folio, present(frame, "write", { dirty: true, young: false }))
    return
  }
  folio.refcount++
  folio.mapcount++
  Object.assign(tableOf(parent, va).state, { linked: true, live: true })
  at(parent.pte, va).value = { kind: "private", page: frame, write: true }
}

/** A page of the file in the page cache. */
const cacheFile = (world: MmWorld, va: number): Frame => {
  const frame = allocate(world, "file")
  Object.assign(folioOf(world.folios, frame), { mapping: "file", offset: va, lru: true, content: filed(va) })
  at(world.file.cache, va).value = frame
  return frame
}

const mapFile = (world: MmWorld, va: number, kind: "shared" | "private" | "readonly"): void => {
  const frame = cacheFile(world, va)
  share(
    world.parent,
    va,
    folioOf(world.folios, frame),
    present(frame, kind === "shared" ? "write" : "read", { dirty: kind === "shared", young: false }),
  )
  world.parent.rss.file++
}
