/**
 * The bad interleavings of the bug zoo, as the saved counterexamples have them. Of each entry:
 *
 *     RANK BUG: ACTOR = FIBER, ACTOR = (why it takes no step), FIBER (what it is there for)
 *     STEP ACTOR beginning of the label
 *     ~ where it is another interleaving than the entry's, and why
 *
 * Actors and numbers of steps are the entry's; without `~` the numbers ascend.
 */
export const interleavings = `
1 hmm-valid-flag-aba: D = gpu0, U = cpu0
1 D mmu_interval_read_begin(gpu0)
2 D hmm_vma_handle_pte(0)
3 U mn_itree_inv_start_range(mm, 0, 1
4 U zap_pte_range(mm, 0)
5 U mn_itree_inv_end(mm, 0, 1
6 D mutex_lock(gpu0.lock)
6 D mmu_interval_read_retry(gpu0)
7 D device_map(gpu0, 0)

2 interval-remove-unlocked-seq: R = gpu0, I = cpu0
1 I mn_itree_inv_start_range(mm, 0, 1
2 R mmu_interval_notifier_remove(gpu0)
3 I mn_itree_inv_end(mm, 0, 1
4 R mmu_interval_notifier_remove: prepare_to_wait(3)
5 R kfree(gpu0)

4 mremap-flush-after-dst-unlock: M = cpu0, Z = ftruncate1, T = (its TLB has the translation from the beginning)
2 M move_ptes(parent, 0, 1)
2 M pte_unmap_unlock(parent, 0, 1)
3 Z zap_pte_range(parent, 1)
3 Z tlb_finish_mmu(parent, 1, 2)
3 Z truncate_inode_folio(0)

5 migrate-collect-flush-after-ptl: G = gpu0, Z = cpu1, T = (its TLB has the translation from the beginning)
2 G migrate_vma_collect_pmd: ptep_get_and_clear(parent, 0)
2 G migrate_vma_collect_pmd: set_pte_at(parent, 0)
3 Z zap_pte_range(parent, 0)
3 Z mmap_read_unlock(parent)

7 range-start-fail-livelock: O = oom_reaper, A = kvm0, B = svm0
1 O __mmu_notifier_invalidate_range_start(mm, 0, 1
2 O kvm_mmu_notifier_invalidate_range_start(kvm0, 0, 1)
3 B mutex_lock(svm0.mutex)
3 O nouveau_svmm_invalidate_range_start: -EAGAIN(svm0)
4 O __oom_reap_task_mm: -EAGAIN(mm)
6 A mmu_invalidate_seq(kvm0)
6 A mmu_invalidate_retry(kvm0, 0, 0)

8 hmm-eagain-unwind-leak: O = oom_reaper, X = gpu1, D = (the counter is asked, whoever waits for it)
2 X down_write(mirrors_sem)(hmm0, gpu1)
1 O hmm_invalidate_range_start(hmm0, 0, 1)
2 O down_read_trylock(mirrors_sem)(hmm0)
3 O __oom_reap_task_mm: -EAGAIN(mm)
~ The lock is held before the start begins, not taken meanwhile.

8 hmm-eagain-unwind-leak-waits: O = oom_reaper, X = (the device's own lock is not to be had either), D = gpu0
1 O hmm_invalidate_range_start(hmm0, 0, 1)
2 O sync_cpu_device_pagetables: -EAGAIN(gpu0)
3 O __oom_reap_task_mm: -EAGAIN(mm)
4 D hmm_range_wait_until_valid: prepare_to_wait(gpu0.range)

8 hmm-eagain-swallowed: O = oom_reaper, X = (the device's own lock is not to be had), D = gpu0
5 D device_map(gpu0, 0)
5 O sync_cpu_device_pagetables: -EAGAIN(gpu0)
5 O zap_pte_range(mm, 0, 1)

10 fork-per-vma-lock-stale-tlb: F = cpu0, W = cpu1, S = cpu2
2 F copy_present_ptes: ptep_set_wrprotect(parent, 0)
3 W lock_vma_under_rcu(parent, 0)
3 W wp_page_copy: folio_prealloc(parent, 0)
4 S user_store(parent, 0, cpu2)
3 W wp_page_copy: set_pte_at(parent, 0)
~ W's own flush takes S's translation away: the store falls between the copying and that.

11 gup-fast-vs-fork: F = cpu0, G = cpu1, W = cpu2
1 F copy_pte_range(parent, 0)
2 G gup_fast_pte_range: ptep_get_lockless(parent, 0)
2 G gup_fast_pte_range: try_grab_folio_fast(0)
2 G gup_fast_pte_range: recheck(parent, 0, 0
3 F copy_present_ptes: ptep_set_wrprotect(parent, 0)
4 W wp_page_copy: set_pte_at(parent, 0)

13 dirty-cow: W = ptrace0, Z = cpu1
1 W follow_page_pte(parent, 0, get write)
1 W wp_page_copy: set_pte_at(parent, 0)
3 Z zap_pte_range(parent, 0)
2 W follow_page_pte(parent, 0, get read)
4 W finish_fault(parent, 0)
5 W __access_remote_vm: copy_to_user_page(0, ptrace0)
~ The wish to write is lost before the private copy goes; that it is shows in the look-up behind.

14 setlease-vs-open: L = holder, O = opener0
1 L generic_add_lease: check_conflicting_open(file, holder)
2 O get_write_access(file)
3 O break_lease: list_empty_careful(file)
4 L locks_insert_lock_ctx(file, holder)

14 break-lease-without-fence: L = holder, O = opener0
6 O break_lease: list_empty_careful(file)
6 L generic_add_lease: check_conflicting_open(file, holder)
6 L locks_insert_lock_ctx(file, holder)
6 O get_write_access(file)

16 notify-after-pte-replace: C = cpu0, T = cpu1, Q = gpu0
1 Q device_map(gpu0, 0)
2 C wp_page_copy: set_pte_at(parent, 0)
3 T user_store(parent, 0, cpu1)

17 devpriv-fault-no-ref: A = cpu0, B = cpu1
1 A do_swap_page: no reference(parent, 0)
2 B copy_page(6, 0)
2 B folio_unlock, folio_putback_lru(6)
4 A nouveau_page_to_drm(6)

19 kvm-end-seq-before-count: I = cpu0, V = vcpu0
1 V kvm_mmu_faultin_pfn: mmu_seq(vcpu0, 0)
1 V follow_page_pte(mm, 0, get write)
2 I kvm_mmu_invalidate_begin
2 I zap_pte_range(mm, 0)
3 I kvm_mmu_invalidate_end: mmu_invalidate_seq
4 V mmu_invalidate_retry: mmu_invalidate_in_progress(vcpu0, 0)
4 V mmu_invalidate_retry: mmu_invalidate_seq(vcpu0, 0)
5 V kvmppc_add_revmap_chain(vcpu0, 0)
6 I kvm_mmu_invalidate_end: mmu_invalidate_in_progress

20 hmm-seq-resampled-per-chunk: D = gpu0, I = cpu0
1 D mmu_interval_read_begin(gpu0)
1 D hmm_range_fault(gpu0, 0, 1)
2 I zap_pte_range(mm, 0)
3 D mmu_interval_read_begin(gpu0)
3 D hmm_range_fault(gpu0, 1, 2)
4 D mutex_lock(gpu0.lock)
4 D mmu_interval_read_retry(gpu0)
5 D device_map(gpu0, 0)

22 migrate-collect-drops-dirty: G = kcompactd1, T = cpu0, R = cpu2
1 T user_store(parent, 0, cpu0)
2 G try_to_migrate_one: ptep_get_and_clear(parent, 0)
3 G remove_migration_pte(parent, 0)
4 R shrink_folio_list(1)
4 R __remove_mapping(1)

22 migrate-collect-drops-dirty-device: G = gpu0, T = cpu1, R = (that the page looks clean is asked at once)
1 T user_store(parent, 0, cpu1)
2 G migrate_vma_collect_pmd: ptep_get_and_clear(parent, 0)
3 G remove_migration_pte(parent, 0)

23 gup-fast-vs-thp-collapse: G = cpu0, K = khugepaged1
1 G gup_fast_pmd_range(parent, 0)
2 K pmdp_collapse_flush(parent, 0, 1)
3 K __collapse_huge_page_isolate(parent, 0)
5 K __collapse_huge_page_copy(parent, 0, 1)
4 G gup_fast_pte_range: try_grab_folio_fast(0)
4 G gup_fast_pte_range: recheck(parent, 0, 0
6 G dma_write(0, cpu0)
5 K collapse_huge_page: set_pmd_at(parent, 0, 1)
~ K copies as soon as it has looked at the references, before G raises one, of which it hears no more. The DMA comes before the huge entry, a preemption less: behind it G waits for the page's lock, which K holds.

25 dax-truncate-vs-dma: P = dio0, T = fs0, A = (a block that is free and pinned is the next one's)
1 P gup_fast_pte_range: try_grab_folio_fast(0)
2 T zap_pte_range(mm0, 0)
3 T xfs_bunmapi(data, 0, 1)

25 dax-dma-into-another-file: P = dio0, T = fs0, A = other0
1 P gup_fast_pte_range: try_grab_folio_fast(0)
2 T zap_pte_range(mm0, 0)
3 T xfs_bunmapi(data, 0, 1)
4 A xfs_bmapi_write(other)
5 P dma_write(0, dio0)

26 dax-break-unmaps-private-copies: U = cpu.private0, T = fs0
1 U dax_fault_cow_page: copy_cow_page_dax(private0, 0)
1 U user_store(private0, 0, private0)
2 T unmap_mapping_range(data, 0, 1)
3 T zap_pte_range(private0, 0)
4 U dax_insert_entry(data, 0
4 U user_load(private0, 0)

28 unregister-vs-release: A = kvm0, B = exit
2 A hlist_unhashed(kvm0)
4 A kvm_mmu_notifier_release(kvm0)
1 B hlist_for_each_entry_srcu(release, )
3 B mn_hlist_release: hlist_del_init_rcu(mm)
5 A mmu_notifier_unregister: hlist_del_init_rcu(kvm0)
~ A asks before B begins, which takes no preemption; B unlinks between the question and A's unlinking all the same.

29 hmm-struct-uaf-srcu: U = gpu0, I = cpu0, srcu/hmm0 (the callback that frees)
1 I srcu_read_lock(srcu)
1 I hlist_for_each_entry_srcu(invalidate_range_start, )
2 U mmu_notifier_unregister_no_release(hmm0)
3 srcu/hmm0 hmm_free_rcu(hmm0)

31 collapse-without-notifier: K = khugepaged0, Q = gpu0, T = (the page stays in the page cache of its file)
1 Q device_map(gpu0, 0)
2 K collapse_pte_mapped_thp: ptep_clear(parent, 0, 1)

32 cow-breaks-either-way: P = cpu1, C = child0
2 C follow_page_pte(child, 0, get read)
2 C zap_pte_range(child, 0)
4 P do_wp_page(parent, 0)
5 P user_store(parent, 0, cpu1)

34 protnone-pending-flush-migration: A = cpu0, B = kcompactd1, C = cpu2
2 A ptep_modify_prot_commit(parent, 0)
3 B try_to_migrate_one: ptep_get_and_clear(parent, 0)
3 B folio_migrate_mapping(0, 1)
3 B remove_migration_pte(parent, 0)
4 C user_store(parent, 0, cpu2)

35 parallel-gather-misses-flush: A = cpu1, B = cpu0, T = (its TLB has the translation from the beginning)
2 A zap_pte_range(parent, 0)
3 B zap_pte_range(parent, 0)
3 B tlb_finish_mmu(parent, 0, 1)
3 B mmap_read_unlock(parent)

37 permission-upgrade-skips-secondary: Q = sva0, F = (the same fiber takes the steps of the handler)
2 Q sva_store(parent, 0, sva0)
3 Q iommu_sva_handle_mm(parent, 0)
3 Q ptep_set_access_flags: flush_tlb_page(parent, 0)
4 Q mmap_read_unlock(parent)
4 Q sva_store(parent, 0, sva0)
5 Q iommu_sva_handle_mm(parent, 0)

38 per-vma-flush-cpu-only: Z = cpu0, Q = sva1
1 Q sva_load(parent, 0)
1 Q sva_load(parent, 1)
2 Z tlb_end_vma(parent, 0, 1)
3 Z tlb_end_vma(parent, 1, 2)
3 Z tlb_finish_mmu(parent, 0, 2)
4 Z free_pages_and_swap_cache(0, 1)

40 mmput-under-callback-lock: F = nic0, cpu0 (the last thread of the process, which exits)
1 F mmget_not_zero(mm)
1 F mutex_lock(mr.umem_mutex)
2 cpu0 mmput(mm)
3 F mmput(mm)
4 F mn_itree_inv_start_range(mm, 0, 1, RELEASE

41 alloc-under-callback-lock: D = ibv_dereg_mr, K = ibv_reg_mr, R = (K allocates itself)
2 K mutex_lock(cache.rb_lock)
3 K isolate_folios(mm, 0)
3 K mn_itree_inv_start_range(mm, 0, 1, CLEAR, try_to_unmap_one)
1 D mlx5_umr_revoke_mr_with_lock(mr)
~ Which of the two has its first lock first is of no matter to the cycle.

43 layout-seqid-not-atomic: G = client0, R = cpu0, C = client0-cb
2 R __break_lease(file, false)
3 G nfsd4_insert_layout(client0, 1)
4 C nfsd4_cb_layout_prepare(client0)
5 C initiate_file_draining(client0, 2)
6 C nfsd4_return_file_layouts(client0)

44 layout-stateid-forgotten-with-get-in-flight: C = return, S = (answers within the steps of those who ask), get0 (the client's first request), get1 (its second)
1 get0 nfsd4_layoutget
1 get1 nfsd4_layoutget
2 get1 pnfs_layout_process(2)
3 C pnfs_clear_layoutreturn_info(2)
4 get0 pnfs_layout_process(1)

46 gpc-refresh-while-inactive: D = (the cache is inactive from the beginning), E = timer, I = cpu0
2 E __kvm_gpc_refresh(gpc)
2 E hva_to_pfn_retry: write_unlock(gpc, valid)
3 I gfn_to_pfn_cache_invalidate_start(gpc)
3 I free_pages_and_swap_cache(0)

47 gpc-refresh-window: V = timer, I = cpu0, vmm (makes the cache active)
1 V __kvm_gpc_refresh(gpc)
2 V follow_page_pte(mm, 0, get write)
3 I gfn_to_pfn_cache_invalidate_start(gpc)
4 I zap_pte_range(mm, 0)
4 I free_pages_and_swap_cache(0)
5 V hva_to_pfn_retry: write_lock(gpc)
5 V hva_to_pfn_retry: write_unlock(gpc, valid)

49 zap-dirty-flush-after-unlock: Z = cpu0, K = flusher2, T = cpu1
2 Z zap_pte_range(parent, 0)
3 K folio_clear_dirty_for_io(0)
4 K submit_bio(file, 0)
5 T user_store(parent, 0, cpu1)

50 reaper-fullmm-elides-flush: O = oom_reaper0, T = (its TLB has the translation from the beginning)
2 O tlb_finish_mmu(parent, 0, 1)
3 O free_pages_and_swap_cache(0)
`
