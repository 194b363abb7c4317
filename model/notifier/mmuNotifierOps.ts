/** What a classic notifier does when it is called (include/linux/mmu_notifier.h: struct mmu_notifier_ops). */
import type * as Effect from "effect/Effect"
import type { Range } from "../mm/range.ts"
import type { NotifierRange } from "./events.ts"

/** `struct mmu_notifier_ops` */
export interface MmuNotifierOps {
  /** Drops all that the device maps, as the address space goes. May run twice, and at once. */
  readonly release?: () => Effect.Effect<void>
  /** Drops what the device maps in the range. False when it would have to sleep and the range is not blockable. */
  readonly invalidateRangeStart?: (range: NotifierRange) => Effect.Effect<boolean>
  readonly invalidateRangeEnd?: (range: NotifierRange) => Effect.Effect<void>
  /** Whether the device has used the page since it was asked last. */
  readonly clearFlushYoung?: (va: number) => Effect.Effect<boolean>
  /** The same, without a flush. */
  readonly clearYoung?: (va: number) => Effect.Effect<boolean>
  /** The same, and leaves it so. */
  readonly testYoung?: (va: number) => Effect.Effect<boolean>
  /**
   * For a device that walks the CPU's page table: drops what its TLB has of the range, whenever the CPUs' TLBs are
   * flushed. Must not sleep. Who has this has neither start nor end.
   */
  readonly archInvalidateSecondaryTlbs?: (range: Range) => Effect.Effect<void>
  /** Frees the notifier that was got, behind the last put and a grace period. */
  readonly freeNotifier?: () => Effect.Effect<void>
}
