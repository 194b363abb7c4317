/**
 * Workloads: what is at the pages at the beginning, and short lists of calls for a few fibers, as plain data; and what
 * they mean, as scenarios over the same machine as the matrix of pairs.
 */
import type * as Effect from "effect/Effect"
import { type Scenario, type Setup, scenario } from "../../checker/index.ts"
import type { Range } from "../../model/mm/range.ts"
import { type Call, childOf, type DeviceAccess, device, type Job, kernelThread, thread } from "./calls.ts"
import { type PageKind, prepare } from "./pages.ts"
import { mmProperties } from "./properties.ts"
import { build, type MmWorld, subscribe } from "./world.ts"

/** What is at each of the two pages at the beginning; where it is `unmapped` not even an area is. */
export type Contents = readonly [PageKind | "unmapped", PageKind | "unmapped"]

/** A thread of a process, or a kernel thread of that name. */
export type Member =
  | { readonly actor: "cpu" | "child"; readonly calls: ReadonlyArray<Call> }
  | { readonly actor: KernelThread; readonly jobs: ReadonlyArray<Job> }

export type KernelThread = "kswapd" | "kcompactd" | "oom_reaper" | "ftruncate" | "flusher"

/** A device that mirrors the parent. */
export interface Gpu {
  readonly mirrored: Range
  readonly accesses: ReadonlyArray<DeviceAccess>
}

/** A workload: plain data. */
export interface Workload {
  readonly pages: Contents
  readonly fibers: ReadonlyArray<Member>
  readonly gpu: Gpu | null
  /** How large the machine is: scarce memory and swap make allocations fail. */
  readonly folios: number
  readonly swapSlots: number
  readonly gatherBatch: number
  readonly pagesPerTable: number
}

/** The scenario that a workload is. */
export const workloadScenario = (workload: Workload): Scenario<MmWorld> =>
  scenario({
    id: "workload",
    summary: "a workload of a few fibers on two pages",
    setup: () => setUp(workload),
    properties: mmProperties,
  })

/** The program of a workload. */
export const setUp = ({ pages, fibers, gpu, ...size }: Workload): Setup<MmWorld> => {
  const named = fibers.map((one, slot) => ({ name: `${one.actor}${slot}`, one }))
  const ofActor = (actor: Member["actor"]) => named.filter(({ one }) => one.actor === actor).map(({ name }) => name)
  const parent = ofActor("cpu")
  const forks = named
    .filter(({ one }) => "calls" in one && one.calls.some(({ call }) => call === "fork"))
    .map(({ name }) => childOf(name))
  const { world, monitors } = build(
    {
      ...size,
      filePages: pages.length,
      devices: gpu === null ? 0 : 1,
      ...(gpu === null ? {} : { mirrored: gpu.mirrored }),
    },
    { parent, child: [...ofActor("child"), ...forks], fibers: [...named.map(({ name }) => name), ...forks] },
  )
  subscribe(world)
  for (const [va, kind] of pages.entries()) if (kind !== "unmapped") prepare(world, va, kind)
  const programs: Array<readonly [string, Effect.Effect<unknown>]> = named.map(({ name, one }) => [
    name,
    "jobs" in one
      ? kernelThread(world, one.jobs)
      : thread(world, name, one.actor === "cpu" ? world.parent : world.child, one.calls),
  ])
  if (gpu !== null) for (const { name } of world.devices) programs.push([name, device(world, gpu.accesses)])
  return { world, fibers: Object.fromEntries(programs), monitors }
}
