/** What a state alone does not show: events in which a rule is kept or broken, recorded from outside. */
import { cell, type Monitor, type Struct, struct, type Taken } from "../../checker/index.ts"
import type { Inode } from "../../model/file/inode.ts"
import { flushed } from "../../model/mm/batchedFlush.ts"
import { hasTable, type Mm } from "../../model/mm/mm.ts"
import { at, pagesOf, type Range } from "../../model/mm/range.ts"
import { mmOf } from "../../model/mm/rmap.ts"
import type { System } from "../../model/mm/system.ts"
import { isHeldBy } from "../../model/sync/rwsem.ts"

/** What has become of a rule: nothing has happened that it is about, or it was kept every time, or broken. */
export type Kept = "untested" | "kept" | "broken"

/** Which rules are watched. */
export type Slips = Struct<{
  /** No pin without locks is kept of which fork's copying was under way; kept: one was given up. */
  dropsPinDuringFork: Kept
  /** A page that somebody holds is not moved. */
  movesUnheld: Kept
  /** Who finds that the entry no longer maps the page gives the reference up. */
  dropsUnmapped: Kept
  /** A process is marked as having pins before a page is pinned. */
  marksPins: Kept
  /** Copy-on-write takes a mapping off the old page's count when no TLB has it any more. */
  rmapAfterFlush: Kept
  /** mprotect announces no range without page tables. */
  announcesTables: Kept
  /** mremap moves to where nothing is mapped. */
  movesToEmpty: Kept
  /** The OOM reaper asks subscribers not to wait, and waits for no driver's lock. */
  reaperWaitsNot: Kept
  /** Migration entries become present ones again: whether one has. */
  migrationEnds: Kept
  /** mremap moves entries: whether it has moved one. */
  moves: Kept
  /** mremap finds nothing where it unmaps what it has moved. */
  leavesNothing: Kept
  /** Whoever frees the page tables of a range leaves no area there. */
  unmapsAreas: Kept
  /** No khugepaged takes page tables away when the unmapping at the end of an address space begins. */
  endsUncollapsed: Kept
  /** Areas are looked up with `mmap_lock` held: broken, or nothing is known. */
  looksLocked: Kept
  /** The subscribers have heard of the end of the address space before it is unmapped. */
  releasedFirst: Kept
  /** No device walks the page table of an address space when its unmapping at the end begins. */
  unbindsFirst: Kept
  /** A window is opened and closed under a lock of the areas: broken, or nothing is known. */
  announcesLocked: Kept
  /** Nobody has a page table locked who opens or closes a window: broken, or nothing is known. */
  announcesAwake: Kept
  /** mprotect gives the areas of its range the protection that it was asked for. */
  protects: Kept
  /** Truncation takes pages out of the page cache with `invalidate_lock` held. */
  truncatesLocked: Kept
}>

/** Nothing has happened yet. */
export const noSlips = (): Slips =>
  struct("slips", {
    dropsPinDuringFork: "untested",
    movesUnheld: "untested",
    dropsUnmapped: "untested",
    marksPins: "untested",
    rmapAfterFlush: "untested",
    announcesTables: "untested",
    movesToEmpty: "untested",
    reaperWaitsNot: "untested",
    migrationEnds: "untested",
    moves: "untested",
    leavesNothing: "untested",
    unmapsAreas: "untested",
    endsUncollapsed: "untested",
    looksLocked: "untested",
    releasedFirst: "untested",
    unbindsFirst: "untested",
    announcesLocked: "untested",
    announcesAwake: "untested",
    protects: "untested",
    truncatesLocked: "untested",
  })

/** Notes an event that a rule is about. */
export const note = (slips: Slips, rule: keyof Slips, isKept: boolean): void => {
  if (!isKept) slips[rule] = "broken"
  else if (slips[rule] === "untested") slips[rule] = "kept"
}

/** Watches the steps that the rules are about; what holders do is noted by those who record them. */
export const watchSlips = (system: System, mirrored: Mm, file: Inode, slips: Slips): Monitor => ({
  truncate_inode_folio: ({ fiber }) => note(slips, "truncatesLocked", file.invalidateLock.state.writer === fiber),
  "wp_page_copy: folio_remove_rmap_pte": ({ args }) => {
    const mm = mmOf(system, String(args[0]))
    const page = at(mm.pte, Number(args[1])).value
    const stale = [...mm.tlbs.values()].some((cache) => {
      const cached = at(cache, Number(args[1])).value
      return cached !== null && page?.kind === "present" && cached.page?.pfn !== page.page.pfn
    })
    note(slips, "rmapAfterFlush", !stale)
  },
  change_pmd_range: ({ result }) => {
    if (result === false) note(slips, "announcesTables", true)
  },
  mn_itree_inv_start_range: ({ args }) => {
    const [, start, end, , by, nonblock] = args
    if (by === "change_protection") {
      const covered = pagesOf({ start: Number(start), end: Number(end) })
      if (covered.every((va) => !hasTable(mirrored, va))) note(slips, "announcesTables", false)
    }
    if (by === "__oom_reap_task_mm") note(slips, "reaperWaitsNot", nonblock === "nonblock")
  },
  mutex_lock: ({ fiber, args }) => {
    if (fiber.startsWith("oom_reaper") && String(args[0]).startsWith("gpu")) note(slips, "reaperWaitsNot", false)
  },
  free_pgtables: ({ args }) => {
    const { vma } = mmOf(system, String(args[0]))
    const range = { start: Number(args[1]), end: Number(args[2]) }
    note(
      slips,
      "unmapsAreas",
      pagesOf(range).every((va) => at(vma, va).value === null),
    )
  },
  remove_migration_pte: () => note(slips, "migrationEnds", true),
  mn_itree_inv_end: ({ args }) => {
    if (args[3] === "RELEASE") note(slips, "releasedFirst", true)
  },
  exit_mmap: ({ args }) => {
    const isMirrored = args[0] === mirrored.name && mirrored.subscriptions.byName.size > 0
    if (isMirrored && slips.releasedFirst === "untested") note(slips, "releasedFirst", false)
    const devices = [...mmOf(system, String(args[0])).secondaryTlbs.values()]
    if (devices.length > 0) {
      note(
        slips,
        "unbindsFirst",
        devices.every(({ state }) => !state.bound),
      )
    }
  },
})

/** The same of mremap. */
export const watchMoves = (system: System, slips: Slips): Monitor => {
  /** Who has copied an area, from where: unless it is to stay, that is what it unmaps next. */
  const movers = cell<ReadonlyArray<{ readonly fiber: string; readonly from: number }>>("slips.movers", [])
  return {
    copy_vma: ({ fiber, args, result }) => {
      note(slips, "movesToEmpty", at(mmOf(system, String(args[0])).pte, Number(args[2])).value === null)
      if (result === true) movers.value = [...movers.value, { fiber, from: Number(args[1]) }]
    },
    move_ptes: () => note(slips, "moves", true),
    vms_gather_munmap_vmas: ({ fiber, args }) => {
      movers.value = movers.value.filter((mover) => mover.fiber !== fiber || mover.from === args[1])
    },
    zap_pte_range: ({ fiber, result }) => {
      const isMover = movers.value.some((mover) => mover.fiber === fiber)
      if (isMover && result !== flushed) note(slips, "leavesNothing", result === "nothing")
    },
    mmap_write_unlock: ({ fiber }) => {
      movers.value = movers.value.filter((mover) => mover.fiber !== fiber)
    },
  }
}

/** The same of khugepaged, while it works on page tables with `mmap_lock` for read. */
export const watchCollapses = (slips: Slips): Monitor => {
  const collapsed = cell<ReadonlyArray<string>>("slips.collapsed", [])
  return {
    collapse_pte_mapped_thp: ({ args, result }) => {
      if (result !== null) collapsed.value = [...collapsed.value, String(args[0])]
    },
    "collapse_pte_mapped_thp: folio_unlock": ({ args }) => {
      collapsed.value = collapsed.value.filter((mm) => mm !== args[0])
    },
    exit_mmap: ({ args }) => note(slips, "endsUncollapsed", !collapsed.value.includes(String(args[0]))),
  }
}

/** The same of mprotect, once it gives `mmap_lock` back. */
export const watchProtections = (system: System, slips: Slips): Monitor => {
  type Call = { readonly fiber: string; readonly pages: ReadonlyArray<number>; readonly prot: string }
  const calls = cell<ReadonlyArray<Call>>("slips.protecting", [])
  return {
    mprotect_fixup: ({ fiber, args, result }) => {
      const areas = result as ReadonlyArray<Range> // what the step returns
      const pages = areas.flatMap(pagesOf)
      if (pages.length > 0) calls.value = [...calls.value, { fiber, pages, prot: String(args[3]) }]
    },
    mmap_write_unlock: ({ fiber, args }) => {
      const call = calls.value.find((each) => each.fiber === fiber)
      if (call === undefined) return
      const { vma } = mmOf(system, String(args[0]))
      const isDone = call.pages.every((va) => at(vma, va).value?.prot === call.prot)
      note(slips, "protects", isDone)
      calls.value = calls.value.filter((each) => each !== call)
    },
  }
}

/** The steps that look up the areas with which a call goes on. */
const lookUps = [
  "MADV_DONTNEED",
  "MADV_FREE",
  "MADV_PAGEOUT",
  "mprotect_fixup",
  "remap_move",
  "dup_mm",
  "hpage_collapse_scan_pmd",
  "check_vma_flags",
  "vms_gather_munmap_vmas",
]

/** The same of those who look areas up. That it is kept is not recorded: the lock shows who may. */
export const watchLookUps = (system: System, slips: Slips): Monitor =>
  Object.fromEntries(
    lookUps.map((name) => [
      name,
      ({ fiber, args }) => {
        if (!isHeldBy(mmOf(system, String(args[0])).mmapLock, fiber)) note(slips, "looksLocked", false)
      },
    ]),
  )

/** The same of those who announce a range. That it is kept is not recorded: windows show when they are open. */
export const watchWindows = (system: System, slips: Slips): Monitor => {
  const announces = ({ fiber, args }: Taken): void => {
    const [name, start, end, event] = args
    const mm = mmOf(system, String(name))
    if (mm.tables.some(({ lock }) => lock.state.holder === fiber)) note(slips, "announcesAwake", false)
    // The end of the address space is announced to all, whatever its areas are.
    if (event === "RELEASE") return
    const trees = [system.anonVmaLock, ...[...system.inodes.values()].map(({ mmapRwsem }) => mmapRwsem)]
    const range = pagesOf({ start: Number(start), end: Number(end) })
    const isLocked =
      [mm.mmapLock, ...trees].some((sem) => isHeldBy(sem, fiber)) ||
      range.some((va) => at(mm.vmaLock, va).readers.includes(fiber))
    if (!isLocked) note(slips, "announcesLocked", false)
  }
  return { mn_itree_inv_start_range: announces, mn_itree_inv_end: announces }
}
