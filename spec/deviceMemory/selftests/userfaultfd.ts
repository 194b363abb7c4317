/** userfaultfd under every schedule: whoever waits for a page is woken, whatever becomes of it. */
import * as Effect from "effect/Effect"
import { choose, scenario } from "../../../checker/index.ts"
import { dmirrorRead } from "../../../model/driver/testHmm.ts"
import { munmap } from "../../../model/mm/unmap.ts"
import { userfaultfdRelease } from "../../../model/mm/userfaultfd.ts"
import { comesTo, concurrently, concurrentProperties } from "./concurrent.ts"
import { ctxOf, filled, handler, register } from "./userfaultfdCases.ts"
import { mmap, pages, zero } from "./verbs.ts"
import { type Bench, selftestWorld } from "./world.ts"

const one = pages(0, 1)

/** READ, and the file is closed. */
const reads = (bench: Bench) =>
  Effect.andThen(
    comesTo(bench, "READ", dmirrorRead(bench.file("parent", 0), one, true), 1, [
      { cpages: 1, data: filled },
      { cpages: 1, data: zero },
      "-EFAULT",
    ]),
    userfaultfdRelease(ctxOf(bench)),
  )

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
