/** What of the kernel's list is not run, or not as it is there, and why. */
export const notModelled: ReadonlyArray<{ readonly id: string; readonly what: string; readonly why: string }> = [
  {
    id: "anon_write_hugetlbfs, compound",
    what: "the skipping where the pool has no page, and coherent memory",
    why: "every page is a surplus page; of the device's memory nothing is used, as migrate_vma_setup refuses hugetlbfs. compound is run of transparent huge pages, too",
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
    what: "the handler's poll, and the pipe that tells it to end",
    why: "it ends when the file is closed; the limit of time of the unlocked fault is hmm/range-fault's",
  },
  {
    id: "open_close",
    what: "the skipping of variants whose device node is absent",
    why: "all four devices are there",
  },
]
