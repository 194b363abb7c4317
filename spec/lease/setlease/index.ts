import * as Effect from "effect/Effect"
import {
  choose,
  leaveOut,
  type Monitor,
  type Property,
  protocol,
  type SeededBug,
  type Setup,
  type Struct,
  step,
  struct,
} from "../../../checker/index.ts"
import { clockOf } from "../../../model/lease/clock.ts"
import { locksRemoveFile, vfsSetlease } from "../../../model/lease/grantLease.ts"
import { type LeaseContext, leaseAlloc, leaseContext } from "../../../model/lease/lease.ts"
import { parameter, scenariosOf } from "../../define.ts"
import { fileLeases, leaseClock } from "../../described.ts"

/** A process that has opened a file, has mapped it, and asks for a lease. */
export interface SetleaseWorld {
  readonly leases: LeaseContext
  /** What the process is to the file, and what that is; whether it has it open, and mapped; what it was told. */
  readonly process: Struct<Process>
}

type Process = {
  role: "" | "owner" | "CAP_LEASE" | "other"
  file: "" | "regular" | "device"
  open: boolean
  mapped: boolean
  got: "" | "0" | "-EACCES" | "-EINVAL" | "-EAGAIN"
}

const holder = "process"
const hasLease = ({ leases }: SetleaseWorld) => leases.leases.value.some(({ owner }) => owner === holder)

const world = ({ closes }: { readonly closes: number }): Setup<SetleaseWorld> => {
  const leases = leaseContext("file", clockOf("clock", 0, [holder]), 1, { lmBreak: (lease) => lease })
  const begin: Process = { role: "", file: "", open: false, mapped: false, got: "" }
  const process = struct(holder, begin)
  const does = Effect.gen(function* () {
    const role = yield* choose("process", ["owner", "CAP_LEASE", "other"])
    const file = yield* choose("file", ["regular", "device"])
    yield* step("openat", [role, file], () => {
      process.role = role
      process.file = file
      process.open = true
    })
    const asker = { owner: role === "owner", capLease: role === "CAP_LEASE", regular: file === "regular" }
    yield* vfsSetlease(leases, leaseAlloc(holder, "lease", "read"), asker)
    yield* step("mmap", [holder], () => {
      process.mapped = true
    })
    if (closes === 0) return
    yield* step("close", [holder], () => {
      process.open = false
    })
    yield* locksRemoveFile(leases, holder)
    yield* step("__fput", [holder], () => undefined)
  })
  const told = (error: "0" | "-EACCES" | "-EINVAL") => {
    process.got = error
  }
  const monitor: Monitor = {
    vfs_setlease: ({ result }) => {
      if (result !== true) told("-EACCES")
    },
    "generic_setlease: S_ISREG": ({ result }) => {
      if (result !== true) told("-EINVAL")
    },
    "generic_add_lease: smp_mb": () => told("0"),
  }
  return { world: { leases, process }, fibers: { [holder]: does }, monitors: [monitor] }
}

const properties: ReadonlyArray<Property<SetleaseWorld>> = [
  {
    kind: "invariant",
    id: "LEASE-RIGHTS",
    statement: "Who has a lease owns the file or has CAP_LEASE.",
    source:
      "fs/locks.c: vfs_setlease; LKML 2019-04-26, Direct block mapping through fs for device: lease may require privileges for the applications",
    premise: hasLease,
    holds: (all) => !hasLease(all) || all.process.role !== "other",
  },
  {
    kind: "invariant",
    id: "LEASE-REGULAR",
    statement: "There are leases on regular files alone.",
    source:
      "fs/locks.c: generic_setlease; LKML 2019-04-26, Direct block mapping through fs for device: vma that comes from device file",
    premise: hasLease,
    holds: (all) => !hasLease(all) || all.process.file === "regular",
  },
  {
    kind: "invariant",
    id: "LEASE-GRANTED",
    statement: "Who was told that he has a lease has it until he closes the file, unless somebody breaks it.",
    source: "fs/locks.c: generic_add_lease, locks_remove_file; fcntl(2), F_SETLEASE",
    premise: ({ process }) => process.got === "0" && process.open,
    holds: (all) => all.process.got !== "0" || !all.process.open || hasLease(all),
  },
  {
    kind: "atEnd",
    id: "LEASE-CLOSED",
    statement: "Who has closed the file has no lease on it, whatever he has mapped.",
    source:
      "fs/locks.c: locks_remove_file; LKML 2019-04-26, Direct block mapping through fs for device: work on file descriptor not virtual addresses",
    premise: ({ process }) => !process.open && process.got === "0",
    holds: (all) => all.process.open || !hasLease(all),
  },
]

export const asking = scenariosOf("lease/setlease", world, properties)(
  "ask",
  "a process that may be anybody asks for a lease on a file that may be a device's, maps it and closes it",
  { closes: parameter("whether it closes the file", 1, 1, 0) },
  (bound) => bound,
)

const bugs: ReadonlyArray<SeededBug<SetleaseWorld>> = [
  {
    id: "lease-without-rights",
    title: "anybody who has the file open may have a lease on it",
    source: "fs/locks.c: vfs_setlease, CAP_LEASE",
    scenario: asking.id,
    breaks: "LEASE-RIGHTS",
    at: () => ({ vfs_setlease: leaveOut(true) }),
  },
  {
    id: "lease-on-device-file",
    title: "whether the file is a regular one is not asked",
    source: "fs/locks.c: generic_setlease, S_ISREG",
    scenario: asking.id,
    breaks: "LEASE-REGULAR",
    at: () => ({ "generic_setlease: S_ISREG": leaveOut(true) }),
  },
  {
    id: "lease-granted-not-listed",
    title: "the process is told that it has a lease, which is on no list: whoever opens the file finds none",
    source: "fs/locks.c: generic_add_lease, locks_insert_lock_ctx",
    scenario: asking.id,
    breaks: "LEASE-GRANTED",
    at: () => ({ locks_insert_lock_ctx: leaveOut() }),
  },
  {
    id: "lease-kept-by-closed-file",
    title: "the lease of a process that has closed the file stays, and nobody can be told to give it up",
    source: "fs/locks.c: locks_remove_file",
    scenario: asking.id,
    breaks: "LEASE-CLOSED",
    at: () => ({ locks_remove_file: leaveOut() }),
  },
]

export const setlease = protocol({
  id: "lease/setlease",
  title: "Who may have a lease, on what, and for how long (fs/locks.c: fcntl F_SETLEASE, close)",
  about: {
    purpose:
      "Who may have a lease on a file: its owner or somebody with CAP_LEASE, on a regular file, for as long as the file is open. What a process is told when it asks, and when the lease goes, is asked of every such process and file.",
    actors: {
      process:
        "A process that opens a file, as its owner, with CAP_LEASE or as neither, asks for a lease, maps the file, and may close it.",
    },
    state: {
      clock: leaseClock,
      file: fileLeases,
      process:
        "What the process is to the file, whether that is a regular one, open and mapped; `got`, a monitor's, is what it was told.",
    },
    notModelled: [
      "Others who open the file meanwhile: protocol lease/fcntl.",
      "Security modules, and file systems with a setlease of their own.",
      "Leases to write.",
    ],
  },
  scenarios: [asking],
  bugs,
})
