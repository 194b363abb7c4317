/** userfaultfd under every schedule: whoever waits for a page is woken, whatever becomes of it. */
import * as Effect from "effect/Effect"
import {
  choose,
  fork,
  join,
  type Monitor,
  type Property,
  type Setup,
  type Struct,
  scenario,
  struct,
} from "../../../checker/index.ts"
import { dmirrorRead } from "../../../model/driver/testHmm.ts"
import { userLoad } from "../../../model/mm/access.ts"
import { munmap } from "../../../model/mm/unmap.ts"
import { userfaultfdRelease } from "../../../model/mm/userfaultfd.ts"
import { type ConcurrentWorld, comesTo, concurrently, concurrentProperties } from "./concurrent.ts"
import { ctxOf, filled, handler, register } from "./userfaultfdCases.ts"
import { mmap, pages, type Said, zero } from "./verbs.ts"
import { type Bench, expect, selftestWorld } from "./world.ts"

/** What is asked of those who wait for pages to be filled in. */
export interface UserfaultfdWorld extends ConcurrentWorld {
  readonly waits: Struct<{
    /** Who has to wait, and was not woken yet. */
    waiting: ReadonlyArray<string>
    /** Who has gone on without having been woken; nobody is "". */
    unasked: string
  }>
}

/** Keeps a record of who waits for what is missing. */
const watched = ({ world, monitors = [], ...setup }: Setup<ConcurrentWorld>): Setup<UserfaultfdWorld> => {
  const waits: UserfaultfdWorld["waits"] = struct("waits", { waiting: [], unasked: "" })
  const leaves = (fiber: string) => {
    waits.waiting = waits.waiting.filter((name) => name !== fiber)
  }
  const woken = () => {
    for (const fiber of world.userfaultfd?.state.woken ?? []) leaves(fiber)
  }
  const monitor: Monitor = {
    userfaultfd_must_wait: ({ fiber, result }) => {
      if (result === true) waits.waiting = [...waits.waiting, fiber].sort()
    },
    "READ_ONCE(ctx->released)": ({ fiber, result }) => {
      if (result === true) leaves(fiber)
    },
    "UFFDIO_COPY: wake_userfault": woken,
    "UFFDIO_WAKE: wake_userfault": woken,
    "userfaultfd_release: wake_userfault": woken,
    // By now it may have been woken before it was seen that it has to wait.
    "handle_userfault: schedule": woken,
    "handle_userfault: list_del": ({ fiber }) => {
      if (waits.waiting.includes(fiber)) waits.unasked = fiber
      leaves(fiber)
    },
  }
  return { ...setup, world: { ...world, waits }, monitors: [...monitors, monitor] }
}

const properties: ReadonlyArray<Property<UserfaultfdWorld>> = [
  ...concurrentProperties,
  {
    kind: "invariant",
    id: "USERFAULTFD-WAIT",
    statement:
      "A fault that finds a page missing, and the file open, goes on when it has been woken, and does not ask for the page over and over.",
    source: "fs/userfaultfd.c: handle_userfault; Documentation/admin-guide/mm/userfaultfd.rst",
    premise: ({ waits }) => waits.waiting.length > 0,
    holds: ({ waits }) => waits.unasked === "",
    explain: ({ waits }) => `Nobody has woken ${waits.unasked}.`,
  },
]

const one = pages(0, 1)

/** What READ of a page may come to: what the handler fills in, or what is there without it. */
const withHandler: Said = { cpages: 1, data: filled }
const withoutHandler: Said = { cpages: 1, data: zero }

/** READ of one page. */
const readsOne = (bench: Bench, va: number, ...possible: ReadonlyArray<Said>) =>
  comesTo(bench, "READ", dmirrorRead(bench.file("parent", 0), pages(va, va + 1), true), 1, possible)

/** READ, and the file is closed. */
const reads = (bench: Bench) =>
  Effect.andThen(readsOne(bench, 0, withHandler, withoutHandler, "-EFAULT"), userfaultfdRelease(ctxOf(bench)))

/** A thread that unmaps the page, or an end of the process that begins with its files. */
const unmapsOrCloses = (bench: Bench) =>
  Effect.flatMap(choose("meanwhile", ["munmap", "exit_files"]), (what) =>
    what === "munmap" ? Effect.ignore(munmap(bench.world.parent, one)) : userfaultfdRelease(ctxOf(bench)),
  )

/** A page that the device waits for is filled in, while it is unmapped or nobody is to fill in anything any more. */
export const readAgainstUnmap = scenario({
  id: "device/selftests/userfaultfd_read+munmap",
  summary:
    "the device has READ a page that a handler fills in, while it is unmapped or the userfaultfd closed. Expected: READ comes to 0 with what was filled in, or with zeroes where the file was closed first, or to -EFAULT; nobody sleeps for ever",
  setup: () =>
    watched(
      concurrently(
        {
          fixture: "hmm",
          before: [mmap(one, "private"), register(one)],
          atOnce: (bench) => ({ reader: reads(bench), handler: handler(ctxOf(bench)), other: unmapsOrCloses(bench) }),
          behind: [],
        },
        selftestWorld({ pages: 1, devicePages: 1 }),
        ["private"],
      ),
    ),
  properties,
})

/** Two READs at once, each of a page that nobody has touched. */
const readsBoth = Effect.fnUntraced(function* (bench: Bench, expected: Said) {
  const second = yield* fork("second", readsOne(bench, 1, expected))
  yield* readsOne(bench, 0, expected)
  yield* join(second)
})

const two = pages(0, 2)

/** Two pages that are waited for at once, beside somebody else. */
const twoPages = (
  id: string,
  summary: string,
  atOnce: (bench: Bench) => Readonly<Record<string, Effect.Effect<unknown>>>,
  cpus?: ReadonlyArray<string>,
) =>
  scenario({
    id,
    summary,
    setup: () =>
      watched(
        concurrently(
          { fixture: "hmm", before: [mmap(two, "private"), register(two)], atOnce, behind: [] },
          selftestWorld({ pages: 2, devicePages: 1 }, cpus),
          ["private"],
        ),
      ),
    properties,
  })

export const readTwiceAgainstHandler = twoPages(
  "device/selftests/userfaultfd_read+read",
  "the device has READ two pages at once that one handler fills in. Expected: each READ comes to 0 with what was filled in; nobody sleeps for ever",
  (bench) => ({
    readers: Effect.andThen(readsBoth(bench, withHandler), userfaultfdRelease(ctxOf(bench))),
    handler: handler(ctxOf(bench)),
  }),
)

export const readTwiceAgainstClose = twoPages(
  "device/selftests/userfaultfd_read+read+close",
  "the device has READ two pages at once, and the userfaultfd is closed. Expected: each READ comes to 0 with zeroes; nobody sleeps for ever",
  (bench) => ({ readers: readsBoth(bench, withoutHandler), other: userfaultfdRelease(ctxOf(bench)) }),
)

/** A load of a processor, which comes to one of these. */
const loads = ({ world }: Bench, cpu: string, va: number, ...possible: ReadonlyArray<string>) =>
  Effect.match(userLoad(world.parent, cpu, va), {
    onSuccess: (content): string => content,
    onFailure: ({ signal }): string => signal,
  }).pipe(
    Effect.flatMap((got) =>
      expect(world, `page ${va}`, got, possible.find((each) => each === got) ?? possible.join(" or ")),
    ),
  )

/** Two loads at once, of both pages; then the file is closed. */
const loadsBoth = Effect.fnUntraced(function* (bench: Bench) {
  const second = yield* fork("cpu1", loads(bench, "cpu1", 1, filled(1)))
  yield* loads(bench, "cpu0", 0, filled(0), "SIGSEGV")
  yield* join(second)
  yield* userfaultfdRelease(ctxOf(bench))
})

/** Nobody but processors: with a device that reads there are many times as many states. */
export const loadTwiceAgainstUnmap = twoPages(
  "device/selftests/userfaultfd_load+load+munmap",
  "two threads load a page each that one handler fills in, while the first page is unmapped; not in the kernel's file. Expected: what was filled in, or of the first SIGSEGV; nobody sleeps for ever",
  (bench) => ({
    cpu0: loadsBoth(bench),
    handler: handler(ctxOf(bench)),
    other: Effect.ignore(munmap(bench.world.parent, one)),
  }),
  ["cpu0", "cpu1"],
)
