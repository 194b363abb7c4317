import type * as Effect from "effect/Effect"
import { type Cell, cell } from "../../checker/program/index.ts"
import { type NotifierSubscriptions, notifierSubscriptions } from "../notifier/interval.ts"
import { downgradeWrite, downRead, downWrite, type RwSem, rwSem, upRead } from "../sync/rwsem.ts"
import { type SpinLock, spinLock } from "../sync/spinlock.ts"
import type { Folios, Frame } from "./folio.ts"
import { pagesOf } from "./range.ts"
import { type Tlb, tlb } from "./tlb.ts"

/** An address space of `pages` anonymous pages, addressed by their number `va`. */
export interface Mm {
  readonly name: string
  readonly pages: number
  readonly folios: Folios
  readonly mmapLock: RwSem
  /** Whether a VMA covers the page. */
  readonly vma: ReadonlyArray<Cell<boolean>>
  /** The page table: the frame that is present, or `null` (None). */
  readonly pte: ReadonlyArray<Cell<Frame | null>>
  /** The lock of the page table, `ptl`. */
  readonly pageTableLock: SpinLock
  /** One TLB per CPU that runs the process. */
  readonly tlbs: ReadonlyMap<string, Tlb>
  readonly subscriptions: NotifierSubscriptions
}

/** Makes an address space with one VMA over all its pages and nothing present. */
export const addressSpace = (name: string, pages: number, cpus: ReadonlyArray<string>, folios: Folios): Mm => {
  const all = pagesOf({ start: 0, end: pages })
  return {
    name,
    pages,
    folios,
    mmapLock: rwSem("mmap_lock"),
    vma: all.map((va) => cell(`vma${va}`, true)),
    pte: all.map((va) => cell<Frame | null>(`pte${va}`, null)),
    pageTableLock: spinLock("ptl"),
    tlbs: new Map(cpus.map((cpu) => [cpu, tlb(cpu, all)])),
    subscriptions: notifierSubscriptions(),
  }
}

/** `mmap_read_lock` */
export const mmapReadLock = (mm: Mm): Effect.Effect<void> => downRead(mm.mmapLock, "mmap_read_lock")
/** `mmap_read_unlock` */
export const mmapReadUnlock = (mm: Mm): Effect.Effect<void> => upRead(mm.mmapLock, "mmap_read_unlock")
/** `mmap_write_lock` */
export const mmapWriteLock = (mm: Mm): Effect.Effect<void> => downWrite(mm.mmapLock, "mmap_write_lock")
/** `mmap_write_downgrade` */
export const mmapWriteDowngrade = (mm: Mm): Effect.Effect<void> => downgradeWrite(mm.mmapLock, "mmap_write_downgrade")
