/**
 * Two designs for access to the blocks of files by devices, against the nine objectives of the mail that proposed the
 * second, and the five shortcomings that it sees in the first (LKML 2019-04-26, Direct block mapping through fs for
 * device): layout leases, and device_map and device_unmap. What is said here is why; what comes out is asked.
 */
import { deviceMappings } from "./deviceMappings.ts"
import { leases } from "./leases.ts"
import type { Question } from "./question.ts"

/** What a design is asked about a point, and what to make of the answers. */
export interface Side {
  readonly questions: readonly [Question, ...ReadonlyArray<Question>]
  readonly finding: string
}

/** A point of the mail. */
export interface Point {
  readonly id: string
  readonly kind: "objective" | "shortcoming"
  /** The mail's words. */
  readonly says: string
  readonly deviceMap: Side
  readonly lease: Side
}

const side = (finding: string, ...questions: Side["questions"]): Side => ({ questions, finding })

const atATime =
  "nfsd recalls what others have before it gives out a layout: clients have the block in turn, never at once."

/** What the mail wants to achieve. */
const objectives: ReadonlyArray<Omit<Point, "kind">> = [
  {
    id: "any-process",
    says: "support any number of process",
    deviceMap: side(
      "Each device belongs to a process of its own, and both map the block: who revokes finds mappings by the file, not by whom they belong to.",
      deviceMappings.twoProcesses,
    ),
    lease: side(atATime, leases.twoProcesses),
  },
  {
    id: "virtual-addresses",
    says: "work on virtual addresses",
    deviceMap: side(
      "A device faults on an address, and munmap takes it from the device as from the CPU. So munmap has to know the callbacks: leaving that out is a seeded bug, `device-unmap-forgotten-by-munmap`.",
      deviceMappings.addresses,
    ),
    lease: side(
      "A layout is of a file. What becomes of the addresses at which that is mapped is nothing to it: the device goes on.",
      leases.addresses,
    ),
  },
  {
    id: "fall-back",
    says: "is an optimization ie falling back to page cache is always acceptable",
    deviceMap: side(
      "Refusal is an answer like any other: a second writer without coherence, no free window, a mapping that was revoked before it could be used. Falling back is more than acceptable, it is needed: a device that asks for a mapping again and again, and a CPU that loads, can take the page from each other for ever.",
      deviceMappings.fallBack,
    ),
    lease: side(
      "So it is with layouts: who is refused writes by the server, which recalls what others have, and finds the same data.",
      leases.fallBack,
    ),
  },
  {
    id: "unchanged-programs",
    says: "no changes to userspace program",
    deviceMap: side(
      "Programs load and store, and call nothing. That the block and the page cache are two copies must not be seen: device_map writes the cache back, and drops it for who will store; a fault of the CPU takes the device's mapping away first.",
      deviceMappings.sameData,
    ),
    lease: side(
      "A program that stores through mmap is left out: the kernel gives a layout of its pages to others all the same, and what they write is lost. Where a layout is refused while somebody may store through a mapping nothing is, but then such a program never has its blocks used directly.",
      leases.sameDataAsDocumented,
      leases.sameData,
    ),
  },
  {
    id: "several-devices",
    says: "allow multiple different devices to map the block (can be read only if the fabric between devices is not cache coherent)",
    deviceMap: side(
      "In no schedule do two devices map the block while one of them may store to it: a writer is revoked, and has drained, before a reader is let in, and no writer is let in beside anybody. On a coherent fabric both store, as the row on one process shows.",
      deviceMappings.twoDevices,
    ),
    lease: side(atATime, leases.twoDevices),
  },
  {
    id: "no-memory",
    says: "avoiding to waste main memory if file is only accessed by device",
    deviceMap: side("As long as every access goes by the block the page cache stays empty.", deviceMappings.noMemory),
    lease: side("So it is with layouts: the page cache is emptied before one is given out.", leases.noMemory),
  },
  {
    id: "no-pin",
    says: "there is no pin",
    deviceMap: side(
      "Blocks are freed without a look at references, and no device reaches them. With DAX they wait for pins.",
      deviceMappings.noPin,
    ),
    lease: side(
      "A layout names blocks and refers to no page. But it keeps them as a pin would, until its holder is heard of or fenced, as the row on who is responsible shows.",
      leases.noPin,
    ),
  },
  {
    id: "revoked-any-time",
    says: "it can be revoke at any time from within the kernel",
    deviceMap: side(
      "Truncation, hole punching, writeback that relocates, the block device's BAR, memory pressure and munmap, each at any point of a fault or a transfer. It rests on the check before the device's page table gets its entry, and on those who reuse something keeping new mappings out of it: by the file's lock, or a mark on the window.",
      deviceMappings.revocation,
    ),
    lease: side(
      "A client that answers gives everything back; one that does not is fenced, where servers fence. Memory pressure, a BAR or munmap revoke no layouts.",
      leases.revocation,
      leases.revocationFenced,
    ),
  },
  {
    id: "device-files",
    says: "not only support filesystem but also vma that comes from device file",
    deviceMap: side(
      "The callbacks are the VMA's; the protocol is the same where a driver owns the memory and manages its BAR. A driver has no page cache: what it falls back to is memory that it copies to.",
      deviceMappings.deviceFile,
    ),
    lease: side("There are leases on regular files only (generic_setlease).", leases.deviceFile),
  },
]

/** What the mail has against leases. */
const shortcomings: ReadonlyArray<Omit<Point, "kind">> = [
  {
    id: "one-process",
    says: "only one process",
    deviceMap: side("Mappings belong to VMAs; with coherence all may store.", deviceMappings.twoWriters),
    lease: side(
      "As long as a process has a lease for writing nobody else gets the file open, but by having it asked to give that up.",
      leases.twoWriters,
    ),
  },
  {
    id: "burden-on-program",
    says: "program ie userspace is responsible for doing the right thing",
    deviceMap: side(
      "Nobody outside the kernel has to do anything. As soon as revocation asks the holder to let go, one that does nothing keeps truncation waiting for ever (the seeded bug `device-unmap-asks-holder`). The burden is the driver's: it must end a transfer in bounded time.",
      deviceMappings.revocation,
    ),
    lease: side(
      "As before 2026, a holder that never answers keeps truncation waiting until a signal ends that, with nothing done.",
      leases.revocationOld,
    ),
  },
  {
    id: "break-time",
    says: "lease break time induce latency",
    deviceMap: side(
      "No timer takes part. Revocation waits for the rest of one transfer at most.",
      deviceMappings.revocation,
    ),
    lease: side(
      "Who is fenced is so behind the break time, a tick by which the lease is overdue, and the time that fencing takes.",
      leases.noTime,
    ),
  },
  {
    id: "privileges",
    says: "lease may require privileges for the applications",
    deviceMap: side(
      "What would need a privilege is to reach more than the VMA has: no device does. The model has no users and no rights, so that it shows nobody refused. A process is never told a block's number; the kernel trusts the device's hardware to use its page table.",
      deviceMappings.foreignBlocks,
    ),
    lease: side(
      "Who asks by fcntl has to own the file, or to have CAP_LEASE. A server of pNFS asks for its clients, and is not asked itself.",
      leases.privileges,
    ),
  },
  {
    id: "file-descriptor",
    says: "work on file descriptor not virtual addresses",
    deviceMap: side("There is no descriptor in it: the VMA is all there is.", deviceMappings.addresses),
    lease: side(
      "Closing the file takes the lease away, with the file mapped as it was; munmap does not, as the row on virtual addresses shows.",
      leases.descriptor,
    ),
  },
]

/** All of them: nine objectives, then five shortcomings. */
export const points: ReadonlyArray<Point> = [
  ...objectives.map((point): Point => ({ ...point, kind: "objective" })),
  ...shortcomings.map((point): Point => ({ ...point, kind: "shortcoming" })),
]
