/** The self tests of exclusive access, snapshots, pins and copy-on-write. */
import type { Selftest } from "./selftest.ts"
import {
  buffer,
  device,
  exit,
  fork,
  gup,
  i,
  increment,
  load,
  mmap,
  mprotect,
  munmap,
  only,
  pages,
  plus,
  store,
  whole,
  zero,
} from "./verbs.ts"

const gpu = device(0)
const other = device(1)
const moved = { ...whole, data: i }
const more = plus(1)

/** Pages with data that the device has for itself. */
const exclusively = [mmap(buffer, "private"), store(buffer), gpu.exclusive(buffer, moved)]
/** Pages with data, in the device's memory. */
const migrated = [mmap(buffer, "private"), store(buffer), gpu.migrateToDev(buffer, moved)]

/** gup_test_exec asks for FOLL_WRITE always. */
const get = { write: true, pin: false }
const pin = { write: true, pin: true, longterm: true }

export const special: ReadonlyArray<Selftest> = [
  {
    number: 21,
    id: "snapshot",
    fixture: "hmm2",
    does: "of seven pages 0 is PROT_NONE, 1 a hole, 2 the zero page, 3 read-only, 4 has data, 5 is on device 0, 6 on device 1; SNAPSHOT by device 0",
    expects:
      "ERROR, ERROR, ZERO|READ, READ, WRITE; private memory: DEV_PRIVATE_LOCAL|WRITE and NONE; coherent memory: DEV_COHERENT_LOCAL|WRITE and DEV_COHERENT_REMOTE|WRITE",
    script: [
      mmap(pages(0, 7), "private", "none"),
      munmap(pages(1, 2)),
      mprotect(pages(2, 3), "r"),
      load(pages(2, 3), zero),
      mprotect(pages(3, 4), "rw"),
      store(pages(3, 4)),
      mprotect(pages(3, 4), "r"),
      mprotect(pages(4, 7), "rw"),
      store(pages(4, 5)),
      gpu.migrateToDev(pages(5, 6), { cpages: 1, data: zero }),
      other.migrateToDev(pages(6, 7), { cpages: 1, data: zero }),
      only(
        "private",
        gpu.snapshot(pages(0, 7), ["ERROR", "ERROR", "ZERO|READ", "READ", "WRITE", "DEV_PRIVATE_LOCAL|WRITE", "NONE"]),
      ),
      only(
        "coherent",
        gpu.snapshot(pages(0, 7), [
          "ERROR",
          "ERROR",
          "ZERO|READ",
          "READ",
          "WRITE",
          "DEV_COHERENT_LOCAL|WRITE",
          "DEV_COHERENT_REMOTE|WRITE",
        ]),
      ),
    ],
  },
  {
    number: 24,
    id: "exclusive",
    fixture: "hmm",
    does: "pages with data; EXCLUSIVE; the process increments each; CHECK_EXCLUSIVE",
    expects: "0, all pages, the data; the process finds the data, and then what it has stored; 0",
    script: [...exclusively, increment(buffer, i, more), load(buffer, more), gpu.checkExclusive(buffer, { cpages: 0 })],
  },
  {
    number: 24,
    id: "exclusive-still",
    fixture: "hmm",
    does: "pages with data; EXCLUSIVE; CHECK_EXCLUSIVE and SNAPSHOT; not in the kernel's file",
    expects: "0, all pages; -EPERM; NONE, as nothing is present",
    script: [...exclusively, gpu.checkExclusive(buffer, "-EPERM"), gpu.snapshot(buffer, ["NONE", "NONE"])],
  },
  {
    number: 25,
    id: "exclusive_mprotect",
    fixture: "hmm",
    does: "as in exclusive; the pages become read-only; WRITE",
    expects: "0, all pages, the data; -EPERM",
    script: [...exclusively, mprotect(buffer, "r"), gpu.write(buffer, i, "-EPERM")],
  },
  {
    number: 26,
    id: "exclusive_cow",
    fixture: "hmm",
    does: "as in exclusive; fork; both processes increment each page",
    expects: "0, all pages, the data; each finds the data, and then what it has stored",
    script: [
      ...exclusively,
      fork,
      increment(buffer, i, more),
      increment(buffer, i, more, "child"),
      load(buffer, more),
      load(buffer, more, "child"),
      exit,
    ],
  },
  {
    number: 27,
    id: "hmm_gup_test",
    fixture: "hmm",
    does: "four pages with data; MIGRATE_TO_DEV; each is got or pinned and given back: get_user_pages, get_user_pages_fast, pin_user_pages_fast and pin_user_pages for good; SNAPSHOT",
    expects:
      "0, all pages; WRITE, in coherent memory DEV_COHERENT_LOCAL|WRITE of those that were not pinned for good; the data",
    script: [
      mmap(pages(0, 4), "private"),
      store(pages(0, 4)),
      gpu.migrateToDev(pages(0, 4), { cpages: 4, data: i }),
      gup(0, get, false),
      gup(1, get, true),
      gup(2, pin, true),
      gup(3, pin, false),
      only("private", gpu.snapshot(pages(0, 4), ["WRITE", "WRITE", "WRITE", "WRITE"])),
      only(
        "coherent",
        gpu.snapshot(pages(0, 4), ["DEV_COHERENT_LOCAL|WRITE", "DEV_COHERENT_LOCAL|WRITE", "WRITE", "WRITE"]),
      ),
      load(pages(0, 4)),
    ],
  },
  {
    number: 28,
    id: "hmm_cow_in_device",
    fixture: "hmm",
    does: "pages with data; MIGRATE_TO_DEV; fork; the parent stores to each page; the child ends; SNAPSHOT",
    expects: "0, all pages; WRITE",
    script: [
      ...migrated,
      fork,
      store(buffer, more),
      load(buffer, i, "child"),
      exit,
      gpu.snapshot(buffer, ["WRITE", "WRITE"]),
      load(buffer, more),
    ],
  },
]
