/** The invariants of huge pages whose page table is shared. */
import type { Property } from "../../checker/index.ts"
import { type HugeMm, hugePageAt, isLive, type Life, sameLife } from "../../model/mm/hugetlbPmdSharing.ts"
import { mappedPage } from "../../model/mm/hugetlbUnmap.ts"
import { at } from "../../model/mm/range.ts"
import type { HugetlbWorld } from "./world.ts"

type Spec = Property<HugetlbWorld>

const some = (lives: ReadonlyArray<Life | null>): ReadonlyArray<Life> => lives.filter((life) => life !== null)
const all = ({ file }: HugetlbWorld): ReadonlyArray<HugeMm> => [...file.mms.values()]
const tlbs = (world: HugetlbWorld) => all(world).flatMap((mm) => [...mm.tlbs.values()])
const translations = (world: HugetlbWorld) =>
  some(tlbs(world).flatMap(({ entries }) => entries.map(({ value }) => value)))
const walks = (world: HugetlbWorld) => some(tlbs(world).map(({ walk }) => walk.value))
const sharersOf = (world: HugetlbWorld, table: number) =>
  some(all(world).map(({ pud }) => pud.value)).filter(({ slot }) => slot === table).length
type PageSlot = HugetlbWorld["file"]["hugePages"]["slots"][number]
const lifeOf = ({ index, generation }: PageSlot): Life => ({ slot: index, generation })
const entriesOf = ({ file }: HugetlbWorld, page: PageSlot) =>
  file.tables.slots
    .filter(({ live }) => live)
    .flatMap(({ index }) => (file.ptes[index] ?? []).map(({ value }) => value))
    .filter((pte) => pte?.migration === false && sameLife(pte.page, lifeOf(page))).length
const knownReferences = (world: HugetlbWorld, page: PageSlot) =>
  entriesOf(world, page) + world.file.cache.filter(({ value }) => sameLife(value, lifeOf(page))).length
const isAccountedFor = (world: HugetlbWorld, page: PageSlot) =>
  page.refcount > 0 && page.refcount === knownReferences(world, page) && page.lock === ""
const mirrored = (world: HugetlbWorld) =>
  all(world).flatMap((mm) => mm.mirror.flatMap(({ value }, va) => (value === null ? [] : [{ mm, va, page: value }])))

export const hugetlbProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "HUGETLB-TLB-BEFORE-FREE",
    statement: "No CPU translates to a huge page that was given back to the pool.",
    source: "mm/hugetlb.c: __unmap_hugepage_range; commit a4a118f2eead",
    premise: (world) => translations(world).length > 0,
    holds: (world) => translations(world).every((page) => isLive(world.file.hugePages, page)),
  },
  {
    kind: "invariant",
    id: "HUGETLB-TABLE-BEFORE-FREE",
    statement: "No CPU walks a page table that was freed.",
    source: "mm/hugetlb.c: __unmap_hugepage_range, the comment on tlb_flush_mmu_tlbonly; commit a4a118f2eead",
    premise: (world) => walks(world).length > 0,
    holds: (world) => walks(world).every((table) => isLive(world.file.tables, table)),
  },
  {
    kind: "invariant",
    id: "HUGETLB-SHARERS",
    statement: "A page table is counted once for each process that has it, and none has one that was freed.",
    source: "mm/hugetlb.c: huge_pmd_share, huge_pmd_unshare",
    premise: (world) => all(world).some(({ pud }) => pud.value !== null),
    holds: (world) =>
      world.file.tables.slots.every(({ index, sharers }) => sharers === sharersOf(world, index)) &&
      some(all(world).map(({ pud }) => pud.value)).every((table) => isLive(world.file.tables, table)),
  },
  {
    kind: "invariant",
    id: "HUGETLB-NO-AREA-NO-TABLE",
    statement: "A process that has unmapped the file has no page table of it.",
    source: "mm/memory.c: free_pgtables; mm/hugetlb.c: hugetlb_fault, under mmap_lock",
    premise: (world) => all(world).some(({ vma }) => !vma.mapped),
    holds: (world) => all(world).every(({ vma, pud }) => vma.mapped || pud.value === null),
  },
  {
    kind: "invariant",
    id: "HUGETLB-CACHE-UNMAPPED",
    statement: "What a process maps of the file is what its page cache has.",
    source: "fs/hugetlbfs/inode.c: remove_inode_hugepages; commit 4aae8d1c051e",
    premise: (world) => all(world).some((mm) => mappedPage(world.file, mm, 0) !== null),
    holds: (world) =>
      all(world).every((mm) =>
        world.file.cache.every(({ value }, va) => {
          const page = mappedPage(world.file, mm, va)
          return page === null || (value !== null && sameLife(page, value))
        }),
      ),
  },
  {
    kind: "invariant",
    id: "HUGETLB-LAST-STORE",
    statement: "The file holds what was stored last to it, wherever its page has moved.",
    source: "mm/migrate.c: unmap_and_move_huge_page; commit 017b1660df89",
    premise: ({ file, seen }) => seen.stored !== "" && at(file.cache, 0).value !== null,
    holds: ({ file, seen }) => {
      const page = at(file.cache, 0).value
      return seen.stored === "" || page === null || hugePageAt(file, page).content === seen.stored
    },
  },
  {
    kind: "invariant",
    id: "HUGETLB-MAPCOUNT",
    statement: "A huge page is counted as mapped once for each page table that maps it.",
    source: "mm/hugetlb.c: huge_pmd_unshare, the comment on sharing and map counts; include/linux/mm.h: page_mapcount",
    premise: ({ file }) => file.hugePages.slots.some(({ live }) => live),
    holds: (world) =>
      world.file.hugePages.slots.every((page) => !page.live || page.mapcount === entriesOf(world, page)),
  },
  {
    kind: "atEnd",
    id: "HUGETLB-NO-LEAK",
    statement:
      "When everything has ended, each reference to a huge page is the page cache's or a page table's, each page table is some process's, and no page is locked.",
    source: "mm/hugetlb.c: free_huge_page; mm/memory.c: tlb_remove_table",
    holds: (world) =>
      world.file.hugePages.slots.every((page) => !page.live || isAccountedFor(world, page)) &&
      world.file.tables.slots.every(({ live, sharers }) => !live || sharers > 0),
    explain: (world) =>
      [
        ...world.file.hugePages.slots
          .filter((page) => page.live && !isAccountedFor(world, page))
          .map(
            (page) =>
              `Huge page ${page.index} has ${page.refcount} references, of which ${knownReferences(world, page)} are accounted for${page.lock === "" ? "" : `, and ${page.lock} has it locked`}.`,
          ),
        ...world.file.tables.slots
          .filter(({ live, sharers }) => live && sharers === 0)
          .map(({ index }) => `Page table ${index} is nobody's.`),
      ].join(" "),
  },
  {
    kind: "atEnd",
    id: "HUGETLB-ANNOUNCED-ENDS",
    statement: "What was announced to devices that mirror a process has ended when everything has.",
    source:
      "Documentation/mm/mmu_notifier.rst; include/linux/mmu_notifier.h: invalidate_range_end is paired with start",
    holds: (world) => all(world).every(({ window }) => window.value === null),
  },
]

/** Where a page migrates. */
export const migrationProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "HUGETLB-MIGRATION-WAIT",
    statement:
      "A fault that meets a page on the move waits for the end of that: it is not taken again and again meanwhile.",
    source:
      "mm/migrate.c: migration_entry_wait_huge; commit 30dad30922cc: mm: migration: add migrate_entry_wait_huge(), before which faults looped, up to soft lockups",
    premise: ({ seen }) => seen.met.length > 0,
    holds: ({ seen }) => seen.again === "",
    explain: ({ seen }) =>
      `${seen.again} has taken its fault again, and meets the same page, which is still on the move.`,
  },
  {
    kind: "invariant",
    id: "HUGETLB-MIGRATION-UNMAPS",
    statement:
      "When migration has walked the page tables that map a page, under the file's lock and the page's, none maps it.",
    source:
      "mm/migrate.c: unmap_and_move_huge_page; mm/rmap.c: try_to_migrate, which ends when the page is mapped no more",
    premise: ({ seen }) => seen.walked !== "",
    holds: ({ seen }) => seen.walked !== "mapped",
  },
]

/** Where a device mirrors a process. */
export const mirrorProperty: Spec = {
  kind: "invariant",
  id: "HUGETLB-MIRROR",
  statement: "What a device maps of a process is what the process maps there: what changes was announced.",
  source: "mm/rmap.c: try_to_migrate_one, adjust_range_if_pmd_sharing_possible; commit 017b1660df89",
  premise: (world) => mirrored(world).length > 0,
  holds: (world) => mirrored(world).every(({ mm, va, page }) => sameLife(page, mappedPage(world.file, mm, va))),
}

/** Where the pool has a page for each that the file lacks. */
export const filledProperty: Spec = {
  kind: "invariant",
  id: "HUGETLB-FILLED",
  statement:
    "Nobody gets SIGBUS for a hole because another fault has taken the last page of the pool for the same hole.",
  source:
    "mm/hugetlb.c: hugetlb_fault and hugetlb_no_page, the comments on the fault mutex (spurious allocation failures)",
  premise: ({ file }) => file.hugePages.slots.every(({ live }) => live),
  holds: ({ seen }) => seen.killed === "",
  explain: ({ seen }) => `${seen.killed} gets SIGBUS, and the page that it wanted is there, or on its way.`,
}
