/** How huge pages of a shared page table are faulted in, unmapped, punched out of their file and migrated (Linux 5.16). */
import type * as Effect from "effect/Effect"
import { assert, enterLoop, guardedStep, procedure, self, step } from "../../checker/program/index.ts"
import { type Mutex, mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { assertRwsemHeld, downRead, downWrite, isHeld, upRead, upWrite } from "../sync/rwsem.ts"
import type { Content } from "./folio.ts"
import {
  allocHugePage,
  allocTable,
  dropHugeTranslations,
  type HugeFile,
  type HugeMm,
  type HugeTlb,
  hugePageAt,
  type Life,
  mapPage,
  needHugePage,
  type PmdTable,
  putHugePage,
  sameLife,
  tableAt,
} from "./hugetlbPmdSharing.ts"
import { at, pagesOf, type Range } from "./range.ts"

const faultMutexOf = ({ faultMutex }: HugeFile, va: number): Mutex => {
  const found = faultMutex[va]
  if (found === undefined) throw new RangeError(`the file has no page ${va}`)
  return found
}

/** What an entry of the process's own page table maps, if it has a table. Within a step. */
export const mappedPage = (file: HugeFile, mm: HugeMm, va: number): Life | null => {
  const table = mm.pud.value
  const pte = table === null ? null : at(tableAt(file, table).pte, va).value
  return pte === null || pte.migration ? null : pte.page
}

/** A store of a thread: through what its CPU has cached of the page table and of its entries. */
export const hugeStore = procedure(function* (file: HugeFile, mm: HugeMm, tlb: HugeTlb, va: number, content: Content) {
  const head = yield* enterLoop("user_access")
  for (;;) {
    yield* head()
    const stored = yield* step("user_store", [mm.name, va, content], () => {
      const page = translate(file, mm, tlb, va)
      if (page === null) return false
      hugePageAt(file, page).content = content
      return true
    })
    if (stored || !(yield* hugetlbFault(file, mm, va))) return stored
  }
})

const translate = (file: HugeFile, mm: HugeMm, { walk, entries }: HugeTlb, va: number): Life | null => {
  const entry = at(entries, va)
  if (entry.value !== null) return entry.value
  if (walk.value === null) walk.value = mm.pud.value
  const pte = walk.value === null ? null : at(tableAt(file, walk.value).pte, va).value
  if (pte !== null && !pte.migration) entry.value = pte.page
  return entry.value
}

/** `hugetlb_fault`: whether the access may be tried again. */
const hugetlbFault = procedure(function* (file: HugeFile, mm: HugeMm, va: number) {
  const mutex = faultMutexOf(file, va)
  yield* downRead(mm.mmapLock, "mmap_read_lock", [mm.name])
  const found = yield* step("find_vma", [mm.name], () => mm.vma.mapped)
  let result: FaultResult = "SIGBUS"
  if (found) {
    yield* downRead(file.iMmapRwsem, "i_mmap_lock_read")
    const hasTable = yield* step("huge_pmd_share", [mm.name], () => {
      assertRwsemHeld(mm.mmapLock)
      if (mm.pud.value !== null) return true
      const other = [...file.mms.values()].find(({ vma, pud }) => vma.mayShare && pud.value !== null)?.pud.value
      if (other === undefined || other === null) return false
      tableAt(file, other).slot.sharers++
      mm.pud.value = other
      return true
    })
    if (!hasTable) {
      yield* step("pmd_alloc", [mm.name], () => {
        mm.pud.value ??= allocTable(file)
      })
    }
    yield* mutexLock(mutex)
    result = yield* hugetlbNoPage(file, mm, va)
    yield* mutexUnlock(mutex)
    yield* upRead(file.iMmapRwsem, "i_mmap_unlock_read")
  }
  yield* upRead(mm.mmapLock, "mmap_read_unlock", [mm.name])
  if (result === "migrating") {
    const isMoved = () => mm.pud.value === null || at(tableAt(file, mm.pud.value).pte, va).value?.migration !== true
    yield* guardedStep("migration_entry_wait_huge", [mm.name, va], isMoved, () =>
      assert(isMoved(), `${self()} has waited for a page that is being moved, and it still is`),
    )
  }
  return result !== "SIGBUS"
})

/** What a fault comes to. */
type FaultResult = "mapped" | "migrating" | "SIGBUS"

/** `hugetlb_no_page`, of a shared area: maps the page of the page cache, which it gets if there is none yet. */
const hugetlbNoPage = procedure(function* (file: HugeFile, mm: HugeMm, va: number) {
  const mapped = () => (mm.pud.value === null ? null : at(tableAt(file, mm.pud.value).pte, va).value)
  const found = yield* guardedStep(
    "hugetlb_no_page",
    [mm.name, va],
    () => mapped() !== null || isUnlocked(file, at(file.cache, va).value),
    () => {
      const pte = mapped()
      if (pte !== null) return pte.migration ? ("migrating" as const) : ("mapped" as const)
      const page = at(file.cache, va).value
      assert(isUnlocked(file, page), `${self()} locks huge page ${page?.slot}, which somebody has locked`)
      if (page === null) return file.fills ? ("hole" as const) : ("SIGBUS" as const)
      mapPage(file, ownTable(file, mm), va, page)
      return "mapped" as const
    },
  )
  return found === "hole" ? yield* fillHole(file, mm, va) : found
})

const ownTable = (file: HugeFile, mm: HugeMm): PmdTable => {
  assert(mm.pud.value !== null, `${mm.name} has lost its page table under i_mmap_rwsem`)
  return tableAt(file, mm.pud.value)
}

/** The rest of `hugetlb_no_page`: a page of the pool becomes the file's, locked until it is mapped. */
const fillHole = procedure(function* (file: HugeFile, mm: HugeMm, va: number) {
  const page = yield* step("alloc_huge_page", [mm.name, va], () => allocHugePage(file))
  if (page === null) {
    return yield* step("hugetlb_no_page: huge_ptep_get", [mm.name, va], () =>
      at(ownTable(file, mm).pte, va).value === null ? ("SIGBUS" as const) : ("mapped" as const),
    )
  }
  yield* step("huge_add_to_page_cache", [va, page.slot], () => {
    const cached = at(file.cache, va)
    assert(cached.value === null, `page ${va} of the file has two huge pages`)
    cached.value = page
    hugePageAt(file, page).lock = self()
  })
  yield* step("set_huge_pte_at", [mm.name, va, page.slot], () => {
    const table = ownTable(file, mm)
    if (at(table.pte, va).value === null) mapPage(file, table, va, page)
    hugePageAt(file, page).lock = ""
  })
  return "mapped" as const
})

const isUnlocked = (file: HugeFile, page: Life | null): boolean => page === null || hugePageAt(file, page).lock === ""

/** `mmu_notifier_invalidate_range_start`: the device lets go of the range, and maps nothing of it until the end. */
const announce = (file: HugeFile, mm: HugeMm, range: Range) =>
  step("mmu_notifier_invalidate_range_start", [mm.name, range.start, range.end], () => {
    assertMapLocked(file, mm)
    mm.window.value = range
    for (const va of pagesOf(range)) at(mm.mirror, va).value = null
  })

const announceEnd = (file: HugeFile, mm: HugeMm) =>
  step("mmu_notifier_invalidate_range_end", [mm.name], () => {
    assertMapLocked(file, mm)
    mm.window.value = null
  })

/** A range is announced only by who keeps others from mapping it elsewhere (include/linux/mmu_notifier.h). Within a step. */
const assertMapLocked = ({ iMmapRwsem }: HugeFile, { name, mmapLock }: HugeMm): void =>
  assert(isHeld(mmapLock) || isHeld(iMmapRwsem), `${self()} announces a range of ${name} and has neither of its locks`)

/** `adjust_range_if_pmd_sharing_possible`: a page table that is let go of maps the whole file. */
const wholeTable = ({ pages }: HugeFile): Range => ({ start: 0, end: pages })

/**
 * `huge_pmd_unshare`, under the page table's lock and with `i_mmap_rwsem` held for write: a process that shares its page
 * table lets go of it. Whether it did; if not, the table is its own, or it has none.
 */
const hugePmdUnshare = (file: HugeFile, mm: HugeMm) =>
  step("huge_pmd_unshare", [mm.name], () => {
    if (mm.pud.value === null) return false
    const { slot } = tableAt(file, mm.pud.value)
    if (slot.sharers === 1) return false
    slot.sharers--
    mm.pud.value = null
    return true
  })

const flush = (mm: HugeMm, name: string) => step(name, [mm.name], () => dropHugeTranslations(mm))

/** `__unmap_hugepage_range`, `i_mmap_rwsem` held for write: the pages, for whom the caller flushes and frees. */
const unmapHugepageRange = procedure(function* (file: HugeFile, mm: HugeMm, range: Range) {
  const gathered: Array<Life> = []
  yield* announce(file, mm, wholeTable(file))
  const unshared = yield* hugePmdUnshare(file, mm)
  if (!unshared) {
    for (const va of pagesOf(range)) {
      const page = yield* step("huge_ptep_get_and_clear", [mm.name, va], () => {
        if (mm.pud.value === null) return null
        const entry = at(tableAt(file, mm.pud.value).pte, va)
        const pte = entry.value
        entry.value = null
        if (pte === null || pte.migration) return null
        hugePageAt(file, pte.page).mapcount--
        return pte.page
      })
      if (page !== null) gathered.push(page)
    }
  }
  yield* announceEnd(file, mm)
  // Whoever drops the last reference to the table may do so as soon as i_mmap_rwsem is free.
  if (unshared) yield* flush(mm, "tlb_flush_mmu_tlbonly")
  return gathered
})

/** `tlb_finish_mmu`: what is unmapped is flushed, then freed. */
const tlbFinish = procedure(function* (file: HugeFile, mm: HugeMm, gathered: ReadonlyArray<Life>) {
  yield* flush(mm, "tlb_finish_mmu")
  if (gathered.length === 0) return
  yield* step("free_pages_and_swap_cache", [...gathered.map(({ slot }) => slot)], () => {
    for (const page of gathered) putHugePage(file, page)
  })
})

/** `munmap` of the whole area; its page table goes with it, unless others share it. */
export const hugeMunmap = procedure(function* (file: HugeFile, mm: HugeMm) {
  yield* downWrite(mm.mmapLock, "mmap_write_lock", [mm.name])
  yield* downWrite(file.iMmapRwsem, "i_mmap_lock_write")
  const gathered = yield* unmapHugepageRange(file, mm, { start: 0, end: file.pages })
  yield* step("__unmap_hugepage_range_final", [mm.name], () => {
    // vm_flags_clear: vma_start_write
    assertRwsemHeld(mm.mmapLock)
    mm.vma.mayShare = false
  })
  yield* upWrite(file.iMmapRwsem, "i_mmap_unlock_write")
  const table = yield* step("free_pgtables", [mm.name], () => {
    const own = mm.pud.value
    mm.vma.mapped = false
    mm.pud.value = null
    if (own !== null) tableAt(file, own).slot.sharers--
    return own
  })
  yield* tlbFinish(file, mm, gathered)
  if (table !== null) {
    yield* step("tlb_remove_table", [table.slot], () => file.tables.free(tableAt(file, table).slot))
  }
  yield* upWrite(mm.mmapLock, "mmap_write_unlock", [mm.name])
})

/** `hugetlb_vmdelete_list`, `i_mmap_rwsem` held for write */
const hugetlbVmdeleteList = procedure(function* (file: HugeFile, va: number) {
  for (const mm of file.mms.values()) {
    const found = yield* step("vma_interval_tree_foreach", [mm.name], () => {
      assertRwsemHeld(file.iMmapRwsem)
      return mm.vma.mapped
    })
    if (!found) continue
    yield* tlbFinish(file, mm, yield* unmapHugepageRange(file, mm, { start: va, end: va + 1 }))
  }
})

/**
 * `hugetlbfs_punch_hole` of a page: unmapped everywhere, it leaves the page cache. As since commit 7b7387650dcf it is
 * asked under the page's lock whether a fault has mapped it since: a page that migrates is not, until it has. The lock
 * is given back to unmap it once more, as a fault waits for it under `i_mmap_rwsem`.
 */
export const hugetlbfsPunchHole = procedure(function* (file: HugeFile, va: number) {
  const mutex = faultMutexOf(file, va)
  const unmap = procedure(function* () {
    yield* downWrite(file.iMmapRwsem, "i_mmap_lock_write")
    yield* hugetlbVmdeleteList(file, va)
    yield* upWrite(file.iMmapRwsem, "i_mmap_unlock_write")
  })
  yield* unmap()
  const page = yield* step("remove_inode_hugepages", [va], () => {
    const found = at(file.cache, va).value
    if (found !== null) hugePageAt(file, found).refcount++
    return found
  })
  if (page === null) return
  const head = yield* enterLoop("remove_inode_hugepages")
  for (;;) {
    yield* head(page)
    yield* mutexLock(mutex)
    yield* guardedStep(
      "lock_page",
      [page.slot],
      () => isUnlocked(file, page),
      () => {
        hugePageAt(file, page).lock = self()
      },
    )
    const faulted = yield* step("page_mapped", [page.slot], () => hugePageAt(file, page).mapcount > 0)
    if (!faulted) break
    yield* unlockPage(file, page)
    yield* mutexUnlock(mutex)
    yield* unmap()
  }
  yield* step("remove_huge_page", [va], () => {
    at(file.cache, va).value = null
    hugePageAt(file, page).lock = ""
    putHugePage(file, page)
    putHugePage(file, page)
  })
  yield* mutexUnlock(mutex)
})

const unlockPage = (file: HugeFile, page: Life) =>
  step("unlock_page", [page.slot], () => {
    hugePageAt(file, page).lock = ""
  })

/** `unmap_and_move_huge_page`: the page's content moves to another, unless somebody keeps it. */
export const migrateHugePage = procedure(function* (file: HugeFile, va: number) {
  const page = yield* guardedStep(
    "trylock_page",
    [va],
    () => isUnlocked(file, at(file.cache, va).value),
    () => {
      const found = at(file.cache, va).value
      if (found === null) return null
      hugePageAt(file, found).refcount++
      hugePageAt(file, found).lock = self()
      return found
    },
  )
  if (page === null) return
  // A fault waits for a page's lock under i_mmap_rwsem.
  const locked = yield* step("hugetlb_page_mapping_lock_write", [page.slot], () => {
    const { state } = file.iMmapRwsem
    if (state.writer !== "" || state.readers.length > 0) return false
    state.writer = self()
    return true
  })
  if (locked) {
    for (const mm of file.mms.values()) yield* tryToMigrateOne(file, mm, va, page)
    yield* upWrite(file.iMmapRwsem, "i_mmap_unlock_write")
  }
  const now = yield* step("move_to_new_page", [page.slot], () => {
    const old = hugePageAt(file, page)
    // Its own reference, and the page cache's.
    if (old.mapcount > 0 || old.refcount !== 2) return page
    const moved = needHugePage(file)
    hugePageAt(file, moved).content = old.content
    hugePageAt(file, moved).lock = self()
    at(file.cache, va).value = moved
    putHugePage(file, page)
    return moved
  })
  yield* downRead(file.iMmapRwsem, "i_mmap_lock_read")
  for (const mm of file.mms.values()) {
    yield* step("remove_migration_pte", [mm.name, va], () => {
      const table = mm.pud.value === null ? null : tableAt(file, mm.pud.value)
      if (table === null || at(table.pte, va).value?.migration !== true) return
      mapPage(file, table, va, now)
    })
  }
  yield* upRead(file.iMmapRwsem, "i_mmap_unlock_read")
  yield* unlockPage(file, now)
  yield* step("put_page", [page.slot], () => putHugePage(file, page))
})

/** `try_to_migrate_one`: the walk ends when the page is mapped no more. */
const tryToMigrateOne = procedure(function* (file: HugeFile, mm: HugeMm, va: number, page: Life) {
  const goesOn = yield* step("rmap_walk_file", [mm.name], () => mm.vma.mapped && hugePageAt(file, page).mapcount > 0)
  if (!goesOn) return
  yield* announce(file, mm, wholeTable(file))
  if (yield* hugePmdUnshare(file, mm)) {
    yield* flush(mm, "flush_tlb_range")
  } else {
    yield* step("try_to_migrate_one: huge_ptep_clear_flush", [mm.name, va], () => {
      if (mm.pud.value === null) return
      const entry = at(tableAt(file, mm.pud.value).pte, va)
      if (entry.value === null || entry.value.migration || !sameLife(entry.value.page, page)) return
      entry.value = { page, migration: true }
      dropHugeTranslations(mm)
      const huge = hugePageAt(file, page)
      huge.mapcount--
      huge.refcount--
    })
  }
  yield* announceEnd(file, mm)
})

/** A device that mirrors the process maps a page, unless that is announced to change. */
export const mirrorHugePage = (file: HugeFile, mm: HugeMm, va: number): Effect.Effect<void> =>
  step("device_map", [mm.name, va], () => {
    const window = mm.window.value
    if (window === null || va < window.start || va >= window.end) at(mm.mirror, va).value = mappedPage(file, mm, va)
  })
