/** The second half of the bad interleavings, as bugZooInterleavings.ts has the first. */
export const interleavingsFrom52 = `
52 zap-misses-transiently-cleared-pmd: D = cpu0, N = cpu1
1 N change_huge_pmd: pmdp_invalidate_ad(parent, 0, 1)
2 D zap_pmd_range(parent, 0)
4 D mmap_read_unlock(parent)
3 N change_huge_pmd: set_pmd_at(parent, 0, 1)
~ The call returns before the entry is written back, which takes a preemption less.

53 two-faults-zero-new-block: A = cpu.mm1, B = cpu.mm0
1 B xfs_bmapi_read(data, 0)
1 A xfs_bmapi_read(data, 0)
2 A xfs_iomap_write_direct(data, 0)
2 A user_store(mm1, 0, mm1)
3 B xfs_iomap_write_direct(data, 0)
5 A user_load(mm1, 0)

55 device-fault-refs-block-migration: A = cpu0, B = cpu1
1 A do_swap_page: trylock_page(parent, 0)
2 B do_swap_page: trylock_page(parent, 0)
3 A migrate_vma_check_page(3)
3 A remove_migration_pte(parent, 0)
4 A do_swap_page: trylock_page(parent, 0)
4 B migrate_vma_check_page(3)
4 B remove_migration_pte(parent, 0)
5 B do_swap_page: trylock_page(parent, 0)

56 range-fault-spins-on-locked-page: H = hmm0, M = gpu1
1 M migrate_vma_collect_pmd: set_pte_at(parent, 0)
1 M lru_add_drain_all: queue_work_on(cpu0)
2 H do_swap_page: trylock_page(child, 1)

58 unmap-stops-at-first-sharer: G = kcompactd0, T = cpu1, Q = (see notifier-range-narrower-than-change)
1 T user_store(child, 0, cpu1 1)
2 G try_to_migrate_one: huge_ptep_clear_flush(parent, 0)
3 G rmap_walk_file(child)
4 G move_to_new_page(0)
4 T user_store(child, 0, cpu1 2)

58 notifier-range-narrower-than-change: G = kcompactd0, Q = gpu0, T = (what is announced is asked)
5 Q device_map(parent, 1)
5 G mmu_notifier_invalidate_range_start(parent, 0, 2)
5 G huge_pmd_unshare(parent)

59 unshare-drops-table-before-flush: Z = munmap0, O = cpu2, T = cpu0
1 T user_store(parent, 0, cpu0 1)
2 Z huge_pmd_unshare(parent)
3 Z i_mmap_unlock_write
4 O huge_ptep_get_and_clear(child, 0)
4 O remove_huge_page(0)

59 unshare-drops-walked-table: Z = munmap0, O = cpu2, T = cpu0
1 T user_store(parent, 0, cpu0 1)
2 Z huge_pmd_unshare(parent)
3 Z i_mmap_unlock_write
4 O free_pgtables(child)
4 O tlb_remove_table(0)

61 lazyfree-reclaim-vs-direct-io: I = cpu0, R = kswapd1
2 I gup_fast_pte_range: try_grab_folio_fast(0)
4 I dma_write(0, cpu0)
3 R try_to_unmap_one: ptep_get_and_clear(parent, 0)
3 R try_to_unmap_one(parent, 0)
~ The data is there before the page is dropped, a preemption less: the page is marked dirty only at the end.

62 swapin-aba: A = cpu0, B = cpu1, cpu2 (swaps the page out again)
1 A swap_read_folio(0, 0)
1 B swap_read_folio(1, 0)
2 B do_swap_page(parent, 0)
3 B user_store(parent, 0, cpu1)
4 cpu2 folio_alloc_swap(1)
4 cpu2 pageout(1)
5 A do_swap_page(parent, 0)

64 dereg-vs-invalidate: D = ibv_dereg_mr, I = cpu0, nic0 (maps what is invalidated)
1 D mlx5_umr_revoke_mr_with_lock(mr)
2 I mutex_lock(mr.umem_mutex)
2 I mlx5_ib_invalidate_range(mr, 0, 1)
3 I mlx5r_umr_update_xlt(mr, zap, 0)

65 implicit-child-destroyed-twice: I1 = cpu0, I2 = (cpu0 again: the second of its calls), W = kworker/child0.0/1/cpu0, nic0 (maps a page of the child, and again), kworker/child0.0/1/cpu0 once more (the same work item, run twice)
1 I1 __xa_cmpxchg: erase(child0.0)
4 W free_implicit_child_mr_work(child0.0, 1)
2 I1 __xa_cmpxchg: erase(child0.0)
5 kworker/child0.0/1/cpu0 once more free_implicit_child_mr_work(child0.0, 1)
~ The work has begun when the child is erased again, and is still going on when it begins once more, which takes fewer steps than to wait for its end.

67 layout-recall-waits-for-own-write: C = client0, S = (takes its steps within the client's call), client0-cb (the client's callback)
1 C ff_layout_write_pagelist(client0)
2 C __break_lease(file, true)
3 client0-cb initiate_file_draining(client0, 2)

68 layoutget-locks-held-across-rpc: C = client0, S = (takes its steps within the client's call), K = client0-cb
1 C pnfs_layout_process(client0, 0)
2 C xfs_file_buffered_write: xfs_ilock(file)
3 C __break_lease(file, true)
4 K nfsd4_cb_layout_prepare(client0)

70 longterm-pin-of-transiently-isolated-page: G1 = cpu0, G2 = cpu1
1 G1 collect_longterm_unpinnable_folios(0)
2 G2 follow_page_pte(parent, 0, pin write)
3 G2 collect_longterm_unpinnable_folios(0)
4 G2 dma_map_page (long-term)(0)

70 longterm-pin-of-page-never-on-lru: G1 = pin, G2 = (the page is on no list at all, for ever)
1 G1 follow_page_pte(parent, 0, pin write)
3 G1 collect_longterm_unpinnable_folios(0)
5 G1 unpin_user_page(0)

71 copy-decision-by-mapcount: N = cpu1, D = cpu0, W = cpu2
1 D gup_fast_pte_range: try_grab_folio_fast(0)
2 N ptep_modify_prot_commit(parent, 0)
3 W do_numa_page(parent, 0)
4 W do_wp_page(parent, 0)
5 W wp_page_copy: set_pte_at(parent, 0)

73 deref-hmm-pfns-outside-lock: D = gpu0, I = cpu0
1 D hmm_range_fault(gpu0, 0, 1)
2 I zap_pte_range(mm, 0)
2 I free_pages_and_swap_cache(0, 1)
3 D set_page_dirty_lock: unlocked(gpu0, 0)

74 pfn-array-not-reset-on-retry: D = gpu0, I = cpu0
1 D hmm_pfns: requests(gpu0
2 D hmm_range_fault(gpu0, 0, 1)
3 I zap_pte_range(mm, 1)
3 D mmu_interval_read_retry(gpu0)
4 D hmm_pfns: requests(gpu0
5 D hmm_range_fault(gpu0, 1, 2)
~ The call has returned 0 before the range changes, and it is the driver's own look that sends it round again. What is misread is a page that nobody asked for, and -EFAULT the result: a request is not lost, as what is said of a page that was asked for has the bits by which it was asked.

76 fault-vs-truncate-no-common-lock: F = cpu.mm0, T = fs0
2 T zap_pte_range(mm0, 0)
1 F xfs_bmapi_read(data, 0)
3 F vmf_insert_page_mkwrite(mm0, 0)
4 T xfs_bunmapi(data, 0, 1)
~ The fault begins behind the unmapping, a preemption less.

76 blocks-fault-vs-truncate-no-common-lock: F = cpu0, T = truncate
1 F xfs_bmapi_read(file, 0)
2 T unmap_mapping_range(file)
4 T xfs_itruncate_extents(file)
5 T xfs_bmapi_write(other, other)
3 F dax_insert_pfn_mkwrite(file, 0, 0)
~ The truncation ends before the fault goes on, a preemption less.

77 fault-between-unmap-and-remove: F = cpu0, H = fallocate1
1 H zap_pte_range(parent, 0)
2 F filemap_get_folio(parent, 0)
2 F finish_fault(parent, 0)
3 H truncate_inode_folio(0)

77 hugetlb-fault-raced-with-punch: F = cpu0, H = cpu2
1 H huge_ptep_get_and_clear(child, 0)
2 F hugetlb_no_page(parent, 0)
3 H remove_huge_page(0)

79 mapping-not-resampled-after-lock-cycle: W = dio0, O = dio1
1 W xfs_bmapi_read: imap(file, 0)
2 W xfs_reflink_fill_cow_hole: xfs_iunlock(file)
3 O submit_bio(file, 1, dio1)
4 W xfs_reflink_fill_cow_hole: xfs_bmapi_read(file, 0)
4 W xfs_reflink_trim_around_shared(file, 0, 0)
5 W submit_bio(file, 0, dio0)

80 break-one-layout-kind-then-proceed: T = cpu0, L = client0, P = gup
1 T dax_layout_busy_page(file)
2 T __break_lease(file, true)
3 P pin_user_pages(file)
4 T __break_lease: restart(file, woken)
5 T truncate_setsize(file, 0)
~ Linux asks for pins first and for leases then: it is a pin that comes while the lease is waited for, not a lease while a pin is.

82 invalid-root-skipped-by-notifier: Z = vmm, I = cpu0, vcpu0 (maps the page)
1 Z kvm_mmu_zap_all_fast
2 I kvm_mmu_unmap_gfn_range(0, 1)
3 I free_pages_and_swap_cache(0)

83 retry-seq-truncated: V = vcpu0, I = cpu0, cpu1 (invalidates once more)
2 I kvm_mmu_invalidate_end: mmu_invalidate_seq
2 cpu1 kvm_mmu_invalidate_end: mmu_invalidate_seq
3 V kvm_mmu_faultin_pfn: mmu_seq(vcpu0, 0)
4 V mmu_invalidate_retry_gfn_unsafe(vcpu0, 0)

85 callback-waits-for-page-user: I = cpu0, N = (its callback is called by I), K = client0
1 K follow_page_pte(mm, 0, pin write)
2 I mn_itree_inv_start_range(mm, 0, 1
3 K mmu_interval_read_begin: prepare_to_wait(3)
2 I unmap_grant_pages(grant)
~ K waits for the walk before the callback waits for K: the same cycle, a preemption less.

86 userptr-callback-takes-driver-mutex: D = client0, cpu0 (forks, so that getting the pages unmaps one)
1 D mutex_lock(object0.lock)
2 D mn_itree_inv_start_range(mm, 0, 1, CLEAR, wp_page_copy)

86 userptr-callback-lock-inversion: D = client0, cpu0 (unmaps the page, so that it must be faulted in), cpu1 (the other task)
1 D mutex_lock(object0.lock)
3 cpu1 mmap_write_lock(mm)
3 cpu1 mn_itree_inv_start_range(mm, 0, 1, PROTECTION_VMA

86 userptr-callback-defers-and-returns: D = client0, cpu0 (the other task), object0-request0 (the GPU at work)
4 D eb_request_add(object0-request0)
4 cpu0 PF_EXITING(object0)
4 cpu0 mn_itree_inv_next(object0)
4 object0-request0 gpu_store(object0

88 table-freed-while-lazy-walker: Z = cpu0, L = cpu1
1 L enter_lazy_tlb(cpu1)
1 L hardware walk: pmd(cpu1, 0)
2 Z free_pgtables(parent, 0, 1)

89 collapse-frees-table-under-walker: G = cpu0, K = khugepaged1
1 G gup_fast_pmd_range(parent, 0)
2 K pmdp_collapse_flush(parent, 0, 1)
2 K pte_free_defer(parent, 0, 0)

91 switch-mm-vs-shootdown: S = cpu1, F = cpu0
1 S switch_mm_irqs_off: choose_new_asid(cpu1, parent)
2 F inc_mm_tlb_gen(parent, 0, 1)
4 F flush_tlb_multi(parent, 2)
5 S switch_mm_irqs_off: cpumask_set_cpu(cpu1, parent)
5 S switch_mm_irqs_off: loaded_mm(cpu1, parent)

91 flush-skips-switching-cpu: S = cpu1, F = cpu0
1 S switch_mm_irqs_off: choose_new_asid(cpu1, parent)
3 S load_new_mm_cr3(cpu1, parent)
2 F inc_mm_tlb_gen(parent, 0, 1)
4 F flush_tlb_multi(parent, 2)
5 S switch_mm_irqs_off: loaded_mm(cpu1, parent)
~ S has loaded the root before F begins, a preemption less.

92 special-entry-bit-aliasing: P = cpu0, C = (has the entry; the parent's fault migrates the page for both)
2 P copy_page_range(parent, 0, 1)
4 P try_to_migrate_one: set_migration_pte(child, 0)
5 P remove_migration_pte(parent, 0)
5 P remove_migration_pte(child, 0)
~ It is the parent that triggers the migration, not the child: no other fiber is needed.

92 huge-migration-entry-writable: P = task, C = (the same fiber takes the steps of both, one after the other), test (starts it)
2 P copy_huge_pmd(parent, 0)
3 P do_huge_pmd_device_private(child, 0)
4 P try_to_migrate_one: set_pmd_migration_entry(parent, 0
4 P try_to_migrate_one: set_pmd_migration_entry(child, 0
5 P remove_migration_pmd(child, 0
6 P dmirror_do_write(child.dmirror0, 0
6 P user_load(parent, 0)

94 error-code-lies-about-lock-state: D = gpu0, H = (takes its steps within the driver's call), cpu0 (invalidates the range)
1 cpu0 hmm_invalidate_range_start(hmm0, 0, 1)
2 D hmm_range_fault(gpu0.range)
3 D mmap_read_lock(mm)

94 range-fault-code-hides-dropped-lock: D = gpu0, H = (takes its steps within the driver's call), cpu0 (unmaps the page)
1 D handle_mm_fault has to wait
2 D mmap_read_unlock(mm)
2 D hmm_range_fault(mm, 0)

95 notifier-bracket-outside-mmap-lock: S = cpu0, O = gru0
1 S gru_invalidate_range_start(0, 1)
3 O mmu_notifier_get_locked(mm)
2 S mmap_read_lock(mm)
2 S pagemap_scan_pmd_entry(mm, 0)
4 S gru_invalidate_range_end(0, 1)
~ What changes meanwhile is not the layout but who listens: who subscribes between the announcement and the round hears an end without a start.

97 device-page-touched-after-free-callback: R = task0, D = gpu0
1 R dmirror_devmem_free(1)
2 D dmirror_devmem_alloc_page(pgmap, 1)
2 D zone_device_page_init(0, 1)
3 R percpu_ref_put_many(pgmap, 1)

98 driver-close-leaves-device-pages: C = close, F = (that no entry is left that leads to the driver is asked at once)
2 C dmirror_fops_release: kfree(card0.file)

98 fault-follows-closed-driver: C = close, F = cpu0
2 C dmirror_fops_release: kfree(card0.file)
3 F user_store(parent, 0, cpu0)
3 F do_swap_page: trylock_page(parent, 0)
4 F page->zone_device_data(3)

100 snapshot-commit-loses-hw-dirty: S = cpu1, T = cpu0, cpu2 (drops the page that looks clean)
1 S ptep_modify_prot_start(parent, 0)
2 T user_store(parent, 0, cpu0)
3 S ptep_modify_prot_commit(parent, 0)
4 cpu2 shrink_folio_list(0)
4 cpu2 __remove_mapping(0)

101 grant-path-leaks-inode-lock-waits: G = client0, T = (the client's own next request waits)
1 G xfs_fs_map_blocks: xfs_ilock(file)
2 G invalidate_inode_pages2: fails
3 G pnfs_layout_process(client0, 0)
4 G xfs_fs_map_blocks: xfs_is_reflink_inode(file)

103 exclusive-entries-fool-rmap: E = gpu0, R = (that the entry counts as a mapping is asked at once)
1 E make_device_exclusive: ptep_clear_flush(parent, 0)
1 E make_device_exclusive: set_pte_at(parent, 0)

104 memslot-changes-between-start-and-end: I = cpu0, M = vmm, V = (that the count is not negative is asked at once)
1 I kvm_mmu_notifier_invalidate_range_start(0, 1)
2 M kvm_swap_active_memslots(0)
3 I kvm_mmu_invalidate_end: mmu_invalidate_in_progress

104 memslots-under-rwsem: I = cpu0, M = vmm, V = (takes no part), kswapd (holds what I waits for, and asks whether the page was used)
5 I kvm_mmu_notifier_invalidate_range_start(1, 2)
5 M down_write(mmu_notifier_slots_lock)
5 kswapd rmap_walk(1)
`
