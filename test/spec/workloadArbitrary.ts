/** Random workloads, made and shrunk by fast-check: whatever can be at the same time. */
import fc from "fast-check"
import type { Range } from "../../model/mm/range.ts"
import type { Call, Job, Process, Way } from "../../spec/mm/calls.ts"
import { isForked, type PageKind } from "../../spec/mm/pages.ts"
import type { Gpu, KernelThread, Member, Workload } from "../../spec/mm/workload.ts"

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

const mappedKind = weighted<PageKind | "unmapped">(
  [4, "anon"],
  [2, "cow"],
  [3, "shared"],
  [2, "private"],
  [2, "swap"],
  [1, "zero"],
  [1, "none"],
)

/** A page that matters to nothing becomes unmapped, others anonymous, when workloads are shrunk. */
const kind = among<PageKind | "unmapped">([2, fc.constant("unmapped")], [15, mappedKind])

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
    weighted<Call>(
      [2, { call: "mremap", range: { start: 0, end: 1 }, pages: 1, to: 1 }],
      [2, { call: "mremap", range: { start: 1, end: 2 }, pages: 1, to: 0 }],
      [1, { call: "mremap", range: { start: 0, end: 2 }, pages: 1, to: null }],
      [1, { call: "mremap", range: { start: 0, end: 1 }, pages: 2, to: null }],
    ),
  ],
  [2, fc.record({ call: fc.constant("numa-hint" as const), range })],
]

const exit: readonly [number, fc.Arbitrary<Call>] = [1, fc.constant<Call>({ call: "exit" })]

/**
 * Lists of any length up to `most`, none more likely than another. They may be empty: of one that must not be, fast-check
 * takes no element from the end.
 */
const listOf = <Value>(arbitrary: fc.Arbitrary<Value>, most: number) =>
  fc.noBias(fc.array(arbitrary, { maxLength: most, size: "max" }))

const gets: ReadonlyArray<readonly [number, fc.Arbitrary<Call>]> = [
  [5, fc.record({ call: fc.constant("get" as const), page, way })],
  [2, fc.constant<Call>({ call: "put" })],
]

/** What a child does. */
const childCalls = (most: number) => listOf(among(...plainCalls, ...gets, exit), most)

const process: fc.Arbitrary<Process> = weighted<Process>([3, "parent"], [1, "child"])

/** How large workloads may be. */
interface Size {
  /** Threads and kernel threads, the child that one forks and the device not counted. */
  readonly fibers: number
  /** What each of them does. */
  readonly calls: number
}

const kernelThread = (actor: KernelThread, job: fc.Arbitrary<Job>, most: number): fc.Arbitrary<Member> =>
  fc.record({ actor: fc.constant(actor), jobs: listOf(job, most) })

const reclaim = fc.record({ job: fc.constant("reclaim" as const), of: process, page })
const migrate = fc.record({ job: fc.constant("migrate" as const), of: process, page })
const oomReap = fc.constant<Job>({ job: "oom-reap" })
const writeback = fc.record({ job: fc.constant("writeback" as const), page })
const shorten = fc.oneof(
  fc.record({ job: fc.constant("truncate" as const), size: fc.nat({ max: 2 }) }),
  fc.record({ job: fc.constant("punch-hole" as const), range }),
)

/** A fiber that does as many things at most, less where it is not a thread of the parent. */
const member = (most: number): fc.Arbitrary<Member> => {
  const less = Math.max(1, most - 1)
  const fork = fc.record({ call: fc.constant("fork" as const), child: childCalls(Math.ceil(most / 2)) })
  const calls = listOf(among(...plainCalls, ...gets, [6, fork], exit), most)
  return among<Member>(
    [8, fc.record({ actor: fc.constant("cpu" as const), calls })],
    [3, fc.record({ actor: fc.constant("child" as const), calls: childCalls(less) })],
    [3, kernelThread("kswapd", reclaim, less)],
    [3, kernelThread("kcompactd", migrate, less)],
    [1, kernelThread("oom_reaper", oomReap, 1)],
    [2, kernelThread("ftruncate", shorten, less)],
    [2, kernelThread("flusher", writeback, less)],
  )
}

const gpu = (most: number): fc.Arbitrary<Gpu | null> =>
  fc.option(
    fc.record({
      mirrored: range,
      accesses: listOf(fc.record({ access: fc.constantFrom("load" as const, "store" as const), page }), most),
    }),
    { freq: 2 },
  )

/** A program has a fiber at least. */
const idle: Member = { actor: "cpu", calls: [] }

/**
 * Leaves out what cannot be at the same time: a child before it was forked, or forked twice; an exit that is not the last
 * that the only thread of its process does; accesses of a device to what it does not mirror.
 */
const fitting = (workload: Workload): Workload => {
  const forked = workload.pages.some((one) => one !== "unmapped" && isForked(one))
  const alone = (actor: Member["actor"]) => workload.fibers.filter((one) => one.actor === actor).length === 1
  let mayFork = !forked
  const keep = (calls: ReadonlyArray<Call>, mayExit: boolean): ReadonlyArray<Call> => {
    const end = calls.findIndex(({ call }) => call === "exit")
    const exits = mayExit && end !== -1
    return (exits ? calls.slice(0, end + 1) : calls).flatMap((call): ReadonlyArray<Call> => {
      if (call.call === "exit") return exits ? [call] : []
      if (call.call !== "fork") return [call]
      if (!mayFork) return []
      mayFork = false
      return [{ ...call, child: keep(call.child, true) }]
    })
  }
  const members = workload.fibers.flatMap((one): ReadonlyArray<Member> => {
    if (!("calls" in one)) return one.jobs.length === 0 ? [] : [one]
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

/** Random workloads of a size; they shrink to fewer fibers that do less, without a device, on simpler pages. */
export const workloadsOf = (size: Size): fc.Arbitrary<Workload> =>
  fc
    .record({
      pages: fc.tuple(kind, kind),
      // Two of them are there nearly always, the others often.
      fibers: fc.tuple(
        ...Array.from({ length: size.fibers }, (_, position) =>
          fc.option(member(size.calls), { freq: position < 2 ? 20 : 3 }),
        ),
      ),
      gpu: gpu(Math.max(1, size.calls - 1)),
      folios: weighted([3, 8], [1, 5], [1, 4], [1, 3]),
      swapSlots: weighted([3, 3], [1, 2]),
      gatherBatch: weighted([3, 8], [1, 1]),
      pagesPerTable: fc.constantFrom<Array<number>>(1, 2),
    })
    .map(
      ({ fibers, ...rest }) => fitting({ ...rest, fibers: fibers.filter((one) => one !== null) }),
      // And back, so that any workload can be shrunk, wherever it comes from.
      (made) => {
        const { pages, fibers, ...rest } = made as Workload // nothing else is made here
        const none = Array.from({ length: size.fibers - fibers.length }, () => null)
        return { ...rest, pages: [pages[0], pages[1]], fibers: [...fibers, ...none] }
      },
    )

/** Random workloads of two or three fibers that do up to four things each. */
export const workloads: fc.Arbitrary<Workload> = workloadsOf({ fibers: 3, calls: 4 })
