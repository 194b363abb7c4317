/** Dropping what is cached of a file (mm/truncate.c: invalidate_inode_pages2_range): what the disk has is newer. */
import { procedure, step } from "../../checker/program/index.ts"
import { folioOf, folioPut } from "../mm/folio.ts"
import type { System } from "../mm/system.ts"
import { filemapGetFolio, filemapRemoveFolio, type Inode } from "./inode.ts"
import { lockForTruncation, unmapMappingRange } from "./truncate.ts"

/**
 * `invalidate_inode_pages2`: each page is locked, unmapped, and leaves the page cache unless it is dirty (again). New
 * faults are not kept out.
 *
 * @returns false where a page stays (-EBUSY)
 */
export const invalidateInodePages2 = procedure(function* (system: System, file: Inode) {
  const { folios } = system
  let all = true
  for (const index of file.cache.keys()) {
    const frame = yield* filemapGetFolio(system, file, index, "find_get_entries")
    if (frame === null) continue
    const found = yield* lockForTruncation(system, file, frame)
    if (found === "gone") continue
    if (found === "mapped") yield* unmapMappingRange(system, file, { start: index, end: index + 1 }, { keepCows: true })
    const gone = yield* step("invalidate_complete_folio2", [frame.pfn], () => {
      const folio = folioOf(folios, frame)
      folio.lock = ""
      const { dirty } = folio
      if (!dirty) {
        filemapRemoveFolio(system, folio)
        folio.lru = false
        folioPut(folios, frame)
      }
      folioPut(folios, frame)
      return !dirty
    })
    all = all && gone
  }
  return all
})
