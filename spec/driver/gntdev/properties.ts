/** The invariants of granted pages; what the GPU works on keeps to those of its own driver. */
import type { Property } from "../../../checker/index.ts"
import { isLive } from "../../../model/mm/folio.ts"
import { userptrInvariants } from "../i915-userptr/properties.ts"
import type { GntdevWorld } from "./world.ts"

export const gntdevProperties: ReadonlyArray<Property<GntdevWorld>> = [
  ...userptrInvariants,
  {
    kind: "invariant",
    id: "GRANT-UNUSED-WHEN-GIVEN-BACK",
    statement: "When a grant has been given back, nobody refers to the page any more: no entry, no TLB, no pin.",
    source: "drivers/xen/grant-table.c: __gnttab_unmap_refs_async",
    premise: ({ map }) => !map.state.live,
    holds: ({ map, mm }) => map.state.live || !isLive(mm.system.folios, map.page),
  },
  {
    kind: "atEnd",
    id: "GRANT-GIVEN-BACK",
    statement: "A grant that an invalidation has come to is given back in the end.",
    source: "commit dbe97cff7dd9: xen/gntdev: Avoid blocking in unmap_grant_pages()",
    premise: ({ map }) => map.state.beingRemoved,
    holds: ({ map }) => !map.state.beingRemoved || !map.state.live,
  },
]
