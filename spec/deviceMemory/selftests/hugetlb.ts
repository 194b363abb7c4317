/** The self tests of hugetlbfs, one after the other, and the stores of a device and of a thread against what unmaps their page. */
import * as Effect from "effect/Effect"
import { choose, scenario } from "../../../checker/index.ts"
import { dmirrorRead, dmirrorWrite } from "../../../model/driver/testHmm.ts"
import { madvise } from "../../../model/mm/madvise.ts"
import { munmap as doMunmap } from "../../../model/mm/unmap.ts"
import { comesTo, concurrently, concurrentProperties } from "./concurrent.ts"
import { hugeProperties } from "./hugeProperties.ts"
import { selftestProperties } from "./properties.ts"
import type { Selftest } from "./selftest.ts"
import { device, i, load, minusI, mmapHugetlb, mprotect, munmap, pages, refusedStore, store, zero } from "./verbs.ts"
import { type Bench, oneOf, selftestWorld } from "./world.ts"

/** How many pages a page of hugetlbfs has here. */
const hugePages = 2
const huge = pages(0, hugePages)
const whole = { cpages: hugePages }
const gpu = device(0)

export const hugetlbCases: ReadonlyArray<Selftest> = [
  {
    number: 9,
    id: "anon_write_hugetlbfs",
    fixture: "hmm",
    does: "a page of hugetlbfs is never touched; WRITE",
    expects: "0, all pages, 1 fault; the process reads what was written",
    script: [mmapHugetlb(huge), gpu.write(huge, i, { ...whole, faults: 1 }), load(huge)],
  },
  {
    number: 9,
    id: "anon_write_hugetlbfs-whole",
    fixture: "hmm",
    does: "a page of hugetlbfs that the process has read; WRITE; it becomes read-only; WRITE; MIGRATE_TO_DEV; half of it is unmapped; it becomes writable; the process stores, and READ; not in the kernel's file",
    expects: "0, all pages, 1 fault; -EPERM; -EINVAL; -EINVAL; 0 and what was stored",
    script: [
      mmapHugetlb(huge),
      load(pages(0, 1), () => "0"),
      gpu.write(huge, i, { ...whole, faults: 1 }),
      mprotect(huge, "r"),
      gpu.write(huge, minusI, "-EPERM"),
      gpu.migrateToDev(huge, "-EINVAL"),
      munmap(pages(0, 1), "-EINVAL"),
      load(huge),
      mprotect(huge, "rw"),
      store(huge, minusI),
      gpu.read(huge, { ...whole, faults: 1, data: minusI }),
    ],
  },
  {
    number: 22,
    id: "compound",
    fixture: "hmm",
    does: "a page of hugetlbfs with data; SNAPSHOT; it becomes read-only; SNAPSHOT",
    expects: "WRITE|PMD for every page; READ|PMD",
    script: [
      mmapHugetlb(huge),
      store(huge),
      gpu.snapshot(huge, ["WRITE|PMD", "WRITE|PMD"]),
      mprotect(huge, "r"),
      gpu.snapshot(huge, ["READ|PMD", "READ|PMD"]),
    ],
  },
  {
    number: 22,
    id: "compound-store",
    fixture: "hmm",
    does: "a page of hugetlbfs with data becomes read-only; the process stores; not in the kernel's file",
    expects: "SIGSEGV, and the data is still there",
    script: [mmapHugetlb(huge), store(huge), mprotect(huge, "r"), refusedStore(huge, minusI), load(huge)],
  },
]

const size = { pages: hugePages, devicePages: hugePages, hugePages, hugetlb: true }
const world = () => selftestWorld(size)

/** One at a time, by one fiber. */
export const hugetlbOneAtATime = scenario({
  id: "device/selftests/hugetlb",
  summary: `where there is hugetlbfs, with private memory: ${hugetlbCases.map(({ id }) => id).join(", ")}`,
  setup: () => oneOf(hugetlbCases, world(), ["private"]),
  properties: [...selftestProperties, ...hugeProperties],
})

/** A thread that gives up the page, with the area or without it. */
const zaps = ({ world: { parent } }: Bench) =>
  Effect.flatMap(choose("meanwhile", ["munmap", "MADV_DONTNEED"]), (what) =>
    Effect.ignore(what === "munmap" ? doMunmap(parent, huge) : madvise(parent, huge, "MADV_DONTNEED")),
  )

/** A page of hugetlbfs that the device faults in is zapped. */
export const writeAgainstZap = scenario({
  id: "device/selftests/hugetlb-write+zap",
  summary:
    "a thread unmaps a page of hugetlbfs, or has it zapped (MADV_DONTNEED), while the device has WRITE it. Expected: WRITE comes to 0 with all pages, or to -EFAULT",
  setup: () =>
    concurrently(
      {
        fixture: "hmm",
        before: [mmapHugetlb(huge)],
        atOnce: (bench) => ({
          writer: comesTo(bench, "WRITE", dmirrorWrite(bench.file("parent", 0), 0, [i(0), i(1)]), hugePages, [
            whole,
            "-EFAULT",
          ]),
          zapper: zaps(bench),
        }),
        behind: [],
      },
      world(),
      ["private"],
    ),
  properties: [...concurrentProperties, ...hugeProperties],
})

/** A page of hugetlbfs that a thread stores to is zapped, and there is no other. */
export const storeAgainstZap = scenario({
  id: "device/selftests/hugetlb-store+zap",
  summary:
    "a thread stores to a page of hugetlbfs, the only one that there is, while another has it zapped (MADV_DONTNEED). Expected: 0, the fault waits until the page was given back",
  setup: () =>
    concurrently(
      {
        fixture: "hmm",
        before: [mmapHugetlb(huge), store(huge)],
        atOnce: (bench) => ({
          storer: Effect.all(store(pages(0, 1), minusI)(bench)),
          zapper: Effect.ignore(madvise(bench.world.parent, huge, "MADV_DONTNEED")),
        }),
        behind: [],
      },
      selftestWorld({ ...size, memory: hugePages }),
      ["private"],
    ),
  properties: [...concurrentProperties, ...hugeProperties],
})

/** A page of hugetlbfs is zapped on which the device and a thread fault at once: two have the lock for which the third waits. */
export const readAndStoreAgainstZap = scenario({
  id: "device/selftests/hugetlb-read+store+zap",
  summary:
    "a thread has a page of hugetlbfs zapped (MADV_DONTNEED) while the device has READ one half of it and another thread stores to the other. Expected: READ comes to 0 with zeroes, the store to 0",
  setup: () =>
    concurrently(
      {
        fixture: "hmm",
        before: [mmapHugetlb(huge)],
        atOnce: (bench) => ({
          reader: comesTo(bench, "READ", dmirrorRead(bench.file("parent", 0), pages(0, 1), true), 1, [
            { cpages: 1, data: zero },
          ]),
          storer: Effect.all(store(pages(1, 2), minusI)(bench)),
          zapper: Effect.ignore(madvise(bench.world.parent, huge, "MADV_DONTNEED")),
        }),
        behind: [],
      },
      world(),
      ["private"],
    ),
  properties: [...concurrentProperties, ...hugeProperties],
})
