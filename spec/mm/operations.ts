/** What can happen to a page: the operations of the memory-management core, each as one fiber does it. */
import * as Effect from "effect/Effect"
import { step } from "../../checker/index.ts"
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
import type { MmWorld, Operation } from "./world.ts"

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
export const operations: ReadonlyArray<Operation> = [
  { id: "load", actor: "cpu", pages: everywhere, run: ({ parent }, cpu) => userLoad(parent, cpu, page) },
  { id: "store", actor: "cpu", pages: everywhere, run: ({ parent }, cpu) => userStore(parent, cpu, page, cpu) },
  { id: "pin-fast-write", actor: "cpu", pages: mapped, run: pinFast({ write: true, pin: true }) },
  { id: "pin-fast-read", actor: "cpu", pages: mapped, run: pinFast({ write: false, pin: true }) },
  { id: "get-read", actor: "cpu", pages: ["anon", "cow", "private"], run: pinSlow({ write: false, pin: false }) },
  {
    id: "pin-longterm",
    actor: "cpu",
    pages: ["anon", "cow", "shared", "private"],
    run: pinSlow({ write: true, pin: true, longterm: true }),
  },
  { id: "munmap", actor: "cpu", pages: mapped, run: ({ parent }) => munmap(parent, here) },
  { id: "madvise-dontneed", actor: "cpu", pages: mapped, run: ({ parent }) => madvise(parent, here, "MADV_DONTNEED") },
  { id: "madvise-free", actor: "cpu", pages: anonymous, run: ({ parent }) => madvise(parent, here, "MADV_FREE") },
  { id: "madvise-pageout", actor: "cpu", pages: present, run: ({ parent }) => madvise(parent, here, "MADV_PAGEOUT") },
  { id: "mprotect", actor: "cpu", pages: mapped, run: ({ parent }) => mprotect(parent, here, "r") },
  { id: "mremap", actor: "cpu", pages: mapped, run: ({ parent }) => mremap(parent, here, 1, otherPage) },
  {
    id: "fork",
    actor: "cpu",
    pages: ["zero", "anon", "swap", "private"],
    run: ({ parent, child }) => dupMmap(parent, child),
  },
  {
    id: "numa-hint",
    actor: "cpu",
    pages: ["anon", "cow", "shared"],
    run: ({ parent }) => changeProtNuma(parent, here),
  },
  { id: "exit", actor: "cpu", pages: mapped, run: ({ parent }) => exitMm(parent) },
  {
    id: "child-store",
    actor: "child",
    pages: ["cow", "shared"],
    run: ({ child }, cpu) => userStore(child, cpu, page, cpu),
  },
  { id: "child-exit", actor: "child", pages: ["cow", "shared"], run: ({ child }) => exitMm(child) },
  { id: "reclaim", actor: "kswapd", pages: present, run: ({ parent }) => reclaimPage(parent, page) },
  { id: "migrate", actor: "kcompactd", pages: present, run: ({ parent }) => migratePage(parent, page) },
  { id: "oom-reap", actor: "oom_reaper", pages: mapped, run: ({ parent }) => oomReapTask(parent) },
  { id: "collapse", actor: "khugepaged", pages: collapsible, run: ({ parent }) => khugepagedScan(parent, page) },
  { id: "sva-load", actor: "sva", pages: ["anon", "cow", "private"], run: svaDoes(false) },
  { id: "sva-store", actor: "sva", pages: everywhere, run: svaDoes(true) },
  { id: "truncate", actor: "ftruncate", pages: ofFile, run: ({ system, file }) => truncate(system, file, 0) },
  {
    id: "punch-hole",
    actor: "fallocate",
    pages: ofFile,
    run: ({ system, file }) => punchHole(system, file, { start: 0, end: 1 }),
  },
  { id: "writeback", actor: "flusher", pages: ["shared"], run: ({ system, file }) => writeback(system, file, 0) },
]

/** The operation of that name. */
export const operation = (id: string): Operation => {
  const found = operations.find((one) => one.id === id)
  if (found === undefined) throw new RangeError(`there is no operation ${id}`)
  return found
}

/** Whether two operations can run at the same time: the last thread of a process exits when there is no other. */
export const canMeet = (a: Operation, b: Operation): boolean => {
  const alone = (one: Operation, other: Operation) => one.id === "exit" && other.actor === "cpu"
  if (a.id === "fork" && b.id === "fork") return false
  const bothEnd = a.id === "child-exit" && b.actor === "child"
  return !alone(a, b) && !alone(b, a) && !bothEnd && !(b.id === "child-exit" && a.actor === "child")
}
