/** The self test of userfaultfd, of which the kernel's list knows a posted patch. */
import * as Effect from "effect/Effect"
import { enterLoop, fork, join } from "../../../checker/index.ts"
import { dmirrorRead } from "../../../model/driver/testHmm.ts"
import { userLoad } from "../../../model/mm/access.ts"
import type { Range } from "../../../model/mm/range.ts"
import {
  type Userfaultfd,
  userfaultfdCopy,
  userfaultfdRead,
  userfaultfdRegister,
  userfaultfdRelease,
  userfaultfdWake,
} from "../../../model/mm/userfaultfd.ts"
import type { Selftest } from "./selftest.ts"
import { buffer, command, device, load, mmap, type Pattern, pages, type Said, succeeds, zero } from "./verbs.ts"
import type { Bench, Verb } from "./world.ts"

/** What the handler fills pages with. */
export const filled: Pattern = () => "filled"

/** The file of the test's process. */
export const ctxOf = ({ world: { userfaultfd } }: Bench): Userfaultfd => {
  if (userfaultfd === null) throw new RangeError("there is no userfaultfd where there are huge pages")
  return userfaultfd
}

export const register = (range: Range): Verb =>
  succeeds("UFFDIO_REGISTER", (bench) => userfaultfdRegister(ctxOf(bench), range))

/** The thread that fills in what is missing, until the file is closed. What it cannot fill in it has looked at anew. */
export const handler = Effect.fnUntraced(function* (ctx: Userfaultfd) {
  const head = yield* enterLoop("userfaultfd_handler")
  for (;;) {
    yield* head()
    const va = yield* userfaultfdRead(ctx)
    if (va === null) return
    yield* Effect.catchTag(userfaultfdCopy(ctx, va, filled(va)), "Errno", () =>
      userfaultfdWake(ctx, { start: va, end: va + 1 }),
    )
  }
})

/** Something with the handler beside it; then the file is closed. */
const besideHandler = <A, E>(bench: Bench, run: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.gen(function* () {
    const thread = yield* fork("handler", handler(ctxOf(bench)))
    const result = yield* run
    yield* userfaultfdRelease(ctxOf(bench))
    yield* join(thread)
    return result
  })

/** READ, whose faults may drop `mmap_lock`. */
const readBesideHandler = (range: Range, said: Said): Verb =>
  command("READ", range, said, (bench) => besideHandler(bench, dmirrorRead(bench.file("parent", 0), range, true)))

const four = pages(0, 4)
const gpu = device(0)

export const userfaultfdCases: ReadonlyArray<Selftest> = [
  {
    number: 38,
    id: "userfaultfd_read",
    fixture: "hmm",
    does: "pages are never touched and registered for missing faults; READ with mmap_lock held, and READ with faults that may drop it, beside a thread that fills in what is missing",
    expects: "-EFAULT; 0, all pages, 1 fault, and what the thread has filled in",
    script: [
      mmap(four, "private"),
      register(four),
      gpu.read(four, "-EFAULT"),
      readBesideHandler(four, { cpages: 4, faults: 1, data: filled }),
    ],
  },
  {
    number: 38,
    id: "userfaultfd_read-cpu",
    fixture: "hmm",
    does: "the process reads a page that is registered for missing faults, beside the thread that fills in what is missing; the device READ it; not in the kernel's file",
    expects: "what the thread has filled in; the same",
    script: [
      mmap(buffer, "private"),
      register(buffer),
      succeeds("a load beside the handler", (bench) => besideHandler(bench, userLoad(bench.world.parent, "cpu0", 0))),
      load(pages(0, 1), filled),
      gpu.read(buffer, { cpages: 2, faults: 1, data: (va) => (va === 0 ? filled(va) : zero(va)) }),
    ],
  },
]
