/** Getting and pinning user pages (mm/gup.c): the slow path, and long-term pins. */
import * as Effect from "effect/Effect"
import { assert, enterLoop, guardedStep, procedure, self, step } from "../../checker/program/index.ts"
import { migrateDeviceCoherentFolio } from "../deviceMemory/migrateCoherent.ts"
import { isDeviceCoherent, isLongtermPinnable } from "../deviceMemory/pgmap.ts"
import { Errno } from "../errno.ts"
import { inodeOf, isPfnmap } from "../file/inode.ts"
import { underLock } from "../sync/spinlock.ts"
import { handleMmFault } from "./fault.ts"
import { type Content, type Folio, type Frame, folioLockWait, folioOf, folioPut } from "./folio.ts"
import { migrateFolios } from "./migrate.ts"
import { findVma, hasTable, type Mm, mmapReadLock, mmapReadUnlock, pageTableLock } from "./mm.ts"
import { isWritable } from "./pte.ts"
import { at } from "./range.ts"
import { isAnon } from "./rmap.ts"
import type { System } from "./system.ts"
import type { Vma } from "./vma.ts"

/** How a page is wanted (FOLL_WRITE, FOLL_PIN, FOLL_LONGTERM, FOLL_FORCE). */
export interface GupFlags {
  readonly write: boolean
  /** Pinned, for those who look at its content; otherwise only a reference is taken. */
  readonly pin: boolean
  /** For good, not only for one transfer. */
  readonly longterm?: boolean
  /** Whatever the protection: a debugger's access. */
  readonly force?: boolean
}

/** A page that was got: its frame, and whether it is pinned. The zero page, of which nobody takes references, is `null`. */
export interface UserPage {
  readonly frame: Frame | null
  readonly pinned: boolean
}

/**
 * `get_user_pages` and `pin_user_pages` of one page, by whoever may: the page is faulted in if it has to be.
 *
 * @throws Errno EFAULT where the page cannot be had so, EOPNOTSUPP and ENOMEM from long-term pins
 */
export const getUserPages = procedure(function* (mm: Mm, va: number, flags: GupFlags) {
  const head = yield* enterLoop("__get_longterm_locked")
  for (;;) {
    yield* head()
    yield* mmapReadLock(mm)
    const got = yield* getUserPage(mm, va, flags)
    yield* mmapReadUnlock(mm)
    if (typeof got === "string") return yield* new Errno({ call: "get_user_pages", errno: got })
    if (flags.longterm !== true || got.frame === null) return got
    const kept = yield* checkAndMigrateMovablePages(mm.system, got.frame)
    if (kept === "kept") return got
    if (kept !== "-EAGAIN") return yield* new Errno({ call: "pin_user_pages", errno: kept })
  }
})

/** `__get_user_pages`, of one page, `mmap_lock` held for read: what went wrong instead, if anything did. */
export const getUserPage = procedure(function* (mm: Mm, va: number, flags: GupFlags) {
  const allowed = yield* step("check_vma_flags", [mm.name, va], () => {
    if (flags.pin) mm.state.hasPinned = true
    const vma = findVma(mm, va)
    return vma !== null && checkVmaFlags(mm.system, vma, flags)
  })
  if (allowed === "EOPNOTSUPP") return allowed
  if (!allowed) return "EFAULT" as const
  const head = yield* enterLoop("__get_user_pages")
  for (;;) {
    yield* head()
    const found = yield* underLock(pageTableLock(mm, va), "follow_page_pte", [mm.name, va, how(flags)], () =>
      followPagePte(mm, va, flags),
    )
    if (found !== "fault" && found !== "unshare") return found
    const result = yield* handleMmFault(mm, va, { write: flags.write, unshare: found === "unshare" })
    if (result === "OOM") return "ENOMEM" as const
    if (result === "SIGBUS") return "EFAULT" as const
  }
})

/** How a page is wanted, in words. */
export const how = ({ write, pin }: GupFlags): string => `${pin ? "pin" : "get"} ${write ? "write" : "read"}`

/** `check_vma_flags`: whether the area's protection and kind allow it. Within a step. */
const checkVmaFlags = (system: System, vma: Vma, { write, longterm, force }: GupFlags): boolean | "EOPNOTSUPP" => {
  if (isPfnmap(system, vma)) return false
  // vma_is_fsdax: the file system would wait for ever for a block to be idle.
  if (longterm === true && vma.file !== null && inodeOf(system, vma.file).dax !== null) return "EOPNOTSUPP"
  if (write && vma.prot !== "rw" && !(force === true && !vma.shared)) return false
  if (!write && vma.prot === "none" && force !== true) return false
  return !(write && longterm === true && vma.shared && vma.file !== null && inodeOf(system, vma.file).tracksDirty)
}

/** `follow_page_pte`: takes a reference or a pin, under the page table's lock, if the entry allows what is wanted. */
const followPagePte = (mm: Mm, va: number, flags: GupFlags): UserPage | "fault" | "unshare" => {
  if (!hasTable(mm, va)) return "fault"
  const pte = at(mm.pte, va).value
  if (pte?.kind === "zero") {
    if (flags.write || (pte.access === "none" && flags.force !== true)) return "fault"
    // It is not anonymous memory: a store of its owner replaces it.
    return mustUnshareFile(findVma(mm, va)?.shared === false, flags) ? "unshare" : { frame: null, pinned: false }
  }
  if (pte?.kind !== "present" || (pte.access === "none" && flags.force !== true)) return "fault"
  const folio = folioOf(mm.system.folios, pte.page)
  const vma = findVma(mm, va)
  // A debugger may store to a page of its own that the process may not store to.
  const forced = flags.force === true && vma?.shared === false && isAnon(folio) && folio.anonExclusive
  if (flags.write && !isWritable(pte) && !forced) return "fault"
  if (mustUnshare(folio, vma?.shared === false, flags)) return "unshare"
  // FOLL_TOUCH, which pins do without: a page that is got for writing counts as stored to.
  if (flags.write && !flags.pin && !pte.dirty) folio.dirty = true
  grab(folio, flags.pin)
  return { frame: pte.page, pinned: flags.pin }
}

/**
 * `gup_must_unshare`: whether a pin for reading would be of a page that a store of its owner replaces.
 *
 * @param cow whether the area is private; who does not know says yes
 */
export const mustUnshare = (folio: Folio, cow: boolean, flags: GupFlags): boolean =>
  isAnon(folio) ? flags.pin && !flags.write && !folio.anonExclusive : mustUnshareFile(cow, flags)

/** The same of what is not anonymous memory: only pins for good are to see what is stored later. */
const mustUnshareFile = (cow: boolean, { write, pin, longterm }: GupFlags): boolean =>
  pin && !write && longterm === true && cow

/** `try_grab_folio`. Within a step. */
export const grab = (folio: Folio, pin: boolean): void => {
  folio.refcount++
  if (pin) folio.pincount++
}

/** `gup_put_folio`. Within a step. */
export const ungrab = (system: System, frame: Frame, pin: boolean): void => {
  if (pin) folioOf(system.folios, frame).pincount--
  folioPut(system.folios, frame)
}

/** `put_page`, `unpin_user_page`: gives the page back. */
export const putUserPage = (system: System, { frame, pinned }: UserPage): Effect.Effect<void> =>
  frame === null
    ? Effect.void
    : step(pinned ? "unpin_user_page" : "put_page", [frame.pfn], () => ungrab(system, frame, pinned))

/** A device, or (said by `by`) the kernel for another process, stores to a page that it holds. */
export const storeThrough = (
  system: System,
  { frame }: UserPage,
  content: Content,
  by = "dma_write",
): Effect.Effect<void> =>
  step(by, [frame?.pfn ?? "zero page", content], () => {
    if (frame !== null) folioOf(system.folios, frame).content = content
  })

/** `unpin_user_pages_dirty_lock`: whoever stored to a page says so before giving it back. */
export const setPageDirty = (system: System, { frame }: UserPage): Effect.Effect<void> =>
  frame === null
    ? Effect.void
    : guardedStep(
        "set_page_dirty_lock",
        [frame.pfn],
        () => folioOf(system.folios, frame).lock === "",
        () => {
          const folio = folioOf(system.folios, frame)
          assert(folio.lock === "", `${self()} locks page ${frame.pfn}, which ${folio.lock} has locked`)
          folio.dirty = true
        },
        folioLockWait(system.folios, frame),
      )

/**
 * `check_and_migrate_movable_pages`: a page that must stay movable is given back and moved elsewhere; then the pin is
 * tried again. Coherent memory of a device is not on the LRU: it is moved by the reference that the pin is exchanged for.
 */
const checkAndMigrateMovablePages = procedure(function* (system: System, frame: Frame) {
  const found = yield* step("collect_longterm_unpinnable_folios", [frame.pfn], () => {
    if (isLongtermPinnable(system.folios, frame)) return "kept"
    if (isDeviceCoherent(system.folios, frame)) return "coherent"
    const folio = folioOf(system.folios, frame)
    // The isolation's reference keeps it while it is being moved.
    const isolated = folio.lru
    if (isolated) {
      folio.lru = false
      folio.refcount++
    }
    return isolated ? "isolated" : "busy"
  })
  if (found === "kept") return "kept" as const
  yield* step("unpin_user_page", [frame.pfn], () => {
    if (found === "coherent") grab(folioOf(system.folios, frame), false)
    ungrab(system, frame, true)
  })
  if (found === "coherent") {
    return (yield* migrateDeviceCoherentFolio(system, frame)) ? ("-EAGAIN" as const) : ("EBUSY" as const)
  }
  if (found === "busy") return "-EAGAIN" as const
  const moved = yield* migrateFolios(system, frame, "unmovable")
  return moved === "-ENOMEM" ? ("ENOMEM" as const) : moved === "moved" ? ("-EAGAIN" as const) : ("EBUSY" as const)
})
