/** What of the kernel's list is not run, or not as it is there, and why. */
export const notModelled: ReadonlyArray<{ readonly id: string; readonly what: string; readonly why: string }> = [
  {
    id: "anon_write_hugetlbfs",
    what: "all of it",
    why: "there is no hugetlbfs",
  },
  {
    id: "compound",
    what: "all of it: WRITE|PMD and READ|PMD",
    why: "there is no hugetlbfs, and a page table entry is never a huge one",
  },
  {
    id: "anon_write_huge, migrate_anon_huge_*",
    what: "that the pages are one: huge zero pages, migration as a whole, splitting",
    why: "folios have one page; the cases run as where huge pages are not to be had",
  },
  {
    id: "migrate_anon_huge_err, migrate_anon_huge_zero_err",
    what: "HMM_DMIRROR_FLAG_FAIL_ALLOC: a huge allocation fails, and single pages take its place",
    why: "there are only single pages; that there is no memory at all is driver/test-hmm/private-fault",
  },
  {
    id: "anon_write_child, migrate_partial_unmap_fault, migrate_remap_fault",
    what: "the variants with transparent huge pages",
    why: "folios have one page",
  },
  {
    id: "migrate_remap_fault",
    what: "the other two of three offsets to which the buffer is moved",
    why: "without huge pages no offset is aligned better than another",
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
