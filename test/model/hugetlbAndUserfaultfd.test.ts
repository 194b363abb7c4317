/** What calls come to in areas of hugetlbfs, and with userfaultfd. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { step } from "../../checker/index.ts"
import type { Errno, Signal } from "../../model/errno.ts"
import { inode } from "../../model/file/inode.ts"
import { userLoad, userStore } from "../../model/mm/access.ts"
import { exitMm } from "../../model/mm/exit.ts"
import { getUserPages } from "../../model/mm/gup.ts"
import { madvise } from "../../model/mm/madvise.ts"
import { addressSpace, type Mm } from "../../model/mm/mm.ts"
import { mmap } from "../../model/mm/mmap.ts"
import { mprotect } from "../../model/mm/protect.ts"
import { type SystemSize, system } from "../../model/mm/system.ts"
import { munmap } from "../../model/mm/unmap.ts"
import {
  type Userfaultfd,
  userfaultfd,
  userfaultfdCopy,
  userfaultfdRegister,
  userfaultfdRelease,
} from "../../model/mm/userfaultfd.ts"
import { runAlone } from "./alone.ts"

const range = (start: number, end: number) => ({ start, end })
const rw = { prot: "rw", shared: false } as const
const hugetlb = { ...rw, hugetlb: true } as const
const huge = range(0, 2)

type Run = Effect.Effect<unknown, Errno | Signal>

/** What the last of these comes to; the others have to succeed. */
const inHugetlbfs = (run: (mm: Mm) => Run, size: Partial<SystemSize> = {}): string =>
  runAlone(() => {
    const of = system({ folios: 4, cgroups: ["process"], thp: true, hugetlb: true, ...size })
    const mm = addressSpace(of, "process", 4, ["cpu"])
    return Effect.gen(function* () {
      const outcome = yield* Effect.match(run(mm), { onFailure: ({ message }) => message, onSuccess: String })
      const inUse = yield* step("in use", () => of.folios.arena.slots.filter(({ live }) => live).length)
      return `${outcome}, ${inUse} pages in use`
    })
  })

const mapped = (mm: Mm, then: Run): Run => Effect.andThen(mmap(mm, huge, hugetlb), then)
const stored = (mm: Mm, then: Run): Run => mapped(mm, Effect.andThen(userStore(mm, "cpu", 1, "stored"), then))

describe("an area of hugetlbfs", () => {
  it.each<[string, (mm: Mm) => Run, string]>([
    ["is mapped where huge pages are", (mm) => mmap(mm, range(1, 3), hugetlb), "mmap fails with EINVAL, 0"],
    ["has a page of zeroes for a load", (mm) => mapped(mm, userLoad(mm, "cpu", 0)), "0, 2"],
    ["keeps what is stored", (mm) => stored(mm, userLoad(mm, "cpu", 1)), "stored, 2"],
    [
      "may be stored to behind a load",
      (mm) => mapped(mm, Effect.andThen(userLoad(mm, "cpu", 1), userStore(mm, "cpu", 1, "x"))),
      "x, 2",
    ],
    ["is unmapped whole", (mm) => stored(mm, munmap(mm, huge)), "undefined, 0"],
    ["is not unmapped by half", (mm) => stored(mm, munmap(mm, range(0, 1))), "munmap fails with EINVAL, 2"],
    ["is not protected by half", (mm) => stored(mm, mprotect(mm, range(1, 2), "r")), "mprotect fails with EINVAL, 2"],
    [
      "is not zapped by half",
      (mm) => stored(mm, madvise(mm, range(0, 1), "MADV_DONTNEED")),
      "madvise fails with EINVAL, 2",
    ],
    ["is zapped whole", (mm) => stored(mm, madvise(mm, huge, "MADV_DONTNEED")), "undefined, 0"],
    ["is not lazily freed", (mm) => stored(mm, madvise(mm, huge, "MADV_FREE")), "madvise fails with EINVAL, 2"],
    ["goes with the process", (mm) => stored(mm, exitMm(mm)), "undefined, 0"],
  ])("%s", (_, run, outcome) => {
    expect(inHugetlbfs(run)).toBe(`${outcome} pages in use`)
  })

  it("ends an access with SIGBUS where there is no huge page", () => {
    expect(inHugetlbfs((mm) => mapped(mm, userLoad(mm, "cpu", 0)), { folios: 0 })).toBe(
      "the access to page 0 ends in SIGBUS, 0 pages in use",
    )
  })

  it("is not to be had without hugetlbfs", () => {
    expect(inHugetlbfs((mm) => mmap(mm, huge, hugetlb), { hugetlb: false })).toBe(
      "mmap fails with EINVAL, 0 pages in use",
    )
  })
})

/** 0 and 1: anonymous, 0 registered; 2: a file. What a call comes to. */
const withUserfaultfd = (run: (ctx: Userfaultfd) => Run): string =>
  runAlone(() => {
    const of = system({ folios: 4, cgroups: ["process", "file"] })
    const mm = addressSpace(of, "process", 4, ["cpu"])
    const file = inode(of, "file", { size: 1 })
    const ctx = userfaultfd(mm)
    return Effect.gen(function* () {
      yield* mmap(mm, range(0, 2), rw)
      yield* mmap(mm, range(2, 3), { prot: "rw", shared: true, file: { inode: file, pgoff: 0 } })
      yield* userfaultfdRegister(ctx, range(0, 1))
      return yield* Effect.match(run(ctx), { onFailure: ({ message }) => message, onSuccess: String })
    })
  })

describe("userfaultfd", () => {
  const copied = (ctx: Userfaultfd, then: Run): Run => Effect.andThen(userfaultfdCopy(ctx, 0, "filled"), then)
  it.each<[string, (ctx: Userfaultfd) => Run, string]>([
    ["fills a page in", (ctx) => copied(ctx, userLoad(ctx.mm, "cpu", 0)), "filled"],
    ["fills it in once", (ctx) => copied(ctx, userfaultfdCopy(ctx, 0, "again")), "ioctl fails with EEXIST"],
    ["fills in what is registered", (ctx) => userfaultfdCopy(ctx, 1, "filled"), "ioctl fails with ENOENT"],
    ["knows of no file", (ctx) => userfaultfdRegister(ctx, range(2, 3)), "ioctl fails with EINVAL"],
    ["knows of no hole", (ctx) => userfaultfdRegister(ctx, range(3, 4)), "ioctl fails with EINVAL"],
    [
      "asks for what was zapped",
      (ctx) =>
        copied(
          ctx,
          Effect.andThen(madvise(ctx.mm, range(0, 1), "MADV_DONTNEED"), copied(ctx, userLoad(ctx.mm, "cpu", 0))),
        ),
      "filled",
    ],
    ["leaves alone what is not registered", (ctx) => userLoad(ctx.mm, "cpu", 1), "0"],
    ["leaves all alone when closed", (ctx) => Effect.andThen(userfaultfdRelease(ctx), userLoad(ctx.mm, "cpu", 0)), "0"],
    [
      "ends with the process",
      (ctx) => Effect.andThen(exitMm(ctx.mm), userfaultfdCopy(ctx, 0, "filled")),
      "ioctl fails with ESRCH",
    ],
    [
      "cannot be waited for where the lock stays held",
      (ctx) => getUserPages(ctx.mm, 0, { write: true, pin: false }),
      "get_user_pages fails with EFAULT",
    ],
  ])("%s", (_, run, outcome) => {
    expect(withUserfaultfd(run)).toBe(outcome)
  })

  it("has whoever loads wait", () => {
    expect(() => withUserfaultfd((ctx) => userLoad(ctx.mm, "cpu", 0))).toThrow(/handle_userfault: schedule/)
  })
})
