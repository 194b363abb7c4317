/** Page tables are freed when nobody can be inside any more: neither software nor hardware. */
import { isTable, type Mm, tableOf } from "../../../model/mm/mm.ts"
import { at } from "../../../model/mm/range.ts"
import { mmOf } from "../../../model/mm/rmap.ts"
import { isLost, type Walk } from "../walks.ts"
import type { MmWorld } from "../world.ts"
import type { Spec } from "./places.ts"

const walks = ({ walks: { inside } }: MmWorld): ReadonlyArray<{ readonly fiber: string; readonly walk: Walk }> =>
  [...inside].flatMap(([fiber, { value }]) => (value === null ? [] : [{ fiber, walk: value }]))

/** What CPUs that have an address space loaded have cached of its upper level. */
const cachedTables = ({ mms }: MmWorld) =>
  mms.flatMap((mm) =>
    [...(mm.context?.walkCaches ?? [])].flatMap(([cpu, tables]) =>
      mm.context?.cpus.get(cpu)?.state.loaded !== mm.name
        ? []
        : tables.flatMap(({ value }, position) =>
            value === null ? [] : [{ mm, cpu, va: position * mm.system.pagesPerTable, generation: value }],
          ),
    ),
  )

/** The places that somebody walks to by reverse mapping. */
const met = ({ system, walks }: MmWorld) =>
  [...walks.met].flatMap(([fiber, { value }]) => value.map(({ mm, va }) => ({ fiber, mm: mmOf(system, mm), va })))

const isStale = (mm: Mm, va: number, generation: number): boolean => !isTable(tableOf(mm, va), generation)

/** The page tables of an address space that are neither linked nor freed. */
const lostTables = ({ tables }: Mm): ReadonlyArray<number> =>
  tables.flatMap(({ state: { live, linked, deferred } }, position) =>
    live === linked && deferred.length === 0 ? [] : [position],
  )

/** Whether an address space has no page table and no area. */
const isBare = ({ tables, vma }: Mm): boolean =>
  tables.every(({ state }) => !state.linked) && vma.every(({ value }) => value === null)

export const tableProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "PT-NO-WALKER",
    statement: "No page table is freed or reused while somebody who walks without locks is inside it.",
    source:
      "mm/gup.c: gup_fast (comment on interrupts); mm/mmu_gather.c: tlb_remove_table_sync_one; commit 2ba99c5e0881",
    premise: (world) => walks(world).length > 0,
    holds: (world) => walks(world).every(({ walk }) => !isLost(world.system, walk)),
    explain: (world) =>
      walks(world)
        .filter(({ walk }) => isLost(world.system, walk))
        .map(
          ({ fiber, walk }) => `${fiber} is inside the page table of page ${walk.va} of ${walk.mm}, which was freed.`,
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "PT-NO-CPU",
    statement: "No page table is freed that a CPU, lazy or not, can reach from the address space that it has loaded.",
    source: "mm/mmu_gather.c: tlb_remove_table; arch/x86/mm/tlb.c: flush_tlb_multi (freed_tables); commit a6f572084fbe",
    premise: (world) => cachedTables(world).length > 0,
    holds: (world) => cachedTables(world).every(({ mm, va, generation }) => !isStale(mm, va, generation)),
    explain: (world) =>
      cachedTables(world)
        .filter(({ mm, va, generation }) => isStale(mm, va, generation))
        .map(({ mm, cpu, va }) => `${cpu} can walk the page table of page ${va} of ${mm.name}, which was freed.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "PT-HIDDEN-FIRST",
    statement: "No area, and no page table below it, is freed while somebody walks to it by reverse mapping.",
    source: "mm/memory.c: free_pgtables (Hide vma from rmap and truncate_pagecache before freeing pgtables)",
    premise: (world) => met(world).length > 0,
    holds: (world) => met(world).every(({ mm, va }) => at(mm.vma, va).value !== null),
    explain: (world) =>
      met(world)
        .filter(({ mm, va }) => at(mm.vma, va).value === null)
        .map(({ fiber, mm, va }) => `${fiber} is on its way to page ${va} of ${mm.name}, whose area was freed.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "EXIT-AFTER-COLLAPSE",
    statement: "The unmapping at the end of an address space begins when no khugepaged works on its page tables.",
    source: "mm/khugepaged.c: __khugepaged_exit (Stop here until khugepaged has finished working on the pagetables)",
    premise: ({ slips }) => slips.endsUncollapsed !== "untested",
    holds: ({ slips }) => slips.endsUncollapsed !== "broken",
  },
  {
    kind: "atEnd",
    id: "PT-NO-LEAK",
    statement:
      "When everything has ended, each page table is one that its address space leads to, and one that has ended has neither page tables nor areas.",
    source: "kernel/fork.c: check_mm (non-zero pgtables_bytes on freeing mm); mm/khugepaged.c: collapse_huge_page",
    holds: ({ mms }) => mms.every((mm) => lostTables(mm).length === 0 && (mm.state.users > 0 || isBare(mm))),
    explain: ({ mms }) =>
      mms
        .flatMap((mm) => [
          ...lostTables(mm).map(
            (position) => `Nothing leads to page table ${position} of ${mm.name}, which is not freed.`,
          ),
          ...(mm.state.users > 0 || isBare(mm) ? [] : [`${mm.name} has ended, and has areas or page tables left.`]),
        ])
        .join(" "),
  },
]
