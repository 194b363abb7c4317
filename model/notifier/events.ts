/** Why a range is invalidated (include/linux/mmu_notifier.h: enum mmu_notifier_event). */
import type { Range } from "../mm/range.ts"

export type NotifierEvent =
  | "UNMAP"
  | "CLEAR"
  | "PROTECTION_VMA"
  | "PROTECTION_PAGE"
  | "SOFT_DIRTY"
  | "RELEASE"
  | "MIGRATE"
  | "EXCLUSIVE"

/** `struct mmu_notifier_range`: what is invalidated, why, by which function, and whether the callbacks may sleep. */
export interface NotifierRange extends Range {
  readonly event: NotifierEvent
  readonly by: string
  readonly blockable: boolean
}

/** `mmu_notifier_range_init`, of a range whose callbacks may sleep. */
export const notifierRange = (event: NotifierEvent, by: string, { start, end }: Range): NotifierRange => ({
  start,
  end,
  event,
  by,
  blockable: true,
})
