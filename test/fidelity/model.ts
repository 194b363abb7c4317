/** What the model makes of sequences of operations: its own functions, one after the other, run by the engine. */
import * as Effect from "effect/Effect"
import { step } from "../../checker/index.ts"
import type { Errno, Signal } from "../../model/errno.ts"
import { filemapAddFolio, folioEndRead, type Inode, inode } from "../../model/file/inode.ts"
import { truncate } from "../../model/file/truncate.ts"
import { userLoad, userStore } from "../../model/mm/access.ts"
import { exitMm } from "../../model/mm/exit.ts"
import { type Content, folioOf, zeroes } from "../../model/mm/folio.ts"
import { dupMmap } from "../../model/mm/fork.ts"
import { getUserPages, putUserPage, type UserPage } from "../../model/mm/gup.ts"
import { getUserPagesFast } from "../../model/mm/gupFast.ts"
import { madvise } from "../../model/mm/madvise.ts"
import { addressSpace, findVma, type Mm } from "../../model/mm/mm.ts"
import { mmap } from "../../model/mm/mmap.ts"
import { mremap } from "../../model/mm/mremap.ts"
import { mprotect } from "../../model/mm/protect.ts"
import { isAnon } from "../../model/mm/rmap.ts"
import { type System, system } from "../../model/mm/system.ts"
import { munmap } from "../../model/mm/unmap.ts"
import { areasIn } from "../../model/mm/vma.ts"
import { runAlone } from "../model/alone.ts"
import { type Looks, observed, type Seen } from "./observed.ts"
import {
  type Area,
  areaPages,
  errnos,
  fileByte,
  maximalFilePages,
  maximalProcesses,
  type Observation,
  type Operation,
  type Result,
  type Sequence,
} from "./sequence.ts"

/** The machine that a sequence runs on, large enough that memory never runs out. */
interface World {
  readonly system: System
  /** By number; a process that has not been forked yet has no users. */
  readonly processes: ReadonlyArray<Mm>
  readonly files: ReadonlyArray<Inode>
  /** What shared anonymous memory is kept in, by the position of the operation that maps it: files are made at setup. */
  readonly shmem: ReadonlyMap<number, Inode>
}

const accessing: ReadonlySet<Operation["op"]> = new Set(["read", "write", "pageReader", "vmsplice"])

const worldOf = ({ files, operations }: Sequence): World => {
  const names = Array.from({ length: maximalProcesses }, (_, process) => `process${process}`)
  const shmem = operations.flatMap((operation, position) =>
    operation.op === "mmap" && operation.sharing === "shared" && operation.backing === null
      ? [{ name: `shmem${position}`, position, size: operation.pages }]
      : [],
  )
  const of = system({
    // An access takes a page of a file and a private one, if it takes any.
    folios: files[0] + files[1] + 2 * operations.filter(({ op }) => accessing.has(op)).length,
    pagesPerTable: areaPages,
    faultAround: 16,
    cgroups: [...names, "file0", "file1", ...shmem.map(({ name }) => name)],
  })
  return {
    system: of,
    processes: names.map((name, process) =>
      addressSpace(of, name, areaPages, [`cpu${process}`], process === 0 ? 1 : 0),
    ),
    files: files.map((size, file) => inode(of, `file${file}`, { size, maxSize: maximalFilePages, tracksDirty: false })),
    shmem: new Map(shmem.map(({ name, position, size }) => [position, inode(of, name, { size, tracksDirty: false })])),
  }
}

/** Writes the files: all their pages are in the cache, and dirty. */
const writeFiles = ({ system: of, files }: World): Effect.Effect<void> =>
  step("write", () => {
    for (const [file, made] of files.entries()) {
      for (let page = 0; page < made.state.size; page++) {
        const frame = filemapAddFolio(of, made, page)
        if (frame === null) continue
        folioEndRead(of, frame)
        Object.assign(folioOf(of.folios, frame), { content: String(fileByte(file, page)), dirty: true })
      }
    }
  })

const ok: Result = { kind: "ok" }
const skipped: Result = { kind: "skipped" }
const readAs = (content: Content): Result => ({ kind: "value", value: Number(content) })

/** How a call or an access failed; with an error that sequences do not know the run ends. */
const failed = (failure: Errno | Signal): Effect.Effect<Result> => {
  if (failure._tag === "Signal") {
    const { signal } = failure
    return signal === "SIGKILL" ? Effect.die(failure) : Effect.succeed({ kind: "signal", signal })
  }
  const errno = errnos.find((known) => known === failure.errno)
  return errno === undefined ? Effect.die(failure) : Effect.succeed({ kind: "error", errno })
}

/** What one fiber, which does everything, knows of the processes and of the pipe. */
class Machine {
  private readonly world: World
  /** The processes that there have been; `null` for one that is gone. */
  private readonly processes: Array<Mm | null>
  private readonly pipe: Array<UserPage> = []

  constructor(world: World) {
    this.world = world
    this.processes = world.processes.slice(0, 1)
  }

  /** Performs an operation and looks at what is there then. */
  perform(operation: Operation, position: number): Effect.Effect<Looks> {
    const result = Effect.catch(this.resultOf(operation, position), failed)
    return Effect.flatMap(result, (result) => {
      const alive = [...this.processes]
      return step("observe", [position], () => ({
        result,
        processes: Array.from({ length: maximalProcesses }, (_, process) =>
          looksOf(this.world, alive[process] ?? null),
        ),
      }))
    })
  }

  private resultOf(operation: Operation, position: number): Effect.Effect<Result, Errno | Signal> {
    if (operation.op === "readPipe") return this.readPipe()
    if (operation.op === "ftruncate") {
      const file = this.world.files[operation.file]
      return file === undefined ? Effect.succeed(skipped) : done(truncate(this.world.system, file, operation.pages))
    }
    const mm = this.processes[operation.process] ?? null
    return mm === null ? Effect.succeed(skipped) : this.resultIn(mm, operation, position)
  }

  private resultIn(
    mm: Mm,
    operation: Exclude<Operation, { readonly op: "readPipe" | "ftruncate" }>,
    position: number,
  ): Effect.Effect<Result, Errno | Signal> {
    const { system: of, files, shmem } = this.world
    const range = (start: number, pages: number) => ({ start, end: start + pages })
    switch (operation.op) {
      case "mmap": {
        const { start, pages, protection: prot, sharing, backing } = operation
        const inode = backing === null ? shmem.get(position) : files[backing.file]
        const file = inode === undefined ? {} : { file: { inode, pgoff: backing?.page ?? 0 } }
        return done(mmap(mm, range(start, pages), { prot, shared: sharing === "shared", ...file }))
      }
      case "munmap":
        return done(munmap(mm, range(operation.start, operation.pages)))
      case "mprotect":
        return done(mprotect(mm, range(operation.start, operation.pages), operation.protection))
      case "mremap": {
        const { start, pages, newPages, to } = operation
        return done(mremap(mm, range(start, pages), newPages, to ?? undefined))
      }
      case "madvise":
        return done(madvise(mm, range(operation.start, operation.pages), `MADV_${operation.advice}`))
      case "fork":
        return this.fork(mm)
      case "exit":
        this.processes[operation.process] = null
        return done(exitMm(mm))
      case "read":
        return Effect.map(userLoad(mm, `cpu${operation.process}`, operation.page), readAs)
      case "write":
        return done(userStore(mm, `cpu${operation.process}`, operation.page, String(operation.value)))
      case "pageReader": {
        // process_vm_readv pins, reads and unpins.
        const target = this.processes[operation.target] ?? null
        if (target === null) return Effect.succeed(skipped)
        const pinned = getUserPages(target, operation.page, { write: false, pin: true })
        return Effect.flatMap(pinned, (page) => consume(of, page))
      }
      case "vmsplice":
        return Effect.map(getUserPagesFast(mm, operation.page, { write: false, pin: false }), (page) => {
          this.pipe.push(page)
          return ok
        })
    }
  }

  private fork(parent: Mm): Effect.Effect<Result, Errno> {
    const child = this.world.processes[this.processes.length]
    if (child === undefined) return Effect.succeed(skipped)
    this.processes.push(child)
    return done(dupMmap(parent, child))
  }

  private readPipe(): Effect.Effect<Result> {
    const page = this.pipe.shift()
    return page === undefined ? Effect.succeed({ kind: "error", errno: "EAGAIN" }) : consume(this.world.system, page)
  }
}

const done = <E>(call: Effect.Effect<unknown, E>): Effect.Effect<Result, E> => Effect.as(call, ok)

/** Reads a page that was got, and gives it back. */
const consume = Effect.fnUntraced(function* (of: System, page: UserPage) {
  const content = yield* step("copy_page_to_iter", [page.frame?.pfn ?? "zero page"], () =>
    page.frame === null ? zeroes : folioOf(of.folios, page.frame).content,
  )
  yield* putUserPage(of, page)
  return readAs(content)
})

/** What is seen of a process. Within a step. */
const looksOf = ({ system: of, files }: World, mm: Mm | null) => {
  if (mm === null) return null
  const pages = mm.pte.map(({ value: pte }): Seen => {
    if (pte === null || pte.kind === "zero") return pte && "zero"
    if (pte.kind !== "present") throw new Error(`an entry for a page that is ${pte.kind}, where none can be`)
    const { pfn, generation } = pte.page
    return { frame: `${pfn}.${generation}`, anonymous: isAnon(folioOf(of.folios, pte.page)) }
  })
  const areas = areasIn((va) => findVma(mm, va), { start: 0, end: mm.pages }).map(({ start, end }): Area => {
    const vma = findVma(mm, start)
    if (vma === null) throw new Error("an area without a VMA")
    const file = files.findIndex(({ name }) => name === vma.file)
    return {
      start,
      pages: end - start,
      protection: vma.prot,
      sharing: vma.shared ? "shared" : "private",
      file: file === -1 ? null : file,
      offset: vma.file === null ? 0 : vma.pgoff,
    }
  })
  return { pages, areas }
}

/**
 * What is seen after each operation of a sequence, if the model performs it.
 *
 * @throws where the model cannot go on: it breaks one of its own assertions, or waits for itself
 */
export const runOnModel = (sequence: Sequence): ReadonlyArray<Observation> => {
  const looks = runAlone(() => {
    const world = worldOf(sequence)
    return Effect.gen(function* () {
      const machine = new Machine(world)
      yield* writeFiles(world)
      return yield* Effect.forEach(sequence.operations, (operation, position) => machine.perform(operation, position))
    })
  })
  return observed(looks)
}
