/** Migrations between system and device memory that are under way, and rules of single steps: recorded from outside. */
import { type Cell, cell, type Monitor, type Plain, type Struct, struct, type Taken } from "../../checker/index.ts"
import { pgmapOf } from "../../model/deviceMemory/pgmap.ts"
import { type Folio, type Frame, folioOf, frameOf, isLive } from "../../model/mm/folio.ts"
import { type Mm, pageTableLock } from "../../model/mm/mm.ts"
import { isRmapped, isWritable, type Pte } from "../../model/mm/pte.ts"
import { at } from "../../model/mm/range.ts"
import { mmOf } from "../../model/mm/rmap.ts"
import { isFree } from "../../model/sync/spinlock.ts"
import type { MmWorld } from "../mm/world.ts"

/** A page that is to be moved. */
export type Source = {
  readonly mm: string
  readonly va: number
  readonly page: Frame
  /** Whether the entry allowed stores. */
  readonly write: boolean
  /** `alone`: unmapped, and nobody else refers to it, as far as is known; `stays`: it is mapped again. */
  readonly phase: "collected" | "alone" | "moved" | "stays"
}

/** A page that takes another's place, or an empty one; `used` when it does. */
export type Target = { readonly page: Frame; readonly of: Frame | null; readonly used: boolean }

/** What a fiber migrates, the private page whose fault it handles, and the exclusive one that it takes back. */
export type Migrating = {
  readonly sources: ReadonlyArray<Source>
  readonly targets: ReadonlyArray<Target>
  readonly fault: Frame | null
  readonly takesBack: { readonly mm: string; readonly va: number; readonly page: Frame } | null
}

/** Rules of single steps; true once one was broken. */
export type Broken = {
  /** A page to which somebody else refers is not moved. */
  movesReferred: boolean
  /** A page that nobody uses but by its address is moved: waiters stand in nobody's way. */
  staysThoughFree: boolean
  /** A new page takes a place only where none is. */
  insertsOverPage: boolean
  /** What is moved to a device is system memory, or its owner's. */
  movesOthers: boolean
  /** What may be stored to behind a migration could be before. */
  givesWrite: boolean
  /** No page table's lock is kept when a migration lets go of a page. */
  keepsLock: boolean
  /** What the system's allocator gives out is system memory. */
  allocatesDevices: boolean
  /** The CPU has a page back that was a device's alone when the device has let go of it. */
  restoresFirst: boolean
  /** It may then be stored to if its area may. */
  restoresWrite: boolean
  /** Who takes it back has it, and not the device, when it unlocks it. */
  leavesExclusive: boolean
  /** What becomes a device's alone is mapped there, and the process's alone. */
  takesOther: boolean
  /** A GPU's faults are handled one at a time. */
  handlesTwo: boolean
  /** Atomic accesses begin while the page is locked. */
  programsUnlocked: boolean
}

/** The record. */
export interface Migrations {
  readonly byFiber: ReadonlyMap<string, Cell<Migrating>>
  readonly broken: Struct<Broken>
  readonly monitor: Monitor
}

const nothing: Migrating = { sources: [], targets: [], fault: null, takesBack: null }

/** Makes the record, for fibers that may migrate. */
export const recordMigrations = (world: MmWorld, fibers: ReadonlyArray<string>): Migrations => {
  const { system, folios, gpus } = world
  const byFiber = new Map(fibers.map((name) => [name, cell<Migrating>(`migrates.${name}`, nothing)]))
  const broken = struct<Broken>("migrations.broken", {
    movesReferred: false,
    staysThoughFree: false,
    insertsOverPage: false,
    movesOthers: false,
    givesWrite: false,
    keepsLock: false,
    allocatesDevices: false,
    restoresFirst: false,
    restoresWrite: false,
    leavesExclusive: false,
    takesOther: false,
    handlesTwo: false,
    programsUnlocked: false,
  })
  const note = (rule: keyof Broken, isBroken: boolean) => {
    if (isBroken) broken[rule] = true
  }
  const change = (fiber: string, by: (one: Migrating) => Migrating) => {
    const mine = byFiber.get(fiber)
    if (mine !== undefined) mine.value = by(mine.value)
  }
  const changeSource = (fiber: string, pfn: Plain | undefined, by: (source: Source) => Source) =>
    change(fiber, (one) => ({
      ...one,
      sources: one.sources.map((source) => (source.page.pfn === pfn ? by(source) : source)),
    }))
  const folioAt = (pfn: Plain | undefined): Folio | undefined => folios.arena.slots[Number(pfn)]
  const place = ({ args }: Taken) => ({ mm: mmOf(system, String(args[0])), va: Number(args[1]) })
  const pteAt = (taken: Taken): { readonly mm: Mm; readonly va: number; readonly pte: Pte } => {
    const { mm, va } = place(taken)
    return { mm, va, pte: at(mm.pte, va).value }
  }
  /** A page that is migrated by its number is so wherever it is mapped. */
  const lockedByNumber = ({ fiber, args, result }: Taken) => {
    if (result === null || result === false) return
    const found = world.mms.flatMap((mm) =>
      mm.pte.flatMap(({ value: pte }, va): ReadonlyArray<Source> => {
        if (!isRmapped(pte) || pte.page.pfn !== args[0]) return []
        const write = pte.kind === "private" ? pte.write : isWritable(pte)
        return [{ mm: mm.name, va, page: pte.page, write, phase: "collected" }]
      }),
    )
    change(fiber, (one) => ({ ...one, sources: [...one.sources, ...found] }))
  }
  const allocated = ({ result }: Taken) => note("allocatesDevices", isFrame(result) && folios.pgmaps.has(result.pfn))
  const restored = (taken: Taken) => {
    const { mm, va, pte } = pteAt(taken)
    if (pte?.kind !== "present") return
    note("restoresFirst", mm === world.parent && gpus.some((gpu) => at(gpu.pageTable, va).value?.atomic === true))
    note("restoresWrite", isWritable(pte) && at(mm.vma, va).value?.prot !== "rw")
  }

  const monitor: Monitor = {
    "do_swap_page: trylock_page": (taken) => {
      const { pte } = pteAt(taken)
      if (taken.result === "migrate" && pte?.kind === "private")
        change(taken.fiber, (one) => ({ ...one, fault: pte.page }))
    },
    "do_swap_page: unlock_page, put_page": ({ fiber }) => change(fiber, (one) => ({ ...one, fault: null })),
    "migrate_vma_collect_pmd: set_pte_at": (taken) => {
      const { mm, va, pte } = pteAt(taken)
      if (pte?.kind !== "migration") return
      const source: Source = { mm: mm.name, va, page: pte.page, write: pte.mode === "write", phase: "collected" }
      change(taken.fiber, (one) => ({ ...one, sources: [...one.sources, source] }))
    },
    "migrate_device_pfn_lock: folio_trylock": lockedByNumber,
    migrate_vma_check_page: ({ fiber, args, result }) =>
      changeSource(fiber, args[0], (source) => ({ ...source, phase: result === true ? "alone" : "stays" })),
    // Behind the look at the references only who maps the page again walks to where it was.
    rmap_walk: ({ fiber, args }) =>
      changeSource(fiber, args[0], (source) => (source.phase === "alone" ? { ...source, phase: "stays" } : source)),
    copy_page: ({ fiber, args }) => {
      const [from, to] = args
      const [source, target] = [folioAt(from ?? -1), folioAt(to)]
      if (target === undefined) return
      if (byFiber.get(fiber)?.value.targets.some(({ page }) => page.pfn === to) === true) return
      const of = source === undefined ? null : frameOf(source)
      const [owner, other] = [of, frameOf(target)].map((page) => page && pgmapOf(folios, page)?.owner)
      note("movesOthers", owner != null && other != null && owner !== other)
      change(fiber, (one) => ({ ...one, targets: [...one.targets, { page: frameOf(target), of, used: false }] }))
    },
    folio_migrate_mapping: ({ fiber, args, result }) => {
      const mine = byFiber.get(fiber)?.value
      const [from, to] = [folioAt(args[0]), folioAt(args[1])]
      const isMine = mine?.sources.some(({ page }) => page.pfn === args[0]) === true
      if (mine === undefined || !isMine || from === undefined || to === undefined) return
      const expected = mine.fault?.pfn === args[0] ? 2 : 1
      note("movesReferred", result === true && from.refcount !== expected)
      note("staysThoughFree", result === false && from.swap === null)
      if (result !== true) return
      changeSource(fiber, args[0], (source) => ({ ...source, phase: "moved" }))
      const used: Target = { page: frameOf(to), of: frameOf(from), used: true }
      change(fiber, (one) => ({
        ...one,
        targets: [...one.targets.filter(({ page }) => page.pfn !== args[1]), used],
      }))
    },
    migrate_vma_insert_page: (taken) => {
      const { pte } = pteAt(taken)
      if (taken.result !== true || !isRmapped(pte)) return
      note("insertsOverPage", hasLostMapping(world))
      change(taken.fiber, (one) => ({
        ...one,
        targets: one.targets.map((target) => (target.page.pfn === pte.page.pfn ? { ...target, used: true } : target)),
      }))
    },
    remove_migration_pte: (taken) => {
      const { mm, va, pte } = pteAt(taken)
      const writes = pte?.kind === "private" ? pte.write : isWritable(pte)
      const source = byFiber.get(taken.fiber)?.value.sources.find((one) => one.mm === mm.name && one.va === va)
      if (source === undefined || !writes) return
      note("givesWrite", !source.write || at(mm.vma, va).value?.prot !== "rw")
    },
    "folio_unlock, folio_putback_lru": ({ fiber, args }) => {
      note(
        "keepsLock",
        [...system.mms.values()].some(({ tables }) => tables.some(({ lock }) => lock.state.holder === fiber)),
      )
      change(fiber, (one) => ({
        ...one,
        sources: one.sources.filter(({ page }) => page.pfn !== args[0]),
        targets: one.targets.filter(({ page }) => page.pfn !== args[0]),
      }))
    },
    alloc_page_vma: allocated,
    alloc_anon_folio: allocated,
    "remove_device_exclusive_entry: folio_try_get": (taken) => {
      const { mm, va, pte } = pteAt(taken)
      if (taken.result === null || pte?.kind !== "exclusive") return
      change(taken.fiber, (one) => ({ ...one, takesBack: { mm: mm.name, va, page: pte.page } }))
    },
    "folio_unlock, folio_put": ({ fiber, args }) => {
      const back = byFiber.get(fiber)?.value.takesBack ?? null
      if (back === null || back.page.pfn !== args[0]) return
      const pte = at(mmOf(system, back.mm).pte, back.va).value
      note("leavesExclusive", pte?.kind === "exclusive" && pte.page.pfn === back.page.pfn)
      change(fiber, (one) => ({ ...one, takesBack: null }))
    },
    restore_exclusive_pte: restored,
    copy_pte_range: restored,
    "make_device_exclusive: ptep_clear_flush": (taken) => {
      if (taken.result !== true) return
      const held = world.holders.held.get(taken.fiber)?.value
      if (!held || !isLive(folios, held.page)) return
      const folio = folioOf(folios, held.page)
      note("takesOther", !folio.anonExclusive || mappingsOf(world, folio) + 1 !== folio.mapcount)
    },
    nouveau_svm_fault: ({ fiber, args }) =>
      note(
        "handlesTwo",
        gpus.some(({ name, faults }) => name === args[0] && faults.state.holder !== fiber),
      ),
    gpu_map: ({ fiber, args }) => {
      const entry = gpus.find(({ name }) => name === args[0])?.pageTable[Number(args[1])]?.value
      if (!entry?.atomic || entry.page === null) return
      note("programsUnlocked", !isLive(folios, entry.page) || folioOf(folios, entry.page).lock !== fiber)
    },
  }
  return { byFiber, broken, monitor }
}

const isFrame = (result: Plain): result is Frame => result !== null && typeof result === "object" && "pfn" in result

/** How many entries a folio counts among its mappings, as they are. */
export const mappingsOf = ({ mms }: MmWorld, { index }: Folio): number => {
  let found = 0
  for (const mm of mms) for (const { value: pte } of mm.pte) if (isRmapped(pte) && pte.page.pfn === index) found++
  return found
}

/** Whether a page has lost an entry that it still counts, and nobody is in the middle of changing one. */
const hasLostMapping = (world: MmWorld): boolean =>
  world.mms.every((mm) => mm.pte.every((_, va) => isFree(pageTableLock(mm, va)))) &&
  world.folios.arena.slots.some((folio) => folio.live && mappingsOf(world, folio) !== folio.mapcount)
