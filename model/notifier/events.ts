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

/** Every function that announces a range. */
export type NotifierCaller =
  | "unmap_vmas"
  | "zap_page_range_single"
  | "madvise_free_single_vma"
  | "unmap_mapping_range"
  | "__oom_reap_task_mm"
  | "wp_page_copy"
  | "copy_page_range"
  | "change_protection"
  | "change_prot_numa"
  | "move_page_tables"
  | "try_to_unmap_one"
  | "try_to_migrate_one"
  | "page_mkclean_one"
  | "__split_huge_pmd"
  | "collapse_huge_page"
  | "collapse_pte_mapped_thp"
  | "do_pagemap_scan"
  | "mn_itree_release"

/** Those that do so on behalf of a device, which only an address space with devices of that kind has. */
export type DeviceCaller =
  | "migrate_vma_collect"
  | "migrate_vma_insert_page"
  | "make_device_exclusive"
  | "remove_device_exclusive_entry"

/** Those that only an address space with huge pages has. */
export type HugeCaller = "do_huge_zero_wp_pmd" | "hugetlb_change_protection"

/** `struct mmu_notifier_range`: what is invalidated, why, by which function, and whether the callbacks may sleep. */
export interface NotifierRange extends Range {
  readonly event: NotifierEvent
  readonly by: NotifierCaller | DeviceCaller | HugeCaller
  readonly blockable: boolean
  /** Whose doing it is, of MIGRATE and EXCLUSIVE: who finds itself there may ignore the event. */
  readonly owner?: string
}

/** `mmu_notifier_range_init`, of a range whose callbacks may sleep. */
export const notifierRange = (
  event: NotifierEvent,
  by: NotifierCaller | DeviceCaller | HugeCaller,
  { start, end }: Range,
): NotifierRange => ({
  start,
  end,
  event,
  by,
  blockable: true,
})

/** `mmu_notifier_range_init_owner` */
export const notifierRangeOf = (
  owner: string,
  event: NotifierEvent,
  by: DeviceCaller,
  pages: Range,
): NotifierRange => ({
  ...notifierRange(event, by, pages),
  owner,
})
