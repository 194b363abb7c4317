/** Seeded bugs of gntdev. The first one is the bug zoo's. */
import * as Effect from "effect/Effect"
import {
  builtIn,
  changeBody,
  guardedStep,
  type Replacements,
  type SeededBug,
  step,
  type Wait,
} from "../../../checker/index.ts"
import { gnttabUnmapRefs, isUsed } from "../../../model/driver/gntdev.ts"
import { pageTableLock } from "../../../model/mm/mm.ts"
import { isFree } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { overlapping, pinned } from "./scenarios.ts"
import type { GntdevWorld } from "./world.ts"

/** Where bugs are hunted: at bounds that are no larger than it takes. */
const once = { scenario: pinned.id, bound: { submissions: 1, invalidations: 1 } }

export const gntdevBugs: ReadonlyArray<SeededBug<GntdevWorld>> = [
  {
    id: "callback-waits-for-page-user",
    title:
      "the callback waits until nobody refers to the page any more: a GPU's driver, which does, waits for the end of the invalidation",
    source: "commit dbe97cff7dd9: xen/gntdev: Avoid blocking in unmap_grant_pages(); gnttab_unmap_refs_sync",
    // Without exit: the thread that submits again has the page pinned still.
    references: zoo(85),
    scenario: overlapping.id,
    bound: { submissions: 2, invalidations: 1 },
    breaks: builtIn.deadlock,
    at: waitsInCallback,
  },
  {
    id: "gntdev-callback-waits-at-exit",
    title:
      "the same at the end of the process, which waits for pins that go when its files are closed, and that is later",
    source:
      "commit dbe97cff7dd9: xen/gntdev: Avoid blocking in unmap_grant_pages(); kernel/exit.c: exit_mm, exit_files",
    references: zoo(85),
    ...once,
    breaks: builtIn.deadlock,
    at: waitsInCallback,
  },
  {
    id: "gntdev-page-got-after-look",
    title: "as published: somebody pins the page between the look at its references and the hypercall",
    source:
      "grant-table.c, __gnttab_unmap_refs_async: no lock is held over page_count() and GNTTABOP_unmap_grant_ref, mmap_lock for reading by MADV_DONTNEED at most; read in the source, not observed",
    ...once,
    breaks: "GRANT-UNUSED-WHEN-GIVEN-BACK",
    at: ({ map }) => ({
      __gnttab_unmap_refs_async: (_, { args }) =>
        Effect.flatMap(
          step("__gnttab_unmap_refs_async: page_count", args, () => isUsed(map)),
          (used) =>
            used
              ? Effect.succeed(false)
              : step("GNTTABOP_unmap_grant_ref", args, () => {
                  gnttabUnmapRefs(map)
                  return true
                }),
        ),
    }),
  },
  {
    id: "gntdev-references-not-asked",
    title: "the grant is given back although a GPU works on the page",
    source: "grant-table.c, __gnttab_unmap_refs_async: page_count(item->pages[pc]) > 1",
    ...once,
    breaks: "GRANT-UNUSED-WHEN-GIVEN-BACK",
    at: ({ map }) => ({
      __gnttab_unmap_refs_async: changeBody(() => {
        gnttabUnmapRefs(map)
        return true
      }),
    }),
  },
  {
    id: "gntdev-work-not-scheduled",
    title: "a page that is in use is left as it is, and nobody looks again",
    source: "grant-table.c, __gnttab_unmap_refs_async: schedule_delayed_work",
    ...once,
    breaks: "GRANT-GIVEN-BACK",
    at: () => ({ __gnttab_unmap_refs_async: (original) => Effect.as(original, true) }),
  },
  {
    id: "gntdev-removed-twice",
    title: "the second of two invalidations gives back what the first has left to the work item, too",
    source:
      "commit dbe97cff7dd9: a separate array says what is being removed, as the handle is there until that is done",
    scenario: overlapping.id,
    breaks: builtIn.assertion,
    at: ({ map }) => ({ unmap_grant_pages: changeBody(() => map.state.live) }),
  },
]

/** `gnttab_unmap_refs_sync`, as before 2022. */
function waitsInCallback({ map, mm, objects }: GntdevWorld): Replacements {
  const wait: Wait = {
    on: "the references to the granted page",
    kind: "references",
    sleeps: true,
    hindrances: () =>
      objects.flatMap(({ state }, position) =>
        state.page === null ? [] : [{ fiber: `client${position}`, how: "has pinned" }],
      ),
  }
  return {
    __gnttab_unmap_refs_async: (_, { args }) =>
      guardedStep(
        "gnttab_unmap_refs_sync: wait_for_completion",
        args,
        () => isFree(pageTableLock(mm, map.va)) && !isUsed(map),
        () => {
          gnttabUnmapRefs(map)
          return true
        },
        wait,
      ),
  }
}
