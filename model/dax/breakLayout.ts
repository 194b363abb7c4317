/**
 * Taking blocks away from a DAX file (fs/dax.c: dax_break_layout; fs/xfs/xfs_inode.c: xfs_break_dax_layouts): nothing may
 * map them, and nobody may refer to them, when they are freed.
 */
import type * as Effect from "effect/Effect"
import { assert, enterLoop, guardedStep, procedure, step } from "../../checker/program/index.ts"
import type { Inode } from "../file/inode.ts"
import { unmapMappingRange } from "../file/truncate.ts"
import type { Folio } from "../mm/folio.ts"
import { pagesOf, type Range } from "../mm/range.ts"
import type { System } from "../mm/system.ts"
import { downWrite, upWrite } from "../sync/rwsem.ts"
import { entryWait } from "./daxFault.ts"
import { type DaxEntry, type DaxMapping, daxPage, folioOfBlock, isBusy } from "./daxMapping.ts"

/**
 * `dax_break_layout`, the invalidate lock held for writing: until no block of the range is busy. While it waits it lets
 * faults in again; so when it comes back it begins anew.
 */
export const daxBreakLayout = procedure(function* (system: System, file: Inode, dax: DaxMapping, range: Range) {
  const head = yield* enterLoop("dax_break_layout")
  for (;;) {
    yield* head()
    const busy = yield* daxLayoutBusyPage(system, file, dax, range)
    if (busy === null) break
    yield* waitPageIdle(system, file, dax, busy)
  }
  for (const index of pagesOf(range)) yield* daxDeleteMappingEntry(system, file, dax, index)
})

/**
 * `dax_layout_busy_page_range`: unmaps the range, private copies excepted, and looks for a block that somebody refers to
 * still. Those who pin without locks look at their entry again when they have their reference: either they find it gone,
 * or their reference is found here.
 */
const daxLayoutBusyPage = procedure(function* (system: System, file: Inode, dax: DaxMapping, range: Range) {
  yield* unmapMappingRange(system, file, range, { keepCows: true })
  for (const index of pagesOf(range)) {
    const page = daxPage(dax, index)
    const busy = yield* guardedStep(
      "dax_busy_page",
      [file.name, index],
      () => page.lock === "",
      () => (isBusy(system.folios, dax, page.entry) ? page.entry : null),
      entryWait(dax, index),
    )
    if (busy !== null) return busy
  }
  return null
})

/**
 * `wait_page_idle` with `xfs_wait_dax_page`: sleeps, the invalidate lock given up meanwhile, until nobody but page tables
 * refers to the block. So it was while entries held no references (before 6.15). Since they do, `dax_page_is_idle` asks
 * for a count of zero, and is told of that alone: what that leads to is a seeded bug (`dax-wait-counts-mappings`).
 */
const waitPageIdle = procedure(function* (system: System, file: Inode, dax: DaxMapping, block: DaxEntry) {
  const idle = () => !isBusy(system.folios, dax, block)
  if (yield* step("wait_page_idle: dax_page_is_idle", [file.name, block], idle)) return
  yield* upWrite(file.invalidateLock, "xfs_wait_dax_page: filemap_invalidate_unlock", [file.name])
  yield* guardedStep("xfs_wait_dax_page: schedule", [file.name, block], idle, () => undefined)
  yield* downWrite(file.invalidateLock, "xfs_wait_dax_page: filemap_invalidate_lock", [file.name])
})

/**
 * `dax_delete_mapping_entry`: the page cache forgets the block, and the block the file, which is its own still
 * (`dax_disassociate_entry`).
 */
const daxDeleteMappingEntry = (system: System, file: Inode, dax: DaxMapping, index: number): Effect.Effect<void> => {
  const page = daxPage(dax, index)
  return guardedStep(
    "dax_delete_mapping_entry",
    [file.name, index],
    () => page.lock === "",
    () => {
      if (typeof page.entry === "number") disassociate(folioOfBlock(system.folios, dax.device, page.entry), file)
      page.entry = null
    },
    entryWait(dax, index),
  )
}

const disassociate = (folio: Folio, file: Inode): void => {
  assert(folio.mapping === file.name, `a block that ${file.name} gives up is one of ${folio.mapping || "no file"}`)
  folio.mapping = ""
}
