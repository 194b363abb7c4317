/** What of the kernel's list is not run, or not as it is there, and why. */
export const notModelled: ReadonlyArray<{ readonly id: string; readonly what: string; readonly why: string }> = [
  {
    id: "anon_write_hugetlbfs",
    what: "all of it",
    why: "there is no hugetlbfs",
  },
  {
    id: "compound",
    what: "that the pages are of hugetlbfs",
    why: "there is no hugetlbfs: a transparent huge page takes their place, of which the same is expected",
  },
  {
    id: "anon_write_huge, anon_write_child, migrate_anon_huge_*, migrate_partial_unmap_fault, migrate_remap_fault, benchmark_thp_migration",
    what: "huge pages in coherent memory",
    why: "migrate_vma_collect_huge_pmd leaves a present huge page alone where system memory is not asked for: it would not come back. The cases run with coherent memory where there are no huge pages",
  },
  {
    id: "migrate_remap_fault",
    what: "of three offsets to which the buffer is moved two where there are no huge pages, and one where there are",
    why: "an offset is aligned as a huge page is, or it is not; without huge pages none is aligned better than another",
  },
  {
    id: "benchmark_thp_migration",
    what: "the times, and the sizes up to 256 MiB",
    why: "steps take no time; the sizes are one page and two",
  },
  {
    id: "mixedmap",
    what: "that the area is VM_MIXEDMAP and the entry may be special",
    why: "areas of that kind are not there: the page is an ordinary one of the device's file",
  },
  {
    id: "userfaultfd_read",
    what: "all of it",
    why: "there is no userfaultfd; the range fault that may drop mmap_lock is hmm/range-fault",
  },
  {
    id: "open_close",
    what: "the skipping of variants whose device node is absent",
    why: "all four devices are there",
  },
]
