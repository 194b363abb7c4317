/** Seeded bugs of DAX. */
import * as Effect from "effect/Effect"
import {
  changeBody,
  changeGuard,
  changeResult,
  leaveOut,
  type Plain,
  type Replacements,
  type SeededBug,
  step,
} from "../../checker/index.ts"
import { allocateBlock, daxPage, folioOfBlock, isBusy } from "../../model/dax/daxMapping.ts"
import { folioOf, folioTryGet, zeroes } from "../../model/mm/folio.ts"
import { mmOf } from "../../model/mm/rmap.ts"
import { zapPte } from "../../model/mm/unmap.ts"
import { zoo } from "../bugZoo.ts"
import { copies, faults, hole, longterm, pins, reused } from "./scenarios.ts"
import type { DaxWorld } from "./world.ts"

const layoutBreak = "commit 5fac7408d828: mm, fs, dax: handle layout changes to pinned dax mappings"

/** Where bugs are hunted: at bounds that are no larger than it takes. */
const onePin = { scenario: pins.id, bound: { fastPins: 1, slowPins: 0, unmaps: 0, others: 0 } }
const onePinAndFile = { scenario: pins.id, bound: { fastPins: 1, slowPins: 0, unmaps: 0, others: 1 } }
const oneFault = { scenario: faults.id, bound: { sharing: 1, fastPins: 0, others: 0, fsCalls: 1 } }
const oneCopy = { scenario: copies.id, bound: { copying: 1, sharing: 0, others: 0 } }
const onePinForGood = { scenario: longterm.id, bound: { fastPins: 0, sharing: 0 } }

/** `truncateSkipsBusyWait` */
const nothingBusy = (): Replacements => ({ dax_busy_page: changeResult(() => null) })

/** FOLL_LONGTERM is let through. */
const longtermAllowed = ({ system: { folios } }: DaxWorld): Replacements => ({
  "gup_fast_pte_range: try_grab_folio_fast": changeBody(({ args }) => {
    const got = folioTryGet(folios, Number(args[0]))
    if (got !== null) folioOf(folios, got).pincount++
    return got
  }),
})

export const daxBugs: ReadonlyArray<SeededBug<DaxWorld>> = [
  {
    id: "dax-truncate-vs-dma",
    title: "truncation unmaps the block and frees it without a look at who refers to it",
    source: layoutBreak,
    references: zoo(25),
    ...onePin,
    breaks: "DAX-IDLE",
    at: nothingBusy,
  },
  {
    id: "dax-dma-into-another-file",
    title: "the same, until the device writes: the block is another file's by then",
    source: layoutBreak,
    references: zoo(25),
    ...onePinAndFile,
    breaks: "DAX-NO-FOREIGN-STORE",
    at: nothingBusy,
  },
  {
    id: "dax-scan-busy-before-unmap",
    title: "busy blocks are looked for before they are unmapped: a pin without locks slips in between",
    source: layoutBreak,
    references: zoo(25),
    ...onePin,
    breaks: "DAX-IDLE",
    at: ({ system, dax }, fiber) => {
      let seen: Plain = null
      if (!fiber.startsWith("fs")) return {}
      return {
        unmap_mapping_range: (original) =>
          Effect.flatMap(
            step("dax_busy_page: too early", [], () => {
              const { entry, extent } = daxPage(dax, 0)
              // What maps the block now is about to go.
              if (extent === null || entry === "zero" || !isBusy(system.folios, dax, entry)) return null
              return entry
            }),
            (busy) => {
              seen = busy
              return original
            },
          ),
        dax_busy_page: changeResult(() => seen),
      }
    },
  },
  {
    id: "dax-break-unmaps-private-copies",
    title: "breaking layouts unmaps the whole range, private copies included",
    source: "commit d75996dd022b: dax: dax_layout_busy_page() should not unmap cow pages",
    references: zoo(26),
    ...oneCopy,
    breaks: "DAX-COW-STAYS",
    at: ({ system }, fiber): Replacements =>
      fiber.startsWith("fs")
        ? { zap_pte_range: changeBody(({ args }) => zapPte(mmOf(system, String(args[0])), Number(args[1]), {})) }
        : {},
  },
  {
    id: "two-faults-zero-new-block",
    title: "two faults find a hole, are both told that the block is new, and both zero it",
    source: "commit 843172978bb9: dax: fix race between simultaneous faults",
    references: zoo(53),
    scenario: hole.id,
    bound: { sharing: 2, readers: 0, fsCalls: 0 },
    breaks: "DAX-LAST-STORE",
    at: ({ system, dax }) => ({
      grab_mapping_entry: changeGuard(),
      xfs_iomap_write_direct: changeBody(() => {
        const page = daxPage(dax, 0)
        page.extent ??= allocateBlock(system.folios, dax.device, "data")
        if (page.extent !== null) folioOfBlock(system.folios, dax.device, page.extent).content = zeroes
        return page.extent
      }),
    }),
  },
  {
    id: "dax-zero-page-stays",
    title: "a hole is given a block, and who has loaded from it keeps the zero page",
    source: "fs/dax.c: dax_insert_entry: unmap_mapping_pages of a zero entry that is replaced",
    scenario: hole.id,
    bound: { sharing: 1, readers: 1, fsCalls: 0 },
    breaks: "DAX-LAST-STORE",
    at: () => ({ dax_insert_entry: changeResult((wasHole) => (wasHole === true ? false : wasHole)) }),
  },
  {
    id: "fault-vs-truncate-no-common-lock",
    title: "a fault looks a block up and maps it when truncation has unmapped the file in between",
    source: "commit 5a3a2d83cda8: f2fs: dax: fix races between page faults and truncating pages",
    references: zoo(76),
    ...oneFault,
    breaks: "DAX-IDLE",
    at: () => ({
      filemap_invalidate_lock_shared: leaveOut(),
      filemap_invalidate_unlock_shared: leaveOut(),
    }),
  },
  {
    id: "dax-break-without-recheck",
    title: "truncation waits for the block to be idle, and goes on as if no fault had come in meanwhile",
    source: "fs/dax.c: dax_break_layout",
    scenario: faults.id,
    bound: { sharing: 1, fastPins: 1, others: 0, fsCalls: 1 },
    breaks: "DAX-NO-NEW",
    at: ({ record }) => ({
      unmap_mapping_range: changeBody(({ body }) => {
        const places = body()
        return record.slept ? [] : places
      }),
      dax_busy_page: (original) =>
        Effect.flatMap(
          step("dax_break_layout: has slept", [], () => record.slept),
          (slept) => (slept ? Effect.succeed(null) : original),
        ),
    }),
  },
  {
    id: "dax-wait-counts-mappings",
    title:
      "as published: truncation sleeps until the count is zero, and a fault that it lets in meanwhile has the block counted: the pin goes, and truncation sleeps on until the process unmaps the file",
    source:
      "commit 38607c62b34b: fs/dax: properly refcount fs dax pages: dax_page_is_idle asks for 0, where entries count, and free_zone_device_folio wakes at 0 only; xfs_wait_dax_page gives up the lock that keeps faults out. Read in the source, not observed",
    ...onePin,
    breaks: "L-DAX",
    at: ({ system, dax }) => {
      const idle = () => {
        const { entry } = daxPage(dax, 0)
        return typeof entry !== "number" || folioOfBlock(system.folios, dax.device, entry).refcount === 0
      }
      return {
        "wait_page_idle: dax_page_is_idle": changeBody(idle),
        "xfs_wait_dax_page: schedule": changeGuard(idle),
      }
    },
  },
  {
    id: "dax-gup-fast-without-recheck",
    title:
      "a pin without locks does not look at its entry again: the page is in use, but for another file's block by then",
    source: "mm/gup.c: gup_fast_pte_range. While no other file maps the block, a count of zero keeps pins away",
    scenario: reused.id,
    bound: { fastPins: 1, slowPins: 0 },
    breaks: "DAX-NO-FOREIGN-STORE",
    at: () => ({ "gup_fast_pte_range: recheck": changeBody(() => true) }),
  },
  {
    id: "dax-idle-taken-for-busy",
    title: "the look for busy blocks finds one that is idle, the wait does not wait for it, and so on for ever",
    source: "commit d7782145e1ad: filesystem-dax: Fix dax_layout_busy_page() livelock; by its subject",
    ...onePin,
    breaks: "L-TRUNC",
    at: ({ dax }) => ({
      dax_busy_page: changeBody(() => {
        const { entry } = daxPage(dax, 0)
        return typeof entry === "number" ? entry : null
      }),
    }),
  },
  {
    id: "dax-longterm-pin",
    title: "a block is pinned for good",
    source: "include/linux/mm.h: folio_is_longterm_pinnable: folio_is_fsdax; mm/gup.c: check_vma_flags: vma_is_fsdax",
    ...onePinForGood,
    breaks: "GUP-LT-POLICY",
    at: longtermAllowed,
  },
  {
    id: "dax-longterm-pin-waited-for",
    title: "the same: truncation waits for ever",
    source: "include/linux/mm.h: folio_is_longterm_pinnable: folio_is_fsdax; mm/gup.c: check_vma_flags: vma_is_fsdax",
    ...onePinForGood,
    breaks: "L-DAX",
    at: longtermAllowed,
  },
  {
    id: "dax-truncate-keeps-private-copies",
    title: "truncation has unmapped what breaks layouts, and leaves private copies beyond the end of the file",
    source: "mm/truncate.c: truncate_pagecache: even_cows",
    ...oneCopy,
    breaks: "TRUNC-NO-MAP",
    at: () => {
      let sized = false
      return {
        i_size_write: (original) =>
          Effect.tap(original, () =>
            Effect.sync(() => {
              sized = true
            }),
          ),
        unmap_mapping_range: (original) => Effect.map(original, (places) => (sized ? [] : places)),
      }
    },
  },
  {
    id: "dax-fault-beyond-end",
    title: "a fault does not look at the size of the file, and maps a hole where the file has ended",
    source: "fs/dax.c: dax_iomap_pte_fault: i_size_read",
    ...oneFault,
    breaks: "TRUNC-FAULT",
    at: () => ({ "dax_iomap_pte_fault: i_size_read": changeResult(() => true) }),
  },
  {
    id: "dax-entry-stays",
    title: "blocks are taken away, and the page cache says that they are there",
    source: "fs/dax.c: dax_delete_mapping_entry, by inference",
    ...oneFault,
    breaks: "DAX-ENTRY",
    at: () => ({ dax_delete_mapping_entry: leaveOut() }),
  },
  {
    id: "dax-truncate-keeps-blocks",
    title: "a file that is truncated keeps its blocks",
    source: "fs/xfs/xfs_inode.c: xfs_itruncate_extents, by inference",
    ...oneFault,
    breaks: "DAX-TRUNCATED",
    at: () => ({ xfs_bunmapi: leaveOut() }),
  },
  {
    id: "dax-write-lost",
    title: "a file is written to, and nothing is copied",
    source: "fs/dax.c: dax_iomap_iter, by inference",
    ...onePinAndFile,
    breaks: "DAX-WRITTEN",
    at: () => ({ "dax_iomap_iter: copy_from_iter": leaveOut() }),
  },
]
