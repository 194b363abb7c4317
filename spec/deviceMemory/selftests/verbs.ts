/** What the self tests do, each step with what it is to come to. */
import * as Effect from "effect/Effect"
import { step } from "../../../checker/index.ts"
import type { DmirrorCmd, DmirrorRet } from "../../../model/driver/testHmm.ts"
import { dmirrorFopsOpen, dmirrorFopsRelease, dmirrorRead, dmirrorWrite } from "../../../model/driver/testHmm.ts"
import { dmirrorDeviceRemoveChunks, dmirrorFailAlloc } from "../../../model/driver/testHmmDevice.ts"
import { dmirrorCheckAtomic, dmirrorExclusive } from "../../../model/driver/testHmmExclusive.ts"
import { dmirrorMigrateToDevice, dmirrorMigrateToSystem } from "../../../model/driver/testHmmMigrate.ts"
import { type DmirrorProt, dmirrorSnapshot } from "../../../model/driver/testHmmSnapshot.ts"
import type { Errno, Signal } from "../../../model/errno.ts"
import { contentInFile } from "../../../model/file/inode.ts"
import { userLoad, userStore } from "../../../model/mm/access.ts"
import { exitMm } from "../../../model/mm/exit.ts"
import { linkTable } from "../../../model/mm/fault.ts"
import { type Content, folioAlloc, folioOf, zeroes } from "../../../model/mm/folio.ts"
import { dupMmap } from "../../../model/mm/fork.ts"
import { type GupFlags, getUserPages, putUserPage } from "../../../model/mm/gup.ts"
import { getUserPagesFast } from "../../../model/mm/gupFast.ts"
import { type Advice, madvise as doMadvise } from "../../../model/mm/madvise.ts"
import { mmap as doMmap } from "../../../model/mm/mmap.ts"
import { mremap as doMremap } from "../../../model/mm/mremap.ts"
import { mprotect as doMprotect } from "../../../model/mm/protect.ts"
import { present } from "../../../model/mm/pte.ts"
import { at, pagesOf, type Range } from "../../../model/mm/range.ts"
import { munmap as doMunmap } from "../../../model/mm/unmap.ts"
import { anonymous, type Protection } from "../../../model/mm/vma.ts"
import { type Bench, expect, type Variant, type Verb, type Who } from "./world.ts"

/** The pages from one up to another. */
export const pages = (start: number, end: number): Range => ({ start, end })

/** The whole buffer of most tests: with fewer pages than two nothing can be half of it. */
export const buffer = pages(0, 2)
/** What is said where all of it was handled. */
export const whole = { cpages: 2 }

/** What is stored in each page: its number, so that no two have the same, or another pattern of it. */
export type Pattern = (va: number) => Content
export const i: Pattern = (va) => `i${va}`
export const minusI: Pattern = (va) => `-i${va}`
export const zero: Pattern = () => zeroes
export const plus =
  (round: number): Pattern =>
  (va) =>
    `i${va}+${round}`

/** What a command of the driver is to say. Nothing but the error, where there is one. */
export type Said =
  | Exclude<DmirrorRet, "0">
  | { readonly cpages: number; readonly faults?: number; readonly data?: Pattern }

/** Only with one kind of memory. */
export const only =
  (variant: Variant, ...verbs: ReadonlyArray<Verb>): Verb =>
  (bench) =>
    bench.variant === variant ? inOrder(verbs)(bench) : []

/** One after the other. */
export const inOrder =
  (verbs: ReadonlyArray<Verb>): Verb =>
  (bench) =>
    verbs.flatMap((verb) => verb(bench))

/** Again and again, the round told. */
export const rounds = (count: number, round: (number: number) => ReadonlyArray<Verb>): Verb =>
  inOrder(Array.from({ length: count }, (_, number) => inOrder(round(number))))

const mmOf = ({ world }: Bench, who: Who) => world[who]
const cpuOf = (who: Who): string => (who === "parent" ? "cpu0" : "child0")

/** 0, or how it failed. */
const outcomeOf = <A>(call: Effect.Effect<A, Errno | Signal>): Effect.Effect<string> =>
  Effect.match(call, {
    onSuccess: () => "0",
    onFailure: (error) => (error._tag === "Errno" ? `-${error.errno}` : error.signal),
  })

/** A system call that is to come to that. */
const comesTo =
  (name: string, expected: string, call: (bench: Bench) => Effect.Effect<unknown, Errno | Signal>): Verb =>
  (bench) => [Effect.flatMap(outcomeOf(call(bench)), (got) => expect(bench.world, name, got, expected))]

/** A system call that is to succeed. */
export const succeeds = (name: string, call: (bench: Bench) => Effect.Effect<unknown, Errno | Signal>): Verb =>
  comesTo(name, "0", call)

/** Of which memory a buffer is: private or shared, of the file, of the device's own file, or of none. */
export type Backing = "private" | "shared" | "file" | "private file"

export const mmap = (range: Range, backing: Backing, prot: Protection = "rw"): Verb =>
  succeeds("mmap", ({ world }) => {
    const shared = backing === "shared" || backing === "file"
    if (backing === "private") return doMmap(world.parent, range, { prot, shared })
    const inode = backing === "shared" ? world.shmem : world.file
    return doMmap(world.parent, range, { prot, shared, file: { inode, pgoff: 0 } })
  })

/** `dmirror_fops_mmap`: a private mapping of the device's file, a page in it from the beginning. */
export const mmapDevice = (va: number): Verb =>
  succeeds("mmap", ({ world }) =>
    step("vm_insert_page", [va], () => {
      const { parent, system } = world
      const frame = folioAlloc(system.folios, "hmm_dmirror")
      if (frame === null) throw new RangeError("there is no memory for the device's page")
      at(parent.vma, va).value = { ...anonymous, pgoff: va, file: "hmm_dmirror" }
      linkTable(parent, va)
      at(parent.pte, va).value = present(frame, "read", { young: false })
      folioOf(system.folios, frame).mapcount = 1
      parent.rss.file++
    }),
  )

/** MAP_HUGETLB */
export const mmapHugetlb = (range: Range): Verb =>
  succeeds("mmap", ({ world }) => doMmap(world.parent, range, { prot: "rw", shared: false, hugetlb: true }))

export const munmap = (range: Range, expected = "0"): Verb =>
  comesTo("munmap", expected, ({ world }) => doMunmap(world.parent, range))
export const mprotect = (range: Range, prot: Protection): Verb =>
  succeeds("mprotect", ({ world }) => doMprotect(world.parent, range, prot))
export const madvise = (range: Range, advice: Advice): Verb =>
  succeeds("madvise", ({ world }) => doMadvise(world.parent, range, advice))
export const mremap = (range: Range, to: number, dontUnmap: boolean): Verb =>
  succeeds("mremap", ({ world }) => doMremap(world.parent, range, range.end - range.start, to, dontUnmap))
export const fork: Verb = succeeds("fork", ({ world }) => dupMmap(world.parent, world.child))
/** The child ends, and is waited for. */
export const exit: Verb = succeeds("exit", ({ world }) => exitMm(world.child))

/** A process stores to each page. */
export const store = (range: Range, what: Pattern = i, who: Who = "parent"): Verb =>
  inOrder(
    pagesOf(range).map((va) =>
      succeeds(`a store to page ${va}`, (bench) => userStore(mmOf(bench, who), cpuOf(who), va, what(va))),
    ),
  )

/** A process that stores to each page is sent SIGSEGV. */
export const refusedStore = (range: Range, what: Pattern = i): Verb =>
  inOrder(
    pagesOf(range).map((va) => (bench) => {
      const stored = Effect.match(userStore(bench.world.parent, cpuOf("parent"), va, what(va)), {
        onSuccess: (): string => "0",
        onFailure: ({ signal }): string => signal,
      })
      return [Effect.flatMap(stored, (got) => expect(bench.world, `a store to page ${va}`, got, "SIGSEGV"))]
    }),
  )

/** A process reads each page, and finds that in it. */
export const load = (range: Range, what: Pattern = i, who: Who = "parent"): Verb =>
  inOrder(
    pagesOf(range).map((va) => (bench) => {
      const read = Effect.match(userLoad(mmOf(bench, who), cpuOf(who), va), {
        onSuccess: (content): string => content,
        onFailure: ({ signal }): string => signal,
      })
      return [Effect.flatMap(read, (got) => expect(bench.world, `page ${va} of the ${who}`, got, what(va)))]
    }),
  )

/** `ptr[i]++`: finds that in each page, and stores something else. */
export const increment = (range: Range, from: Pattern, to: Pattern, who: Who = "parent"): Verb =>
  inOrder(pagesOf(range).flatMap((va) => [load(pages(va, va + 1), from, who), store(pages(va, va + 1), to, who)]))

/** The file has that, whoever reads it. */
export const pread = (range: Range, what: Pattern = i): Verb =>
  inOrder(
    pagesOf(range).map((va) => ({ world }) => [
      Effect.flatMap(
        step("pread", [va], () => contentInFile(world.system.folios, world.file, va)),
        (got) => expect(world, `page ${va} of the file`, got, what(va)),
      ),
    ]),
  )

/** `gup_test`: gets or pins a page, and gives it back. */
export const gup = (va: number, flags: GupFlags, fast: boolean): Verb =>
  succeeds(`${fast ? "gup_fast" : "gup"} of page ${va}`, ({ world }) => {
    const got = fast ? getUserPagesFast(world.parent, va, flags) : getUserPages(world.parent, va, flags)
    return Effect.flatMap(got, (page) => putUserPage(world.system, page))
  })

/** Says it as userspace sees it: of errors nothing but that. */
export const inWords = (name: string, { ret, cpages, faults, data }: DmirrorCmd, expected: Said): string => {
  if (ret !== "0" || typeof expected === "string") return ret
  const told = expected.faults === undefined ? "" : `, ${faults} faults`
  const read = expected.data === undefined ? "" : `: ${data.join(" ")}`
  return `${name} of ${cpages} pages${told}${read}`
}

/** The same of what is expected. */
export const expectedInWords = (name: string, range: Range, expected: Said): string => {
  if (typeof expected === "string") return expected
  const { cpages, faults, data } = expected
  const told = faults === undefined ? "" : `, ${faults} faults`
  return `${name} of ${cpages} pages${told}${data === undefined ? "" : `: ${pagesOf(range).map(data).join(" ")}`}`
}

/** A command of the driver that is to say that. */
export const command =
  (name: string, range: Range, expected: Said, run: (bench: Bench) => Effect.Effect<DmirrorCmd>): Verb =>
  (bench) => [
    Effect.flatMap(run(bench), (cmd) =>
      expect(bench.world, `HMM_DMIRROR_${name}`, inWords(name, cmd, expected), expectedInWords(name, range, expected)),
    ),
  ]

/** A device of the test, by its number in the fixture. */
export const device = (number: number, who: Who = "parent") => ({
  open: ((bench) => [dmirrorFopsOpen(bench.file(who, number))]) satisfies Verb,
  close: ((bench) => [dmirrorFopsRelease(bench.file(who, number))]) satisfies Verb,
  read: (range: Range, said: Said): Verb =>
    command("READ", range, said, (bench) => dmirrorRead(bench.file(who, number), range)),
  write: (range: Range, what: Pattern, said: Said): Verb =>
    command("WRITE", range, said, (bench) =>
      dmirrorWrite(bench.file(who, number), range.start, pagesOf(range).map(what)),
    ),
  migrateToDev: (range: Range, said: Said): Verb =>
    command("MIGRATE_TO_DEV", range, said, (bench) => dmirrorMigrateToDevice(bench.migration(number, range))),
  migrateToSys: (range: Range, said: Said): Verb =>
    command("MIGRATE_TO_SYS", range, said, (bench) => dmirrorMigrateToSystem(bench.file(who, number), range)),
  exclusive: (range: Range, said: Said): Verb =>
    command("EXCLUSIVE", range, said, (bench) => dmirrorExclusive(bench.file(who, number), range)),
  checkExclusive: (range: Range, said: Said): Verb =>
    command("CHECK_EXCLUSIVE", range, said, (bench) => dmirrorCheckAtomic(bench.file(who, number), range)),
  /** FLAGS: the driver's next allocation of a huge page fails. */
  failAlloc: ((bench) => [dmirrorFailAlloc(bench.file(who, number).mdevice)]) satisfies Verb,
  /** RELEASE, which has no pages to say anything of. */
  release: ((bench) => [dmirrorDeviceRemoveChunks(bench.world.system, bench.file(who, number).mdevice)]) satisfies Verb,
  snapshot:
    (range: Range, kinds: ReadonlyArray<DmirrorProt>): Verb =>
    (bench) => [
      Effect.flatMap(dmirrorSnapshot(bench.snapshot(number, range)), ({ perm }) =>
        expect(bench.world, "HMM_DMIRROR_SNAPSHOT", perm.join(" "), kinds.join(" ")),
      ),
    ],
})
