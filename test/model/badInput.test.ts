/** Whatever a process asks for that cannot be is an error of the call or a signal, typed, and nothing else changes. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { step } from "../../checker/index.ts"
import type { Errno, Signal } from "../../model/errno.ts"
import { type Inode, inode } from "../../model/file/inode.ts"
import { punchHole, truncate } from "../../model/file/truncate.ts"
import { userLoad, userStore } from "../../model/mm/access.ts"
import { dupMmap } from "../../model/mm/fork.ts"
import { getUserPages } from "../../model/mm/gup.ts"
import { getUserPagesFast } from "../../model/mm/gupFast.ts"
import { type Advice, madvise } from "../../model/mm/madvise.ts"
import { addressSpace, type Mm } from "../../model/mm/mm.ts"
import { mmap } from "../../model/mm/mmap.ts"
import { mremap } from "../../model/mm/mremap.ts"
import { mprotect } from "../../model/mm/protect.ts"
import { type System, system } from "../../model/mm/system.ts"
import { munmap } from "../../model/mm/unmap.ts"
import { runAlone } from "./alone.ts"

interface Machine {
  readonly system: System
  readonly mm: Mm
  readonly child: Mm
  readonly file: Inode
}

type Call = (machine: Machine) => Effect.Effect<unknown, Errno | Signal>

const range = (start: number, end: number) => ({ start, end })

/** 0 and 1: anonymous; 2: read-only; 3: PROT_NONE; 4 and 5: a file of one page; 6 and 7: nothing. */
const layOut = Effect.fnUntraced(function* ({ mm, file }: Machine) {
  yield* mmap(mm, range(0, 2), { prot: "rw", shared: false })
  yield* mmap(mm, range(2, 3), { prot: "r", shared: false })
  yield* mmap(mm, range(3, 4), { prot: "none", shared: false })
  yield* mmap(mm, range(4, 6), { prot: "rw", shared: true, file: { inode: file, pgoff: 0 } })
})

/** The message of the failure that a call ends in; "done" where it ends well. */
const outcome = (call: Call, folios = 8): string =>
  runAlone(() => {
    const of = system({ folios, cgroups: ["process", "child", "file"] })
    const machine: Machine = {
      system: of,
      mm: addressSpace(of, "process", 8, ["cpu"]),
      child: addressSpace(of, "child", 8, ["cpu"], 0),
      file: inode(of, "file", { size: 1, maxSize: 2 }),
    }
    const { mm } = machine
    return Effect.gen(function* () {
      yield* layOut(machine)
      const before = yield* areas(mm)
      const message = yield* Effect.match(call(machine), {
        onFailure: ({ message }) => message,
        onSuccess: () => "done",
      })
      const after = yield* areas(mm)
      return message === "done" || before === after ? message : `${message}, and changes what is mapped`
    })
  })

const areas = (mm: Mm): Effect.Effect<string> =>
  step("look", () => JSON.stringify([mm.vma.map(({ value }) => value?.prot), mm.mmapLock.state, mm.state.users]))

const nonsense = [range(3, 1), range(-1, 1), range(0.5, 2), range(Number.NaN, 2), range(0, Number.NaN)]

describe("bad input", () => {
  it.each(nonsense)("no call takes a range from $start to $end for one", (bad) => {
    const calls: ReadonlyArray<Call> = [
      ({ mm }) => mmap(mm, bad, { prot: "rw", shared: false }),
      ({ mm }) => munmap(mm, bad),
      ({ mm }) => mprotect(mm, bad, "r"),
      ({ mm }) => madvise(mm, bad, "MADV_DONTNEED"),
      ({ mm }) => mremap(mm, bad, 1),
      ({ mm }) => mremap(mm, bad, 1, 6),
      ({ system, file }) => punchHole(system, file, bad),
    ]
    for (const call of calls) expect(outcome(call)).toMatch(/^\w+ fails with (EINVAL|ENOMEM|EFAULT)$/)
  })

  it("mmap", () => {
    const anonymous = { prot: "rw", shared: false } as const
    expect(outcome(({ mm }) => mmap(mm, range(6, 6), anonymous))).toBe("mmap fails with EINVAL")
    expect(outcome(({ mm }) => mmap(mm, range(6, 9), anonymous))).toBe("mmap fails with ENOMEM")
    for (const pgoff of [-1, 0.5, Number.NaN]) {
      const call: Call = ({ mm, file }) => mmap(mm, range(6, 7), { ...anonymous, file: { inode: file, pgoff } })
      expect(outcome(call)).toBe("mmap fails with EINVAL")
    }
  })

  it("munmap", () => {
    expect(outcome(({ mm }) => munmap(mm, range(6, 6)))).toBe("munmap fails with EINVAL")
    expect(outcome(({ mm }) => munmap(mm, range(6, 9)))).toBe("munmap fails with EINVAL")
    expect(outcome(({ mm }) => munmap(mm, range(6, 8)))).toBe("done")
  })

  it("mprotect", () => {
    expect(outcome(({ mm }) => mprotect(mm, range(8, 9), "r"))).toBe("mprotect fails with ENOMEM")
    expect(outcome(({ mm }) => mprotect(mm, range(6, 8), "r"))).toBe("mprotect fails with ENOMEM")
    expect(outcome(({ mm }) => mprotect(mm, range(2, 9), "r"))).toBe(
      "mprotect fails with ENOMEM, and changes what is mapped",
    )
    expect(outcome(({ mm }) => mprotect(mm, range(9, 9), "r"))).toBe("done")
  })

  it("madvise", () => {
    const advise = (start: number, end: number, advice: Advice) =>
      outcome(({ mm }) => madvise(mm, range(start, end), advice))
    expect(advise(0, 9, "MADV_DONTNEED")).toBe("madvise fails with ENOMEM")
    expect(advise(5, 7, "MADV_COLD")).toBe("madvise fails with ENOMEM")
    expect(advise(8, 9, "MADV_PAGEOUT")).toBe("madvise fails with ENOMEM")
    expect(advise(0, 9, "MADV_FREE")).toBe("madvise fails with EINVAL")
    expect(advise(9, 9, "MADV_FREE")).toBe("done")
  })

  it("mremap", () => {
    const remap = (start: number, end: number, pages: number, to?: number) =>
      outcome(({ mm }) => mremap(mm, range(start, end), pages, to))
    expect(remap(0, 1, 0)).toBe("mremap fails with EINVAL")
    expect(remap(0, 1, Number.NaN)).toBe("mremap fails with EINVAL")
    expect(remap(0, 1, 1, -1)).toBe("mremap fails with EINVAL")
    expect(remap(0, 1, 1, 0.5)).toBe("mremap fails with EINVAL")
    expect(remap(0, 1, 1, 8)).toBe("mremap fails with EINVAL")
    expect(remap(0, 2, 2, 1)).toBe("mremap fails with EINVAL")
    expect(remap(0, 0, 1, 6)).toBe("mremap fails with EINVAL")
    expect(remap(4, 1e12, 1)).toBe("mremap fails with EINVAL")
    expect(remap(6, 7, 1)).toBe("mremap fails with EFAULT")
    expect(remap(6, 7, 1, 0)).toBe("mremap fails with EFAULT")
    expect(remap(1, 3, 3, 5)).toBe("mremap fails with EFAULT")
    expect(remap(0, 2, 3)).toBe("mremap fails with ENOMEM")
    expect(remap(4, 6, 5)).toBe("mremap fails with ENOMEM")
    expect(remap(4, 5, 1e12)).toBe("mremap fails with ENOMEM")
  })

  it("ftruncate", () => {
    for (const size of [-1, 0.5, 3, Number.NaN])
      expect(outcome(({ system, file }) => truncate(system, file, size))).toBe("ftruncate fails with EINVAL")
    expect(outcome(({ system, file }) => truncate(system, file, 2))).toBe("done")
  })

  it.each([
    { name: "getUserPages", get: getUserPages },
    { name: "getUserPagesFast", get: getUserPagesFast },
  ])("$name", ({ get }) => {
    const pin = (va: number, write: boolean, more: { longterm?: boolean; folios?: number } = {}) => {
      const { longterm = false, folios } = more
      return outcome(({ mm }) => get(mm, va, { write, pin: true, longterm }), folios)
    }
    for (const va of [6, 3]) expect(pin(va, false)).toBe("get_user_pages fails with EFAULT")
    expect(pin(2, true)).toBe("get_user_pages fails with EFAULT")
    expect(pin(5, false)).toBe("get_user_pages fails with EFAULT")
    expect(pin(4, true, { longterm: true })).toBe("get_user_pages fails with EFAULT")
    expect(pin(0, true, { folios: 0 })).toBe("get_user_pages fails with ENOMEM")
    for (const va of [8, -1, 0.5, Number.NaN])
      expect(pin(va, false)).toMatch(/^get_user_pages(_fast)? fails with EFAULT$/)
    expect(pin(2, false)).toBe("done")
  })

  it("accesses", () => {
    const load = (va: number, folios?: number) => outcome(({ mm }) => userLoad(mm, "cpu", va), folios)
    const store = (va: number, folios?: number) => outcome(({ mm }) => userStore(mm, "cpu", va, "x"), folios)
    for (const va of [3, 6, 8, -1, 0.5]) {
      expect(load(va)).toBe(`the access to page ${va} ends in SIGSEGV`)
      expect(store(va)).toBe(`the access to page ${va} ends in SIGSEGV`)
    }
    expect(store(2)).toBe("the access to page 2 ends in SIGSEGV")
    expect(load(5)).toBe("the access to page 5 ends in SIGBUS")
    expect(store(5)).toBe("the access to page 5 ends in SIGBUS")
    expect(load(4, 0)).toBe("the access to page 4 ends in SIGKILL")
    expect(store(0, 0)).toBe("the access to page 0 ends in SIGKILL")
    expect(load(2)).toBe("done")
  })

  it("fork, where a page that is pinned cannot be copied for want of memory", () => {
    const pinAndFork: Call = ({ mm, child }) =>
      Effect.andThen(getUserPages(mm, 0, { write: true, pin: true }), dupMmap(mm, child))
    expect(outcome(pinAndFork, 1)).toBe("fork fails with ENOMEM")
    expect(outcome(pinAndFork, 2)).toBe("done")
  })
})
