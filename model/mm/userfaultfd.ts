/**
 * userfaultfd for missing pages (fs/userfaultfd.c; mm/userfaultfd.c: mfill_atomic): who meets nothing in a registered area
 * drops its lock and sleeps until a thread of the process, the handler, has filled the page in.
 *
 * Not told: areas of files and of hugetlbfs, huge pages, write protection and minor faults, and the events of fork, mremap
 * and munmap, which a handler asks for if it wants them.
 */
import type * as Effect from "effect/Effect"
import { assert, guardedStep, procedure, type Struct, self, step, struct } from "../../checker/program/index.ts"
import { Errno } from "../errno.ts"
import { assertRwsemHeld } from "../sync/rwsem.ts"
import { underLock } from "../sync/spinlock.ts"
import { mmgetNotZero, mmput } from "./exit.ts"
import { type FaultFlags, linkTable, vmfAnonPrepare } from "./fault.ts"
import { type Content, folioAlloc, folioOf, folioPut } from "./folio.ts"
import {
  changeVmas,
  findVma,
  hasTable,
  type Mm,
  mmapReadLock,
  mmapReadUnlock,
  mmapWriteLock,
  mmapWriteUnlock,
  pageTableLock,
  vmaEndRead,
  vmaStartWrite,
} from "./mm.ts"
import { present } from "./pte.ts"
import { at, pagesOf, type Range } from "./range.ts"
import { addNewAnonRmap } from "./rmap.ts"
import { areasIn, mostAccess } from "./vma.ts"
import { vmaMerge } from "./vmaMerge.ts"

/** `struct userfaultfd_wait_queue`: who sleeps, and for which page. */
type Waiter = { readonly fiber: string; readonly va: number }

/** `struct userfaultfd_ctx`, of an address space. */
export interface Userfaultfd {
  readonly mm: Mm
  readonly state: Struct<{
    /** `fault_pending_wqh`: of whom the handler has not read, in the order in which they came. */
    pending: ReadonlyArray<Waiter>
    /** `fault_wqh`: of whom it has. */
    read: ReadonlyArray<Waiter>
    /** Who was woken and has not gone on yet. */
    woken: ReadonlyArray<string>
    /** The file has been closed. */
    released: boolean
  }>
}

/** `userfaultfd`: a file of which nothing is registered yet, for an address space without huge pages. */
export const userfaultfd = (mm: Mm): Userfaultfd => {
  if (mm.system.thp) throw new RangeError("userfaultfd where there are huge pages is not modelled")
  const nobody: ReadonlyArray<Waiter> = []
  const woken: ReadonlyArray<string> = []
  const state = struct(`${mm.name}.userfaultfd`, { pending: nobody, read: nobody, woken, released: false })
  const ctx = { mm, state }
  mm.userfaultfd = ctx
  return ctx
}

/** UFFDIO_REGISTER, of missing pages. @throws Errno EINVAL where not all of it is private anonymous memory */
export const userfaultfdRegister = procedure(function* ({ mm }: Userfaultfd, range: Range) {
  yield* mmapWriteLock(mm)
  const fits = yield* step("userfaultfd_register", [mm.name, range.start, range.end], () =>
    pagesOf(range).every((va) => {
      const vma = findVma(mm, va)
      return vma !== null && vma.file === null && !vma.shared
    }),
  )
  if (fits) yield* setMissing(mm, range, true)
  yield* mmapWriteUnlock(mm)
  if (!fits) return yield* new Errno({ call: "ioctl", errno: "EINVAL" })
})

/** `userfaultfd_set_vm_flags`, `mmap_lock` held for write. */
const setMissing = procedure(function* (mm: Mm, range: Range, uffdMissing: boolean) {
  yield* vmaStartWrite(mm, range)
  yield* step("userfaultfd_set_vm_flags", [mm.name, range.start, range.end], () => {
    assert(mm.mmapLock.state.writer === self(), `${self()} changes areas of ${mm.name} without mmap_lock for writing`)
    for (const area of areasIn((va) => findVma(mm, va), range)) {
      changeVmas(mm, area, (vma) => ({ ...vma, uffdMissing }))
      vmaMerge(mm, area)
    }
  })
})

/**
 * `handle_userfault`: sleeps until woken, with no lock held, whatever was done meanwhile; who is on no queue is never
 * woken. Who comes after the look at the entry finds the sleeper on the queue, and who came before it is seen. A fault
 * that may not drop its lock ends with SIGBUS; where the file is being closed the lock is dropped and the fault taken
 * anew (since commit fe4cdc2c4e24).
 */
export const handleUserfault = procedure(function* (mm: Mm, va: number, flags: FaultFlags) {
  const ctx = mm.userfaultfd
  assert(ctx !== null, `${mm.name} has a registered area and no userfaultfd`)
  const { state } = ctx
  const early = yield* step("handle_userfault", [mm.name, va], () =>
    flags.allowRetry !== true ? "SIGBUS" : state.released ? "released" : "may wait",
  )
  if (early === "SIGBUS") return early
  if (early === "released") {
    // Who closes the file may wait for this very lock: it is dropped, or the fault would be taken again under it for ever.
    yield* releaseFaultLock(mm, va, flags)
    return "UNLOCKED" as const
  }
  yield* step("handle_userfault: __add_wait_queue", [mm.name, va], () => {
    assert(!isQueued(ctx, self()), `${self()} is on a queue of the userfaultfd already, from a fault before`)
    state.pending = [...state.pending, { fiber: self(), va }]
  })
  const mustWait = yield* step(
    "userfaultfd_must_wait",
    [mm.name, va],
    () => !hasTable(mm, va) || at(mm.pte, va).value === null,
  )
  yield* releaseFaultLock(mm, va, flags)
  if (mustWait && !(yield* step("READ_ONCE(ctx->released)", [mm.name], () => state.released))) {
    yield* guardedStep(
      "handle_userfault: schedule",
      [mm.name, va],
      () => state.woken.includes(self()),
      () => undefined,
    )
  }
  yield* step("handle_userfault: list_del", [mm.name, va], () => {
    remove(ctx, ({ fiber }) => fiber === self())
    state.woken = state.woken.filter((name) => name !== self())
  })
  return "UNLOCKED" as const
})

/** Whether a fiber sleeps, or is about to, on one of the two queues. */
const isQueued = ({ state }: Userfaultfd, name: string): boolean =>
  [...state.pending, ...state.read].some(({ fiber }) => fiber === name)

/** `release_fault_lock` */
const releaseFaultLock = (mm: Mm, va: number, { vmaLock }: FaultFlags): Effect.Effect<void> =>
  vmaLock === true ? vmaEndRead(mm, va) : mmapReadUnlock(mm)

/** Takes sleepers off both queues. Within a step. */
const remove = ({ state }: Userfaultfd, is: (waiter: Waiter) => boolean): void => {
  state.pending = state.pending.filter((waiter) => !is(waiter))
  state.read = state.read.filter((waiter) => !is(waiter))
}

/** `userfaultfd_ctx_read`: waits for a sleeper of whom nobody has read, and tells the page; `null` when the file is closed. */
export const userfaultfdRead = ({ mm, state }: Userfaultfd): Effect.Effect<number | null> =>
  guardedStep(
    "userfaultfd_ctx_read",
    [mm.name],
    () => state.pending.length > 0 || state.released,
    () => {
      const [first, ...others] = state.pending
      if (first === undefined || state.released) return null
      state.pending = others
      state.read = [...state.read, first]
      return first.va
    },
  )

/** UFFDIO_WAKE: wakes whoever sleeps for a page of the range. */
export const userfaultfdWake = (ctx: Userfaultfd, range: Range): Effect.Effect<void> =>
  wakeUserfault(ctx, "UFFDIO_WAKE", range)

const wakeUserfault = (ctx: Userfaultfd, by: string, { start, end }: Range): Effect.Effect<void> =>
  step(`${by}: wake_userfault`, [ctx.mm.name, start, end], () => {
    const { pending, read, woken } = ctx.state
    const isIn = ({ va }: Waiter): boolean => start <= va && va < end
    ctx.state.woken = [...woken, ...[...pending, ...read].filter(isIn).map(({ fiber }) => fiber)].sort()
    remove(ctx, isIn)
  })

/**
 * UFFDIO_COPY, of one page, and wakes whoever sleeps for it.
 *
 * @throws Errno ENOENT where nothing is registered (any more), EEXIST where a page is, ESRCH when the address space has
 *   ended, ENOMEM when there is no memory; then nobody is woken
 */
export const userfaultfdCopy = procedure(function* (ctx: Userfaultfd, va: number, content: Content) {
  const { mm } = ctx
  if (!(yield* mmgetNotZero(mm))) return yield* new Errno({ call: "ioctl", errno: "ESRCH" })
  yield* mmapReadLock(mm)
  const error = yield* mfillAtomic(mm, va, content)
  yield* mmapReadUnlock(mm)
  yield* mmput(mm)
  if (error !== null) return yield* new Errno({ call: "ioctl", errno: error })
  yield* wakeUserfault(ctx, "UFFDIO_COPY", { start: va, end: va + 1 })
})

/** `mfill_atomic`, `mmap_lock` held for read: what went wrong, if anything. */
const mfillAtomic = procedure(function* (mm: Mm, va: number, content: Content) {
  const { folios } = mm.system
  const fresh = yield* step("mfill_atomic_pte_copy", [mm.name, va], () => {
    assertRwsemHeld(mm.mmapLock)
    if (findVma(mm, va)?.uffdMissing !== true) return "ENOENT"
    vmfAnonPrepare(mm, va, { write: true })
    const frame = folioAlloc(folios, mm.name)
    if (frame === null) return "ENOMEM"
    folioOf(folios, frame).content = content
    return frame
  })
  if (typeof fresh === "string") return fresh
  return yield* underLock(pageTableLock(mm, va), "mfill_atomic_install_pte", [mm.name, va], () => {
    linkTable(mm, va)
    const pte = at(mm.pte, va)
    const vma = findVma(mm, va)
    if (pte.value !== null || vma === null) {
      folioPut(folios, fresh)
      return "EEXIST"
    }
    addNewAnonRmap(folioOf(folios, fresh), vma)
    mm.rss.anon++
    pte.value = present(fresh, mostAccess(vma), { dirty: true })
    return null
  })
})

/**
 * `userfaultfd_release`, when the file is closed: nothing is registered any more, and whoever sleeps is woken. A second
 * time there is nothing to close.
 */
export const userfaultfdRelease = procedure(function* (ctx: Userfaultfd) {
  const { mm, state } = ctx
  const wasOpen = yield* step("userfaultfd_release", [mm.name], () => {
    const open = !state.released
    state.released = true
    return open
  })
  if (!wasOpen) return
  if (yield* mmgetNotZero(mm)) {
    yield* mmapWriteLock(mm)
    yield* setMissing(mm, { start: 0, end: mm.pages }, false)
    yield* mmapWriteUnlock(mm)
    yield* mmput(mm)
  }
  yield* wakeUserfault(ctx, "userfaultfd_release", { start: 0, end: mm.pages })
})
