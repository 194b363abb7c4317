/** What can happen to a page: the operations of the memory-management core, each as one fiber does it. */
import * as Effect from "effect/Effect"
import { type Descriptions, step } from "../../checker/index.ts"
import { svaAccess } from "../../model/driver/sva.ts"
import { punchHole, truncate } from "../../model/file/truncate.ts"
import { writeback } from "../../model/file/writeback.ts"
import { userLoad, userStore } from "../../model/mm/access.ts"
import { khugepagedScan } from "../../model/mm/collapse.ts"
import { exitMm } from "../../model/mm/exit.ts"
import { dupMmap } from "../../model/mm/fork.ts"
import {
  type GupFlags,
  getUserPages,
  putUserPage,
  setPageDirty,
  storeThrough,
  type UserPage,
} from "../../model/mm/gup.ts"
import { getUserPagesFast } from "../../model/mm/gupFast.ts"
import { madvise } from "../../model/mm/madvise.ts"
import { migratePage } from "../../model/mm/migrate.ts"
import { mremap } from "../../model/mm/mremap.ts"
import { oomReapTask } from "../../model/mm/oomReaper.ts"
import { changeProtNuma, mprotect } from "../../model/mm/protect.ts"
import { reclaimPage } from "../../model/mm/reclaim.ts"
import { munmap } from "../../model/mm/unmap.ts"
import { otherPage, type PageKind, page } from "./pages.ts"
import type { MmWorld, NamedOperation, Operation } from "./world.ts"

const here = { start: page, end: page + 1 }

const everywhere: ReadonlyArray<PageKind> = ["none", "zero", "anon", "cow", "swap", "shared", "private"]
const mapped: ReadonlyArray<PageKind> = ["zero", "anon", "cow", "swap", "shared", "private"]
const present: ReadonlyArray<PageKind> = ["anon", "cow", "shared", "private"]
const anonymous: ReadonlyArray<PageKind> = ["anon", "cow", "swap"]
const collapsible: ReadonlyArray<PageKind> = ["anon", "cow", "private"]
const ofFile: ReadonlyArray<PageKind> = ["shared", "private"]

/** A page that was got is used, and given back. */
const use = Effect.fnUntraced(function* (world: MmWorld, fiber: string, got: UserPage, flags: GupFlags) {
  if (got.frame === null) return
  yield* step(flags.longterm === true ? "dma_map_page (long-term)" : "dma_map_page", [got.frame.pfn], () => undefined)
  if (flags.write) {
    yield* storeThrough(world.system, got, fiber)
    yield* setPageDirty(world.system, got)
  }
  yield* putUserPage(world.system, got)
})

/** What a device does that walks the page table itself. */
const svaDoes = (write: boolean) => (world: MmWorld, fiber: string) => {
  const device = world.svaDevices.find(({ name }) => name === fiber)
  return device === undefined ? Effect.void : svaAccess(device, page, write ? fiber : undefined)
}

const pinFast = (flags: GupFlags) =>
  Effect.fnUntraced(function* (world: MmWorld, fiber: string) {
    yield* use(world, fiber, yield* getUserPagesFast(world.parent, page, flags), flags)
  })

const pinSlow = (flags: GupFlags) =>
  Effect.fnUntraced(function* (world: MmWorld, fiber: string) {
    yield* use(world, fiber, yield* getUserPages(world.parent, page, flags), flags)
  })

/** Every operation, in the order in which the matrix of pairs lists them. */
export const operations: ReadonlyArray<NamedOperation> = [
  {
    id: "load",
    summary: "A thread loads from the page, with the fault that this takes if it is not mapped (handle_mm_fault).",
    actor: "cpu",
    pages: everywhere,
    run: ({ parent }, cpu) => userLoad(parent, cpu, page),
  },
  {
    id: "store",
    summary:
      "A thread stores to the page, with the faults that this takes, copy-on-write among them (handle_mm_fault, do_wp_page).",
    actor: "cpu",
    pages: everywhere,
    run: ({ parent }, cpu) => userStore(parent, cpu, page, cpu),
  },
  {
    id: "pin-fast-write",
    summary:
      "A thread pins the page without locks for a device that writes to it, and unpins it (pin_user_pages_fast, FOLL_WRITE).",
    actor: "cpu",
    pages: mapped,
    run: pinFast({ write: true, pin: true }),
  },
  {
    id: "pin-fast-read",
    summary: "A thread pins the page without locks for a device that reads it, and unpins it (pin_user_pages_fast).",
    actor: "cpu",
    pages: mapped,
    run: pinFast({ write: false, pin: true }),
  },
  {
    id: "get-read",
    summary:
      "A thread takes a reference to the page with mmap_lock held, to read it, and gives it back (get_user_pages).",
    actor: "cpu",
    pages: ["anon", "cow", "private"],
    run: pinSlow({ write: false, pin: false }),
  },
  {
    id: "pin-longterm",
    summary:
      "A thread pins the page for good, for a device that writes to it, and unpins it (pin_user_pages, FOLL_LONGTERM).",
    actor: "cpu",
    pages: ["anon", "cow", "shared", "private"],
    run: pinSlow({ write: true, pin: true, longterm: true }),
  },
  {
    id: "munmap",
    summary: "A thread takes the page out of the address space, and the area with it (munmap).",
    actor: "cpu",
    pages: mapped,
    run: ({ parent }) => munmap(parent, here),
  },
  {
    id: "madvise-dontneed",
    summary: "A thread gives the page up; whoever touches it next finds it fresh (MADV_DONTNEED).",
    actor: "cpu",
    pages: mapped,
    run: ({ parent }) => madvise(parent, here, "MADV_DONTNEED"),
  },
  {
    id: "madvise-free",
    summary: "A thread lets the kernel drop the page, as long as nobody stores there again (MADV_FREE).",
    actor: "cpu",
    pages: anonymous,
    run: ({ parent }) => madvise(parent, here, "MADV_FREE"),
  },
  {
    id: "madvise-pageout",
    summary: "A thread has the page reclaimed at once (MADV_PAGEOUT): unmapped, and written out if it is dirty.",
    actor: "cpu",
    pages: present,
    run: ({ parent }) => madvise(parent, here, "MADV_PAGEOUT"),
  },
  {
    id: "mprotect",
    summary: "A thread takes from the process the right to store to the page (mprotect, PROT_READ).",
    actor: "cpu",
    pages: mapped,
    run: ({ parent }) => mprotect(parent, here, "r"),
  },
  {
    id: "mremap",
    summary: "A thread moves the page to another address of the process (mremap, MREMAP_MAYMOVE).",
    actor: "cpu",
    pages: mapped,
    run: ({ parent }) => mremap(parent, here, 1, otherPage),
  },
  {
    id: "fork",
    summary: "A thread forks: the child shares the process's pages until somebody stores to them (dup_mmap).",
    actor: "cpu",
    pages: ["zero", "anon", "swap", "private"],
    run: ({ parent, child }) => dupMmap(parent, child),
  },
  {
    id: "numa-hint",
    summary:
      "A thread makes the page inaccessible for a moment, so that its next use shows which NUMA node needs it (change_prot_numa).",
    actor: "cpu",
    pages: ["anon", "cow", "shared"],
    run: ({ parent }) => changeProtNuma(parent, here),
  },
  {
    id: "exit",
    summary: "The last thread of the process exits: all of its memory is unmapped and freed (exit_mmap).",
    actor: "cpu",
    pages: mapped,
    run: ({ parent }) => exitMm(parent),
  },
  {
    id: "child-store",
    summary: "A thread of the child stores to the page, which gives it a copy if the parent has the page too.",
    actor: "child",
    pages: ["cow", "shared"],
    run: ({ child }, cpu) => userStore(child, cpu, page, cpu),
  },
  {
    id: "child-exit",
    summary: "The last thread of the child exits: all of its memory is unmapped (exit_mmap).",
    actor: "child",
    pages: ["cow", "shared"],
    run: ({ child }) => exitMm(child),
  },
  {
    id: "reclaim",
    summary: "The kernel reclaims the page because memory is short, if it was not used of late (shrink_folio_list).",
    actor: "kswapd",
    pages: present,
    run: ({ parent }) => reclaimPage(parent, page),
  },
  {
    id: "migrate",
    summary:
      "The kernel moves the page to another place in memory (migrate_pages); whoever touches it meanwhile waits.",
    actor: "kcompactd",
    pages: present,
    run: ({ parent }) => migratePage(parent, page),
  },
  {
    id: "oom-reap",
    summary:
      "The OOM reaper takes the anonymous pages of the process without waiting for its exit (__oom_reap_task_mm).",
    actor: "oom_reaper",
    pages: mapped,
    run: ({ parent }) => oomReapTask(parent),
  },
  {
    id: "collapse",
    summary: "The kernel makes one huge page of the pages that a page table maps (collapse_huge_page).",
    actor: "khugepaged",
    pages: collapsible,
    run: ({ parent }) => khugepagedScan(parent, page),
  },
  {
    id: "sva-load",
    summary:
      "A device that walks the process's page table loads from the page, by its TLB or with a fault of its own (iommu_sva_handle_mm).",
    actor: "sva",
    pages: ["anon", "cow", "private"],
    run: svaDoes(false),
  },
  {
    id: "sva-store",
    summary:
      "A device that walks the process's page table stores to the page, by its TLB or with a fault of its own (iommu_sva_handle_mm).",
    actor: "sva",
    pages: everywhere,
    run: svaDoes(true),
  },
  {
    id: "truncate",
    summary: "The file is truncated to nothing, so that no process may map the page any more (truncate_pagecache).",
    actor: "ftruncate",
    pages: ofFile,
    run: ({ system, file }) => truncate(system, file, 0),
  },
  {
    id: "punch-hole",
    summary:
      "A hole is punched into the file where its page was: it reads as zeroes from then on (fallocate, FALLOC_FL_PUNCH_HOLE).",
    actor: "fallocate",
    pages: ofFile,
    run: ({ system, file }) => punchHole(system, file, { start: 0, end: 1 }),
  },
  {
    id: "writeback",
    summary:
      "The file's dirty page is made clean and read-only in all page tables, and written to the disk (folio_clear_dirty_for_io).",
    actor: "flusher",
    pages: ["shared"],
    run: ({ system, file }) => writeback(system, file, 0),
  },
]

/** The operation of that name. */
export const operation = (id: string): NamedOperation => {
  const found = operations.find((one) => one.id === id)
  if (found === undefined) throw new RangeError(`there is no operation ${id}`)
  return found
}

/** What each operation is, and who does it. */
export const described = (some: ReadonlyArray<NamedOperation>): Descriptions =>
  Object.fromEntries(some.map(({ id, actor, summary }) => [id, `${summary} Fiber \`${actor}N\`.`]))

/** Whether two operations can run at the same time: the last thread of a process exits when there is no other. */
export const canMeet = (a: Operation, b: Operation): boolean => {
  const alone = (one: Operation, other: Operation) => one.id === "exit" && other.actor === "cpu"
  if (a.id === "fork" && b.id === "fork") return false
  const bothEnd = a.id === "child-exit" && b.actor === "child"
  return !alone(a, b) && !alone(b, a) && !bothEnd && !(b.id === "child-exit" && a.actor === "child")
}
