/**
 * CPUs that come to an address space and leave it while others flush its translations (arch/x86/mm/tlb.c). A CPU keeps
 * what it has translated when it leaves, under the address space's PCID; the count of flushes says whether that may
 * still be used when it comes back.
 *
 * A flush by an mmu_gather is told step by step. Flushes under a page table's lock stay one step, of all CPUs.
 */
import type * as Effect from "effect/Effect"
import {
  assert,
  type Cell,
  cell,
  guardedStep,
  procedure,
  type Struct,
  self,
  step,
  struct,
} from "../../checker/program/index.ts"
import { hasTable, type Mm, tableOf } from "./mm.ts"
import { at, type Range } from "./range.ts"
import { tlbOf } from "./tlb.ts"

/** What a CPU has loaded. */
export interface Cpu {
  readonly name: string
  /** `cpu_tlbstate` and `cpu_tlbstate_shared` */
  readonly state: Struct<{
    /** `loaded_mm`, by name; empty for init_mm, which has no user memory. */
    loaded: string
    /** LOADED_MM_SWITCHING */
    switching: boolean
    /** `is_lazy`: a kernel thread runs, with the page table of the process before still loaded. */
    lazy: boolean
    /** No interrupt comes through. */
    irqsOff: boolean
  }>
}

/** `mm_context_t`, and `cpumask` of the mm. */
export interface MmContext {
  readonly cpus: ReadonlyMap<string, Cpu>
  readonly state: Struct<{
    /** `mm_cpumask`: the CPUs that may have it loaded, by name. */
    cpumask: ReadonlyArray<string>
    /** `tlb_gen`: how often its translations were flushed. */
    tlbGen: number
  }>
  /** `ctxs[asid].tlb_gen`: how far each CPU has flushed what it keeps of the address space. */
  readonly flushed: ReadonlyMap<string, Cell<number>>
  /** What each CPU has cached of the upper level: the generation of each page table that it may walk. */
  readonly walkCaches: ReadonlyMap<string, ReadonlyArray<Cell<number | null>>>
}

/** Makes a CPU that has nothing loaded. */
export const cpu = (name: string): Cpu => ({
  name,
  state: struct(name, { loaded: "", switching: false, lazy: false, irqsOff: false }),
})

/** From now on the CPUs come to the address space and leave it: none has it loaded yet. */
export const trackCpus = (mm: Mm, cpus: ReadonlyArray<Cpu>): MmContext => {
  const nobody: ReadonlyArray<string> = []
  const context: MmContext = {
    cpus: new Map(cpus.map((one) => [one.name, one])),
    state: struct(`${mm.name}.context`, { cpumask: nobody, tlbGen: 1 }),
    flushed: new Map(cpus.map(({ name }) => [name, cell(`${name}.${mm.name}.tlb_gen`, 1)])),
    walkCaches: new Map(
      cpus.map(({ name }) => [
        name,
        mm.tables.map((_, position) => cell<number | null>(`${name}.${mm.name}.pmd${position}`, null)),
      ]),
    ),
  }
  mm.context = context
  return context
}

/** Whether a CPU runs the process: it has it loaded, is not lazy, and has come to the end of switching, and so to user mode. */
export const runs = ({ context, name }: Mm, cpuName: string): boolean => {
  const state = context?.cpus.get(cpuName)?.state
  return state === undefined || (state.loaded === name && !state.lazy && !state.irqsOff)
}

const contextOf = (mm: Mm): MmContext => {
  if (mm.context === null) throw new TypeError(`no CPU is said to come to the process ${mm.name}`)
  return mm.context
}

const genOf = ({ flushed }: MmContext, name: string): Cell<number> => {
  const found = flushed.get(name)
  if (found === undefined) throw new RangeError(`there is no CPU ${name}`)
  return found
}

/** Drops all that a CPU has of the address space. Within a step. */
const flushLocal = (mm: Mm, context: MmContext, name: string): void => {
  for (const entry of tlbOf(mm, name)) entry.value = null
  for (const entry of context.walkCaches.get(name) ?? []) entry.value = null
}

/**
 * `switch_mm_irqs_off`, interrupts off: loads the address space. The CPU says that it is about to, and is in the mask of
 * those to be interrupted, before it reads how often was flushed: a flush behind that reading interrupts it.
 */
export const switchMm = procedure(function* (one: Cpu, next: Mm) {
  const context = contextOf(next)
  const { name, state } = one
  const wasLazy = yield* step("switch_mm_irqs_off", [name, next.name], () => {
    state.irqsOff = true
    const lazy = state.loaded === next.name && state.lazy
    state.lazy = false
    if (!lazy) state.switching = true
    return lazy
  })
  if (!wasLazy) {
    yield* step("switch_mm_irqs_off: cpumask_set_cpu", [name, next.name], () => {
      if (!context.state.cpumask.includes(name)) context.state.cpumask = [...context.state.cpumask, name].sort()
    })
  }
  const stale = yield* step("switch_mm_irqs_off: choose_new_asid", [name, next.name], () => {
    const { tlbGen } = context.state
    return genOf(context, name).value < tlbGen ? tlbGen : null
  })
  if (!wasLazy || stale !== null) {
    yield* step("load_new_mm_cr3", [name, next.name], () => {
      if (stale === null) return
      flushLocal(next, context, name)
      genOf(context, name).value = stale
    })
  }
  yield* step("switch_mm_irqs_off: loaded_mm", [name, next.name], () => {
    state.loaded = next.name
    state.switching = false
    state.irqsOff = false
  })
})

/** `enter_lazy_tlb`: a kernel thread runs on with the page table that is loaded, which it does not use; the hardware may. */
export const enterLazyTlb = ({ name, state }: Cpu): Effect.Effect<void> =>
  step("enter_lazy_tlb", [name], () => {
    state.lazy = true
  })

/** The hardware walks what is loaded, because it pleases to: first the upper level, then the page table that this leads to. */
export const walkSpeculatively = procedure(function* ({ name, state }: Cpu, mm: Mm, va: number) {
  const context = contextOf(mm)
  const table = tableOf(mm, va).state
  const cached = context.walkCaches.get(name)?.[Math.floor(va / mm.system.pagesPerTable)]
  yield* step("hardware walk: pmd", [name, va], () => {
    if (cached !== undefined && state.loaded === mm.name && hasTable(mm, va)) cached.value ??= table.generation
  })
  yield* step("hardware walk: pte", [name, va], () => {
    if (cached === undefined || cached.value === null || state.loaded !== mm.name) return
    assert(
      table.live && table.generation === cached.value,
      `${name} walks a page table of ${mm.name} after it was freed`,
    )
    const pte = at(mm.pte, va).value
    if (pte?.kind !== "present" || pte.access === "none" || !hasTable(mm, va)) return
    at(tlbOf(mm, name), va).value ??= { page: pte.page, write: pte.access === "write", dirty: false }
  })
})

/**
 * `flush_tlb_mm_range`: counts the flush, then looks which CPUs are to be interrupted for it, and waits until each has
 * done it.
 *
 * @param freedTables whether page tables go too: then lazy CPUs are interrupted as well
 */
export const flushTlbMmRange = procedure(function* (
  mm: Mm,
  context: MmContext,
  { start, end }: Range,
  freedTables: boolean,
) {
  const gen = yield* step("inc_mm_tlb_gen", [mm.name, start, end], () => ++context.state.tlbGen)
  const targets = yield* step("flush_tlb_multi", [mm.name, gen, ...(freedTables ? ["freed_tables"] : [])], () =>
    context.state.cpumask.filter((name) => freedTables || shouldFlushTlb(context, mm, name)),
  )
  // Its own CPU does not need an interrupt.
  for (const name of [...targets].sort((a, b) => Number(b === self()) - Number(a === self()))) {
    yield* flushTlbFunc(mm, context, name)
  }
})

/** `should_flush_tlb`: a lazy CPU looks by itself when it goes on; one that is switching may be on its way here. */
const shouldFlushTlb = ({ cpus }: MmContext, mm: Mm, name: string): boolean => {
  const state = cpus.get(name)?.state
  if (state === undefined || state.lazy) return false
  return state.switching || state.loaded === mm.name
}

/** `flush_tlb_func`, in the interrupt that a CPU takes as soon as it takes any. */
const flushTlbFunc = (mm: Mm, context: MmContext, name: string): Effect.Effect<void> => {
  const state = context.cpus.get(name)?.state
  return guardedStep(
    "flush_tlb_func",
    [name, mm.name],
    () => state?.irqsOff === false,
    () => {
      if (state === undefined) return
      if (state.loaded !== mm.name) {
        context.state.cpumask = context.state.cpumask.filter((other) => other !== name)
        return
      }
      if (state.lazy) {
        // There is nothing to be kept for a kernel thread: it goes on with init_mm.
        state.loaded = ""
        state.lazy = false
        return
      }
      if (genOf(context, name).value >= context.state.tlbGen) return
      flushLocal(mm, context, name)
      genOf(context, name).value = context.state.tlbGen
    },
  )
}
