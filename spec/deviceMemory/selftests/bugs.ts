/** Seeded bugs that the kernel's self tests find. */
import * as Effect from "effect/Effect"
import { changeBody, changeResult, leaveOut, type Replacement, type SeededBug } from "../../../checker/index.ts"
import { folioOf, folioTrylock } from "../../../model/mm/folio.ts"
import { pageTableLock } from "../../../model/mm/mm.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { keep } from "../../../model/sync/spinlock.ts"
import { doubleMap, teardown } from "./concurrent.ts"
import { oneAtATime } from "./scenarios.ts"
import type { SelftestWorld } from "./world.ts"

/** Where a bug is hunted: in the test of that number. */
const inTest = (number: number) => ({ scenario: oneAtATime.id, bound: { number } })

export const selftestBugs: ReadonlyArray<SeededBug<SelftestWorld>> = [
  {
    id: "selftests-own-pages-dropped",
    title: "the callback drops pages in the device's own memory, too, when others are migrated there",
    source: "hmm-tests.c: migrate_fault, by inference",
    ...inTest(13),
    breaks: "SELFTEST-OUTCOME",
    at: ({ dmirrors }) => ({
      dmirror_do_update: changeBody(({ args }) => {
        const [name, start, end] = args
        for (const va of pagesOf({ start: Number(start), end: Number(end) })) {
          const entry = dmirrors.get(String(name))?.pt[va]
          if (entry !== undefined) entry.value = null
        }
      }),
    }),
  },
  {
    id: "selftests-migrates-pages-of-others",
    title: "migrate_vma_collect takes private pages of whatever device where pages of the system are asked for",
    source: "hmm-tests.c: migrate_mixed",
    ...inTest(16),
    breaks: "SELFTEST-OUTCOME",
    at: ({ parent, system }) => ({
      "migrate_vma_collect_pmd: ptep_get_and_clear": changeBody(({ args, body }) => {
        const va = Number(args[1])
        const cell = at(parent.pte, va)
        const pte = cell.value
        const found = body()
        if (found !== "skip" || pte?.kind !== "private" || !folioTrylock(system.folios, pte.page)) return found
        folioOf(system.folios, pte.page).refcount++
        cell.value = null
        keep(pageTableLock(parent, va))
        return pte
      }),
    }),
  },
  {
    id: "selftests-new-page-not-put",
    title: "migrate_vma_finalize does not drop its reference to the new page, which nobody frees any more",
    source: "mm/migrate_device.c: migrate_device_finalize, by inference",
    ...inTest(12),
    breaks: "SELFTEST-NO-LEAK",
    at: ({ system: { folios } }) => ({
      "folio_unlock, folio_putback_lru": changeBody(({ args, body }) => {
        const slot = folios.arena.slots[Number(args[0])]
        if (slot !== undefined && folios.pgmaps.has(slot.index)) slot.refcount++
        body()
      }),
    }),
  },
  {
    id: "selftests-fork-leaves-private-writable",
    title: "fork shares a private page, and leaves both entries writable for the devices",
    source: "mm/memory.c: copy_nonpresent_pte; hmm-tests.c: anon_write_child",
    ...inTest(6),
    breaks: "SELFTEST-OUTCOME",
    at: ({ parent, child }) => ({
      copy_pte_range: changeBody(({ args, body }) => {
        const result = body()
        for (const { pte } of [parent, child]) {
          const entry = at(pte, Number(args[1]))
          if (entry.value?.kind === "private") entry.value = { ...entry.value, write: true }
        }
        return result
      }),
    }),
  },
  {
    id: "selftests-fork-ignores-exclusive",
    title: "fork passes over pages that a device has for itself, and the child has none",
    source: "hmm-tests.c: exclusive_cow",
    ...inTest(26),
    breaks: "SELFTEST-OUTCOME",
    at: ({ parent }) => ({
      copy_pte_range: changeBody(({ args, body }) =>
        at(parent.pte, Number(args[1])).value?.kind === "exclusive" ? "copied" : body(),
      ),
    }),
  },
  {
    id: "selftests-atomic-entry-stays",
    title: "a process's fault takes an exclusive page back and the callback leaves the device's entry where it is",
    source: "hmm-tests.c: exclusive",
    ...inTest(24),
    breaks: "SELFTEST-OUTCOME",
    at: () => ({ dmirror_do_update: leaveOut() }),
  },
  {
    id: "selftests-snapshot-tells-of-others",
    title: "a snapshot tells of private pages that are another device's",
    source: "mm/hmm.c: hmm_vma_handle_pte, dev_private_owner; hmm-tests.c: snapshot",
    ...inTest(21),
    breaks: "SELFTEST-OUTCOME",
    at: ({ parent }) => ({
      hmm_vma_handle_pte: changeBody(({ args, body }) => {
        const found = body()
        const pte = at(parent.pte, Number(args[0])).value
        return found === "none" && pte?.kind === "private" ? { page: pte.page, write: pte.write } : found
      }),
    }),
  },
  {
    id: "selftests-pin-leaves-coherent-page",
    title: "a page of coherent memory is pinned for good where it is",
    source: "mm/gup.c: collect_longterm_unpinnable_folios; hmm-tests.c: hmm_gup_test",
    ...inTest(27),
    breaks: "SELFTEST-OUTCOME",
    at: () => ({ collect_longterm_unpinnable_folios: changeResult(() => "kept") }),
  },
  {
    id: "selftests-teardown-unchecked",
    title: "a fault maps what it has read without a look at the sequence, and the buffer is unmapped meanwhile",
    source: "hmm-tests.c: anon_teardown",
    scenario: teardown.id,
    breaks: "MIRROR-AGREE",
    at: () => ({ mmu_interval_read_retry: leaveOut(false) }),
  },
  {
    id: "selftests-double-map-not-told",
    title: "a device ignores migrations to others, and goes on using the page that was moved",
    source: "lib/test_hmm.c: dmirror_interval_invalidate without a look at the owner; hmm-tests.c: double_map",
    scenario: doubleMap.id,
    bound: { pages: 1 },
    breaks: "MIRROR-AGREE",
    at: (_, fiber) => {
      const silent: Replacement = (original, { args }) =>
        String(args[0]).startsWith("parent.dmirror0") || String(args[0]).startsWith("parent.dmirror2")
          ? Effect.void
          : original
      return fiber === "device1" ? { mmu_interval_set_seq: silent, dmirror_do_update: silent } : {}
    },
  },
]
