/** What the fibers of a workload do: system calls and accesses of threads, the work of kernel threads, as plain data. */
import * as Effect from "effect/Effect"
import { fork, step } from "../../checker/index.ts"
import { mirrorAccess } from "../../model/driver/mirror.ts"
import { punchHole, truncate } from "../../model/file/truncate.ts"
import { writeback } from "../../model/file/writeback.ts"
import { userLoad, userStore } from "../../model/mm/access.ts"
import { exitMm } from "../../model/mm/exit.ts"
import { dupMmap } from "../../model/mm/fork.ts"
import { type GupFlags, getUserPages, putUserPage, setPageDirty, storeThrough } from "../../model/mm/gup.ts"
import { getUserPagesFast } from "../../model/mm/gupFast.ts"
import { type Advice, madvise } from "../../model/mm/madvise.ts"
import { migratePage } from "../../model/mm/migrate.ts"
import type { Mm } from "../../model/mm/mm.ts"
import { mmap } from "../../model/mm/mmap.ts"
import { mremap } from "../../model/mm/mremap.ts"
import { oomReapTask } from "../../model/mm/oomReaper.ts"
import { changeProtNuma, mprotect } from "../../model/mm/protect.ts"
import type { Range } from "../../model/mm/range.ts"
import { reclaimPage } from "../../model/mm/reclaim.ts"
import { munmap } from "../../model/mm/unmap.ts"
import type { Protection } from "../../model/mm/vma.ts"
import type { MmWorld } from "./world.ts"

/** How a page is got by its address: by which way, what for. */
export type Way = "pin-fast-write" | "pin-fast-read" | "pin-write" | "pin-read" | "get-read" | "pin-longterm"

/** What a thread of a process does. */
export type Call =
  | { readonly call: "load"; readonly page: number }
  | { readonly call: "store"; readonly page: number }
  /** Gets a page, does something else, uses the page, and gives it back. */
  | { readonly call: "get"; readonly page: number; readonly way: Way; readonly meanwhile: ReadonlyArray<Call> }
  | { readonly call: "munmap"; readonly range: Range }
  | { readonly call: "mmap"; readonly range: Range }
  | { readonly call: "madvise"; readonly range: Range; readonly advice: Advice }
  | { readonly call: "mprotect"; readonly range: Range; readonly prot: Protection }
  /** Without a place to move to it shrinks or grows where it is. */
  | { readonly call: "mremap"; readonly range: Range; readonly pages: number; readonly to: number | null }
  | { readonly call: "numa-hint"; readonly range: Range }
  /** With what the child does then. */
  | { readonly call: "fork"; readonly child: ReadonlyArray<Call> }
  | { readonly call: "exit" }

/** What a kernel thread does, or a process that has nothing to do with the memory but shares the file. */
export type Job =
  | { readonly job: "reclaim"; readonly of: Process; readonly page: number }
  | { readonly job: "migrate"; readonly of: Process; readonly page: number }
  | { readonly job: "oom-reap" }
  | { readonly job: "truncate"; readonly size: number }
  | { readonly job: "punch-hole"; readonly range: Range }
  | { readonly job: "writeback"; readonly page: number }

export type Process = "parent" | "child"

/** An access of a device. */
export interface DeviceAccess {
  readonly access: "load" | "store"
  readonly page: number
}

const ways: { readonly [way in Way]: GupFlags & { readonly fast: boolean } } = {
  "pin-fast-write": { write: true, pin: true, fast: true },
  "pin-fast-read": { write: false, pin: true, fast: true },
  "pin-write": { write: true, pin: true, fast: false },
  "pin-read": { write: false, pin: true, fast: false },
  "get-read": { write: false, pin: false, fast: false },
  "pin-longterm": { write: true, pin: true, longterm: true, fast: false },
}

/** A thread, and its process. */
interface Thread {
  readonly name: string
  readonly mm: Mm
}

/** What a thread does, call after call: one that fails keeps the next from nothing. */
export const thread = (world: MmWorld, name: string, mm: Mm, calls: ReadonlyArray<Call>): Effect.Effect<void> =>
  inOrder(world, { name, mm }, name, calls)

/** @param place which calls these are: what they store says where it comes from */
const inOrder = Effect.fnUntraced(function* (world: MmWorld, of: Thread, place: string, calls: ReadonlyArray<Call>) {
  for (const [position, call] of calls.entries()) {
    yield* Effect.ignore(perform(world, of, `${place}.${position + 1}`, call))
  }
})

/** How the thread of a child is called that a thread of the parent forks. */
export const childOf = (name: string): string => name.replace("cpu", "child")

const perform = (world: MmWorld, of: Thread, place: string, call: Call): Effect.Effect<unknown, unknown> => {
  const { mm, name } = of
  switch (call.call) {
    case "load":
      return userLoad(mm, name, call.page)
    case "store":
      return userStore(mm, name, call.page, place)
    case "get":
      return get(world, of, place, call)
    case "munmap":
      return munmap(mm, call.range)
    case "mmap":
      return mmap(mm, call.range, { prot: "rw", shared: false })
    case "madvise":
      return madvise(mm, call.range, call.advice)
    case "mprotect":
      return mprotect(mm, call.range, call.prot)
    case "mremap":
      return mremap(mm, call.range, call.pages, call.to ?? undefined)
    case "numa-hint":
      return changeProtNuma(mm, call.range)
    case "fork": {
      const child = childOf(name)
      return Effect.andThen(dupMmap(mm, world.child), fork(child, thread(world, child, world.child, call.child)))
    }
    case "exit":
      return exitMm(mm)
  }
}

type Get = Extract<Call, { readonly call: "get" }>

const get = Effect.fnUntraced(function* (world: MmWorld, of: Thread, place: string, { page, way, meanwhile }: Get) {
  const { fast, ...flags } = ways[way]
  const got = yield* fast ? getUserPagesFast(of.mm, page, flags) : getUserPages(of.mm, page, flags)
  if (got.frame !== null) {
    const how = flags.longterm === true ? "dma_map_page (long-term)" : "dma_map_page"
    yield* step(how, [got.frame.pfn], () => undefined)
  }
  yield* inOrder(world, of, place, meanwhile)
  if (flags.write) {
    yield* storeThrough(world.system, got, place)
    yield* setPageDirty(world.system, got)
  }
  yield* putUserPage(world.system, got)
})

/** What a kernel thread does, job after job. */
export const kernelThread = Effect.fnUntraced(function* (world: MmWorld, jobs: ReadonlyArray<Job>) {
  for (const job of jobs) yield* Effect.ignore(work(world, job))
})

const work = (world: MmWorld, job: Job): Effect.Effect<unknown, unknown> => {
  const { system, file, parent } = world
  switch (job.job) {
    case "reclaim":
      return reclaimPage(world[job.of], job.page)
    case "migrate":
      return migratePage(world[job.of], job.page)
    case "oom-reap":
      return oomReapTask(parent)
    case "truncate":
      return truncate(system, file, job.size)
    case "punch-hole":
      return punchHole(system, file, job.range)
    case "writeback":
      return writeback(system, file, job.page)
  }
}

/** What a device does, access after access. */
export const device = Effect.fnUntraced(function* (world: MmWorld, accesses: ReadonlyArray<DeviceAccess>) {
  for (const gpu of world.devices) {
    for (const [position, { access, page }] of accesses.entries())
      yield* mirrorAccess(gpu, page, access === "store" ? `${gpu.name}.${position + 1}` : undefined)
  }
})
