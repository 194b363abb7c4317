/** userfaultfd under every schedule: whoever waits for a page is woken, whatever becomes of it. */
import * as Effect from "effect/Effect"
import { choose, fork, join, scenario } from "../../../checker/index.ts"
import { dmirrorRead } from "../../../model/driver/testHmm.ts"
import { munmap } from "../../../model/mm/unmap.ts"
import { userfaultfdRelease } from "../../../model/mm/userfaultfd.ts"
import { comesTo, concurrently, concurrentProperties } from "./concurrent.ts"
import { ctxOf, filled, handler, register } from "./userfaultfdCases.ts"
import { mmap, pages, type Said, zero } from "./verbs.ts"
import { type Bench, selftestWorld } from "./world.ts"

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
  properties: concurrentProperties,
})

/** Two READs at once, each of a page that nobody has touched. */
const readsBoth = Effect.fnUntraced(function* (bench: Bench, expected: Said) {
  const second = yield* fork("second", readsOne(bench, 1, expected))
  yield* readsOne(bench, 0, expected)
  yield* join(second)
})

const two = pages(0, 2)

/** A device that waits for two pages at once, beside somebody else. */
const readTwice = (
  id: string,
  summary: string,
  atOnce: (bench: Bench) => Readonly<Record<string, Effect.Effect<unknown>>>,
) =>
  scenario({
    id,
    summary,
    setup: () =>
      concurrently(
        { fixture: "hmm", before: [mmap(two, "private"), register(two)], atOnce, behind: [] },
        selftestWorld({ pages: 2, devicePages: 1 }),
        ["private"],
      ),
    properties: concurrentProperties,
  })

export const readTwiceAgainstHandler = readTwice(
  "device/selftests/userfaultfd_read+read",
  "the device has READ two pages at once that one handler fills in. Expected: each READ comes to 0 with what was filled in; nobody sleeps for ever",
  (bench) => ({
    readers: Effect.andThen(readsBoth(bench, withHandler), userfaultfdRelease(ctxOf(bench))),
    handler: handler(ctxOf(bench)),
  }),
)

export const readTwiceAgainstClose = readTwice(
  "device/selftests/userfaultfd_read+read+close",
  "the device has READ two pages at once, and the userfaultfd is closed. Expected: each READ comes to 0 with zeroes; nobody sleeps for ever",
  (bench) => ({ readers: readsBoth(bench, withoutHandler), other: userfaultfdRelease(ctxOf(bench)) }),
)
