/** Seeded bugs of CPUs that come to an address space, leave it, or idle in it. */
import { changeBody, moveBehind, type SeededBug } from "../../../checker/index.ts"
import { zoo } from "../../bugZoo.ts"
import { lazyUnmap, switchShootdown } from "../scenarios/switch.ts"
import type { MmWorld } from "../world.ts"
import { alone } from "./instead.ts"

export const switchBugs: ReadonlyArray<SeededBug<MmWorld>> = [
  {
    id: "switch-mm-vs-shootdown",
    title: "a CPU that switches to a process reads how often was flushed before it says that it is coming",
    source: "CVE-2025-40174; commit 83b0177a6c48: x86/mm: Fix SMP ordering in switch_mm_irqs_off(); CVE-2016-2069",
    references: zoo(91),
    scenario: switchShootdown.id,
    bound: alone,
    breaks: "SHOOTDOWN-COMPLETE",
    at: () => moveBehind("switch_mm_irqs_off: cpumask_set_cpu", "switch_mm_irqs_off: choose_new_asid"),
  },
  {
    id: "flush-skips-switching-cpu",
    title: "a flush interrupts no CPU that is in the middle of switching to the process",
    source:
      "CVE-2025-37964; commit fea4e317f9e7: x86/mm: Eliminate window where TLB flushes may be inadvertently skipped",
    references: zoo(91),
    scenario: switchShootdown.id,
    bound: alone,
    breaks: "SHOOTDOWN-COMPLETE",
    at: ({ cpus, parent }) => ({
      flush_tlb_multi: changeBody(() =>
        (parent.context?.state.cpumask ?? []).filter((name) =>
          cpus.some((cpu) => cpu.name === name && !cpu.state.switching && cpu.state.loaded === parent.name),
        ),
      ),
    }),
  },
  {
    id: "table-freed-while-lazy-walker",
    title: "a page table of a process with one user is freed at once: who only idles in it does not count as a user",
    source: "commit a6f572084fbe: mm/tlb: Remove tlb_remove_table() non-concurrent condition",
    references: zoo(88),
    scenario: lazyUnmap.id,
    bound: alone,
    breaks: "PT-NO-CPU",
    at: ({ parent }) => ({
      free_pgtables: changeBody(({ body }) => {
        const unlinked = body()
        if (parent.state.users > 1) return unlinked
        for (const { state } of parent.tables) if (!state.linked) state.live = false
        return unlinked
      }),
    }),
  },
]
