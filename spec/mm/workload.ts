/**
 * Random workloads: what is at the pages at the beginning, and short lists of calls for a few fibers, as plain data that
 * fast-check makes and shrinks; and what they mean, as scenarios over the same machine as the matrix of pairs.
 */
import type * as Effect from "effect/Effect"
import fc from "fast-check"
import { type Monitor, type Scenario, type Setup, scenario } from "../../checker/index.ts"
import type { Range } from "../../model/mm/range.ts"
import {
  type Call,
  childOf,
  type DeviceAccess,
  device,
  type Job,
  kernelThread,
  type Process,
  thread,
  type Way,
} from "./calls.ts"
import { mmProperties } from "./properties.ts"
import { build, isForked, type MmWorld, type PageKind, prepare, subscribe } from "./world.ts"

/** What is at each of the two pages at the beginning; where it is `unmapped` not even an area is. */
export type Contents = readonly [PageKind | "unmapped", PageKind | "unmapped"]

/** A thread of a process, or a kernel thread of that name. */
export type Member =
  | { readonly actor: "cpu" | "child"; readonly calls: ReadonlyArray<Call> }
  | { readonly actor: KernelThread; readonly jobs: ReadonlyArray<Job> }

type KernelThread = "kswapd" | "kcompactd" | "oom_reaper" | "ftruncate" | "flusher"

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

const page = fc.nat({ max: 1 })

/** A page, or both. */
const range: fc.Arbitrary<Range> = fc.constantFrom({ start: 0, end: 1 }, { start: 1, end: 2 }, { start: 0, end: 2 })

/** A choice of weighted arbitraries; the first is the simplest. */
const among = <Value>(
  ...choices: ReadonlyArray<readonly [weight: number, arbitrary: fc.Arbitrary<Value>]>
): fc.Arbitrary<Value> =>
  fc.oneof({ withCrossShrink: true }, ...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })))

/** A choice of weighted values; the first is the simplest. */
const weighted = <Value>(...choices: ReadonlyArray<readonly [weight: number, value: Value]>): fc.Arbitrary<Value> =>
  among(...choices.map(([weight, value]) => [weight, fc.constant(value)] as const))

const kind: fc.Arbitrary<PageKind | "unmapped"> = weighted<PageKind | "unmapped">(
  [4, "anon"],
  [3, "cow"],
  [2, "shared"],
  [2, "private"],
  [2, "swap"],
  [1, "zero"],
  [1, "none"],
  [2, "unmapped"],
)

const way: fc.Arbitrary<Way> = fc.constantFrom<Array<Way>>(
  "pin-fast-write",
  "pin-fast-read",
  "pin-write",
  "pin-read",
  "get-read",
  "pin-longterm",
)

const plainCalls: ReadonlyArray<readonly [number, fc.Arbitrary<Call>]> = [
  [4, fc.record({ call: fc.constant("load" as const), page })],
  [6, fc.record({ call: fc.constant("store" as const), page })],
  [2, fc.record({ call: fc.constant("munmap" as const), range })],
  [1, fc.record({ call: fc.constant("mmap" as const), range })],
  [
    4,
    fc.record({
      call: fc.constant("madvise" as const),
      range,
      advice: fc.constantFrom(
        "MADV_DONTNEED" as const,
        "MADV_FREE" as const,
        "MADV_PAGEOUT" as const,
        "MADV_COLD" as const,
      ),
    }),
  ],
  [
    3,
    fc.record({
      call: fc.constant("mprotect" as const),
      range,
      prot: fc.constantFrom("r" as const, "rw" as const, "none" as const),
    }),
  ],
  [
    2,
    fc.oneof(
      { weight: 4, arbitrary: page.map((from) => move(from)) },
      {
        weight: 1,
        arbitrary: fc.constantFrom<Array<Call>>(
          { call: "mremap", range: { start: 0, end: 2 }, pages: 1, to: null },
          { call: "mremap", range: { start: 0, end: 1 }, pages: 2, to: null },
        ),
      },
    ),
  ],
  [2, fc.record({ call: fc.constant("numa-hint" as const), range })],
]

const move = (from: number): Call => ({ call: "mremap", range: { start: from, end: from + 1 }, pages: 1, to: 1 - from })

const exit: readonly [number, fc.Arbitrary<Call>] = [1, fc.constant<Call>({ call: "exit" })]

const listOf = <Value>(arbitrary: fc.Arbitrary<Value>, most: number, least = 1) =>
  fc.array(arbitrary, { minLength: least, maxLength: most, size: "max" })

/** What a thread may do while it holds a page: all but what ends it. */
const fork = (most: number): readonly [number, fc.Arbitrary<Call>] => [
  3,
  fc.record({ call: fc.constant("fork" as const), child: listOf(among(...plainCalls, get(1), exit), most, 0) }),
]

const get = (
  weight: number,
  ...also: ReadonlyArray<readonly [number, fc.Arbitrary<Call>]>
): readonly [number, fc.Arbitrary<Call>] => [
  weight,
  fc.record({
    call: fc.constant("get" as const),
    page,
    way,
    meanwhile: among<ReadonlyArray<Call>>([3, fc.constant([])], [2, listOf(among(...plainCalls, ...also), 2)]),
  }),
]

const calls = listOf(among(...plainCalls, get(5, fork(2)), fork(3), exit), 4)

const process: fc.Arbitrary<Process> = weighted<Process>([3, "parent"], [1, "child"])

const jobs = (): ReadonlyArray<readonly [number, fc.Arbitrary<Member>]> => {
  const kernel = (actor: KernelThread, job: fc.Arbitrary<Job>, most = 3) =>
    fc.record({ actor: fc.constant(actor), jobs: listOf(job, most) })
  return [
    [3, kernel("kswapd", fc.record({ job: fc.constant("reclaim" as const), of: process, page }))],
    [3, kernel("kcompactd", fc.record({ job: fc.constant("migrate" as const), of: process, page }))],
    [1, kernel("oom_reaper", fc.constant({ job: "oom-reap" }), 1)],
    [
      1,
      kernel(
        "ftruncate",
        fc.oneof(
          fc.record({ job: fc.constant("truncate" as const), size: fc.nat({ max: 2 }) }),
          fc.record({ job: fc.constant("punch-hole" as const), range }),
        ),
      ),
    ],
    [1, kernel("flusher", fc.record({ job: fc.constant("writeback" as const), page }))],
  ]
}

const member: fc.Arbitrary<Member> = among<Member>(
  [8, fc.record({ actor: fc.constant("cpu" as const), calls })],
  [3, fc.record({ actor: fc.constant("child" as const), calls: listOf(among(...plainCalls, get(2), exit), 3) })],
  ...jobs(),
)

const gpu: fc.Arbitrary<Gpu | null> = fc.option(
  fc.record({
    mirrored: range,
    accesses: listOf(fc.record({ access: fc.constantFrom("load" as const, "store" as const), page }), 3),
  }),
  { freq: 2 },
)

/** Random workloads that can be: those of `fc.record`, made to fit. */
export const workloads: fc.Arbitrary<Workload> = fc
  .record({
    pages: fc.tuple(kind, kind),
    fibers: fc.tuple(fc.option(member, { freq: 15 }), fc.option(member, { freq: 15 }), fc.option(member, { freq: 2 })),
    gpu,
    folios: weighted([3, 8], [1, 5], [1, 4], [1, 3]),
    swapSlots: weighted([3, 3], [1, 2]),
    gatherBatch: weighted([3, 8], [1, 1]),
    pagesPerTable: fc.constantFrom(1, 2),
  })
  .map(({ fibers, ...rest }) => fitting({ ...rest, fibers: fibers.filter((one) => one !== null) }))

/**
 * Leaves out what cannot be at the same time: a child before it was forked, or forked twice; an exit that is not the last
 * that the only thread of its process does; accesses of a device to what it does not mirror.
 */
function fitting(workload: Workload): Workload {
  const forked = workload.pages.some((one) => one !== "unmapped" && isForked(one))
  const alone = (actor: Member["actor"]) => workload.fibers.filter((one) => one.actor === actor).length === 1
  let mayFork = !forked
  const keep = (calls: ReadonlyArray<Call>, mayExit: boolean): ReadonlyArray<Call> => {
    const end = calls.findIndex(({ call }) => call === "exit")
    const exits = mayExit && end !== -1
    return (exits ? calls.slice(0, end + 1) : calls).flatMap((call): ReadonlyArray<Call> => {
      if (call.call === "exit") return exits ? [call] : []
      if (call.call === "get") return [{ ...call, meanwhile: keep(call.meanwhile, false) }]
      if (call.call !== "fork") return [call]
      if (!mayFork) return []
      mayFork = false
      return [{ ...call, child: keep(call.child, true) }]
    })
  }
  const members = workload.fibers.flatMap((one): ReadonlyArray<Member> => {
    if (!("calls" in one)) return [one]
    const calls = one.actor === "child" && !forked ? [] : keep(one.calls, alone(one.actor))
    return calls.length === 0 ? [] : [{ ...one, calls }]
  })
  const fibers = members.length === 0 ? [idle] : members
  const { gpu } = workload
  if (gpu === null) return { ...workload, fibers }
  const { start, end } = gpu.mirrored
  const accesses = gpu.accesses.filter(({ page }) => start <= page && page < end)
  return { ...workload, fibers, gpu: accesses.length === 0 ? null : { ...gpu, accesses } }
}

/** A program has a fiber at least. */
const idle: Member = { actor: "cpu", calls: [] }

/** The scenario that a workload is. */
export const workloadScenario = (
  workload: Workload,
  { id = "workload", watch = [] }: { readonly id?: string; readonly watch?: ReadonlyArray<Monitor> } = {},
): Scenario<MmWorld> =>
  scenario({
    id,
    summary: "a workload of a few fibers on two pages",
    setup: () => {
      const { monitors = [], ...setup } = setUp(workload)
      return { ...setup, monitors: [...monitors, ...watch] }
    },
    properties: mmProperties,
  })

/** The program of a workload. */
export const setUp = ({ pages, fibers, gpu, ...size }: Workload): Setup<MmWorld> => {
  const named = fibers.map((one, slot) => ({ name: `${one.actor}${slot}`, one }))
  const ofActor = (actor: Member["actor"]) => named.filter(({ one }) => one.actor === actor).map(({ name }) => name)
  const parent = ofActor("cpu")
  const forks = named.filter(({ one }) => "calls" in one && one.calls.some(forksChild)).map(({ name }) => childOf(name))
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

const forksChild = (call: Call): boolean =>
  call.call === "fork" || (call.call === "get" && call.meanwhile.some(forksChild))
