/** The self tests in which pages are migrated to a device and back. */
import type { Selftest } from "./selftest.ts"
import {
  buffer,
  device,
  i,
  load,
  mmap,
  mprotect,
  mremap,
  munmap,
  only,
  pages,
  plus,
  rounds,
  store,
  whole,
  zero,
} from "./verbs.ts"

const gpu = device(0)
const other = device(1)
const moved = { ...whole, data: i }

/** Pages with data, in the device's memory. */
const migrated = [mmap(buffer, "private"), store(buffer), gpu.migrateToDev(buffer, moved)]

/** What one page was given, wherever it is. */
const three = (): string => "3"

export const migration: ReadonlyArray<Selftest> = [
  {
    number: 12,
    id: "migrate",
    fixture: "hmm",
    does: "private anonymous pages with data; MIGRATE_TO_DEV",
    expects: "0, all pages; the device has the data",
    script: migrated,
  },
  {
    number: 13,
    id: "migrate_fault",
    fixture: "hmm",
    does: "as before; the process reads half of it; MIGRATE_TO_DEV all again",
    expects: "the data; 0, all pages",
    script: [...migrated, load(pages(0, 1)), gpu.migrateToDev(buffer, moved)],
  },
  {
    number: 14,
    id: "migrate_release",
    fixture: "hmm",
    does: "as before; RELEASE; the process reads",
    expects: "RELEASE comes to its end; the data",
    script: [...migrated, gpu.release, load(buffer)],
  },
  {
    number: 15,
    id: "migrate_shared",
    fixture: "hmm",
    does: "shared anonymous pages; MIGRATE_TO_DEV",
    expects: "-ENOENT",
    script: [mmap(buffer, "shared"), gpu.migrateToDev(buffer, "-ENOENT")],
  },
  {
    number: 15,
    id: "migrate_shared-touched",
    fixture: "hmm",
    does: "the same of pages with data; not in the kernel's file",
    expects: "-ENOENT; the data",
    script: [mmap(buffer, "shared"), store(buffer), gpu.migrateToDev(buffer, "-ENOENT"), load(buffer)],
  },
  {
    number: 16,
    id: "migrate_mixed",
    fixture: "hmm2",
    does: "of six pages 0 is PROT_NONE, 1 a hole, 2 the zero page, 3 read-only, 4 and 5 have data; MIGRATE_TO_DEV all or the first three; 2 to 5 to device 1; 5 to device 0",
    expects: "-EINVAL and -EINVAL; 0, 4 pages; -ENOENT",
    script: [
      mmap(pages(0, 6), "private", "none"),
      other.migrateToDev(pages(0, 6), "-EINVAL"),
      munmap(pages(1, 2)),
      other.migrateToDev(pages(0, 3), "-EINVAL"),
      mprotect(pages(2, 3), "r"),
      load(pages(2, 3), zero),
      mprotect(pages(3, 4), "rw"),
      store(pages(3, 4), three),
      mprotect(pages(3, 4), "r"),
      mprotect(pages(4, 6), "rw"),
      store(pages(4, 6), three),
      other.migrateToDev(pages(2, 6), { cpages: 4, data: (va) => (va === 2 ? zero(va) : three()) }),
      gpu.migrateToDev(pages(5, 6), "-ENOENT"),
    ],
  },
  {
    number: 17,
    id: "migrate_multiple",
    fixture: "hmm",
    does: "twice: a new buffer; MIGRATE_TO_DEV; coherent memory: MIGRATE_TO_SYS; the process reads",
    expects: "0, all pages, each way; the data of the round",
    script: [
      rounds(2, (round) => [
        mmap(buffer, "private"),
        store(buffer, plus(round)),
        gpu.migrateToDev(buffer, { ...whole, data: plus(round) }),
        only("coherent", gpu.migrateToSys(buffer, whole)),
        load(buffer, plus(round)),
        munmap(buffer),
      ]),
    ],
  },
  {
    number: 23,
    id: "double_map",
    fixture: "hmm2",
    does: "read-only pages with data; READ by device 0 and by device 1; MIGRATE_TO_DEV to device 1; READ by device 0",
    expects: "each time 0, all pages, the data; every READ 1 fault",
    script: [
      mmap(buffer, "private"),
      store(buffer),
      mprotect(buffer, "r"),
      gpu.read(buffer, { ...moved, faults: 1 }),
      other.read(buffer, { ...moved, faults: 1 }),
      other.migrateToDev(buffer, moved),
      gpu.read(buffer, { ...moved, faults: 1 }),
    ],
  },
  ...[0, 1, 2].map(
    (offset): Selftest => ({
      number: 33,
      id: `migrate_partial_unmap_fault-${offset}`,
      fixture: "hmm",
      does: `three pages with data; MIGRATE_TO_DEV; munmap of page ${offset}; the process reads the rest`,
      expects: "0, all pages; the data",
      script: [
        mmap(pages(0, 3), "private"),
        store(pages(0, 3)),
        gpu.migrateToDev(pages(0, 3), { cpages: 3, data: i }),
        munmap(pages(offset, offset + 1)),
        load(pages(0, offset)),
        load(pages(offset + 1, 3)),
      ],
    }),
  ),
  ...[true, false].flatMap((before) =>
    [true, false].map((dontUnmap): Selftest => {
      const moves = mremap(buffer, 3, dontUnmap)
      const there = pages(3, 5)
      const asBefore = (va: number) => i(va - 3)
      return {
        number: 34,
        id: `migrate_remap_fault-${before ? "before" : "after"}${dontUnmap ? "-dontunmap" : ""}`,
        fixture: "hmm",
        does: `pages with data; mremap ${dontUnmap ? "with MREMAP_DONTUNMAP " : ""}to page 3, and MIGRATE_TO_DEV ${before ? "behind it" : "before it"}; the process reads them there`,
        expects: "0, all pages; the data",
        script: [
          mmap(pages(0, 6), "private"),
          munmap(pages(2, 5)),
          store(buffer),
          ...(before
            ? [moves, gpu.migrateToDev(there, { ...whole, data: asBefore })]
            : [gpu.migrateToDev(buffer, moved), moves]),
          load(there, asBefore),
        ],
      }
    }),
  ),
  {
    number: 37,
    id: "benchmark_thp_migration",
    fixture: "hmm",
    does: "buffers of one and two pages, with data; once and then once more: MIGRATE_TO_DEV and MIGRATE_TO_SYS",
    expects: "every call returns 0; all pages are moved each way, and keep the data",
    script: [1, 2].flatMap((size) => [
      mmap(pages(0, size), "private"),
      store(pages(0, size)),
      rounds(2, () => [
        gpu.migrateToDev(pages(0, size), { cpages: size, data: i }),
        gpu.migrateToSys(pages(0, size), { cpages: size }),
      ]),
      load(pages(0, size)),
      munmap(pages(0, size)),
    ]),
  },
]
