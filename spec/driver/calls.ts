/** What the threads of a process do while a device uses its memory: each makes one call that invalidates. */
import * as Effect from "effect/Effect"
import { choose } from "../../checker/index.ts"
import type { DeviceMemory } from "../../model/deviceMemory/pgmap.ts"
import { exitMm } from "../../model/mm/exit.ts"
import { dupMmap } from "../../model/mm/fork.ts"
import { madvise } from "../../model/mm/madvise.ts"
import { addressSpace, type Mm } from "../../model/mm/mm.ts"
import { mprotect } from "../../model/mm/protect.ts"
import { pagesOf, type Range } from "../../model/mm/range.ts"
import { system } from "../../model/mm/system.ts"
import { munmap } from "../../model/mm/unmap.ts"
import { populate } from "../notifier/interval/world.ts"

/** The calls that invalidate. MADV_PAGEOUT is reclaim; `exit` is the end of the thread, the last one's that of the memory. */
export const allCalls = [
  "munmap",
  "madvise(MADV_DONTNEED)",
  "madvise(MADV_PAGEOUT)",
  "mprotect(PROT_READ)",
  "fork",
  "exit",
] as const

export type Call = (typeof allCalls)[number]

/** A process, and the address space of the child that it may fork. */
export interface Process {
  readonly mm: Mm
  readonly child: Mm
}

/**
 * Makes a process whose pages have been stored to, are present and in the TLBs of its CPUs.
 *
 * @param cpus its threads, one per CPU, by name: each is a user of the memory (`mm_users`)
 * @param users those that are users besides
 * @param spare how many pages are free at the beginning
 */
export const processOf = (shape: {
  readonly pages: number
  readonly cpus: ReadonlyArray<string>
  readonly users?: number
  readonly spare?: number
  /** Memory of devices, besides the system's. */
  readonly devices?: ReadonlyArray<DeviceMemory>
}): Process => {
  const { pages, cpus, devices } = shape
  const machine = system({
    folios: pages + (shape.spare ?? 2),
    swapSlots: pages,
    cgroups: ["mm", "child"],
    ...(devices === undefined ? {} : { devices }),
  })
  const mm = addressSpace(machine, "mm", pages, cpus)
  const child = addressSpace(machine, "child", pages, [], 0)
  mm.state.users = cpus.length + (shape.users ?? 0)
  for (const va of pagesOf({ start: 0, end: pages })) populate(mm, va)
  return { mm, child }
}

/** What the thread at that position invalidates: the first one all pages, the others the last one, so that ranges overlap. */
export const rangeOf = ({ mm }: Process, position: number): Range => ({
  start: position === 0 ? 0 : mm.pages - 1,
  end: mm.pages,
})

/**
 * A thread that makes one of the calls.
 *
 * @param position the first thread's is 0: it alone forks, as there is one child
 */
export const invalidator = Effect.fnUntraced(function* (
  process: Process,
  position: number,
  calls: ReadonlyArray<Call> = allCalls,
) {
  const possible = calls.filter((call) => call !== "fork" || position === 0)
  const call = yield* choose("syscall", possible)
  yield* Effect.ignore(perform(process, rangeOf(process, position), call))
})

const perform = ({ mm, child }: Process, range: Range, call: Call): Effect.Effect<unknown, unknown> => {
  switch (call) {
    case "munmap":
      return munmap(mm, range)
    case "madvise(MADV_DONTNEED)":
      return madvise(mm, range, "MADV_DONTNEED")
    case "madvise(MADV_PAGEOUT)":
      return madvise(mm, range, "MADV_PAGEOUT")
    case "mprotect(PROT_READ)":
      return mprotect(mm, range, "r")
    case "fork":
      return dupMmap(mm, child)
    case "exit":
      return exitMm(mm)
  }
}
