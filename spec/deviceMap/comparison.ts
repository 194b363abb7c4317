/**
 * Two designs for access to the blocks of files by devices, against the objectives of the mail that proposed the second, and
 * against what it holds against the first (LKML 2019-04-26, Direct block mapping through fs for device): layout leases, and
 * device_map and device_unmap. Each cell names the scenario that shows it, at a bound, and what comes out there; a test
 * explores them all.
 */

/** What a design does about one of the points. */
export interface Shown {
  /** The scenario, and the bound if not the default. */
  readonly scenario: string
  readonly bound?: { readonly [parameter: string]: number }
  /** The properties of it that say so; none where it is the shape of the scenario that shows it. */
  readonly properties: ReadonlyArray<string>
  /** `kept`: those properties hold; `failed`: they do not, in the bug that is named. */
  readonly outcome: "kept" | "failed"
  /** The seeded bug that shows what the point is about, or that fails. */
  readonly bug?: string
  readonly finding: string
  /** What it costs: steps, faults, copies. */
  readonly cost: string
}

/** A row of the table; the lease's side is `null` until its scenarios are there. */
export interface Point {
  readonly id: string
  /** The mail's words. */
  readonly says: string
  readonly deviceMap: Shown
  readonly lease: Shown | null
}

const objective = (id: string, says: string, deviceMap: Shown, lease: Shown | null = null): Point => ({
  id,
  says,
  deviceMap,
  lease,
})

/** What the mail wants to achieve. */
export const objectives: ReadonlyArray<Point> = [
  objective("any-process", "support any number of process", {
    scenario: "device-map/two-devices",
    properties: ["DEVMAP-RO", "DEVMAP-SAME-DATA", "DEVMAP-NO-STALE"],
    outcome: "kept",
    finding:
      "Each device belongs to a process of its own, and both map the block: who revokes finds mappings by the file, not by whom they belong to.",
    cost: "Revocation takes 2 steps and 4 more for each device that maps the block, whatever its process.",
  }),
  objective("virtual-addresses", "work on virtual addresses", {
    scenario: "device-map/revoked",
    properties: ["DEVMAP-ADDRESS"],
    outcome: "kept",
    bug: "device-unmap-forgotten-by-munmap",
    finding:
      "A device faults on an address, and munmap takes it from the device as from the CPU. So munmap has to know the callbacks: leaving that out is a seeded bug.",
    cost: "A fault of the device is 15 steps where it is granted, under mmap_lock for reading and the file's lock.",
  }),
  objective("fall-back", "is an optimization ie falling back to page cache is always acceptable", {
    scenario: "device-map/two-devices",
    properties: ["DEVMAP-FALLBACK", "DEVMAP-SAME-DATA"],
    outcome: "kept",
    bug: "device-map-no-fallback",
    finding:
      "Refusal is an answer like any other: a second writer without coherence, no free window, a mapping that was revoked before it could be used. Falling back is more than acceptable, it is needed: a device that asks for a mapping again and again, and a CPU that loads, can take the page from each other for ever.",
    cost: "A copy: the page is read into the page cache; a store by it takes every device's mapping away.",
  }),
  objective("unchanged-programs", "no changes to userspace program", {
    scenario: "device-map/with-cpu",
    properties: ["DEVMAP-SAME-DATA"],
    outcome: "kept",
    bug: "device-map-cache-not-written",
    finding:
      "Programs load and store, and call nothing. That the block and the page cache are two copies must not be seen: device_map writes the cache back, and drops it for who will store; a fault of the CPU takes the device's mapping away first.",
    cost: "A CPU and a device that take turns move the page at every turn: a revocation, a write or a read, and a fault each.",
  }),
  objective(
    "several-devices",
    "allow multiple different devices to map the block (can be read only if the fabric between devices is not cache coherent)",
    {
      scenario: "device-map/two-devices",
      properties: ["DEVMAP-RO"],
      outcome: "kept",
      bug: "device-map-two-writers",
      finding:
        "In no schedule do two devices map the block while one of them may store to it: a writer is revoked, and has drained, before a reader is let in, and no writer is let in beside anybody. On a coherent fabric both store (device-map/coherent).",
      cost: "Without coherence: one revocation of the writer for the first reader; a writer beside readers goes by the page cache.",
    },
  ),
  objective("no-memory", "avoiding to waste main memory if file is only accessed by device", {
    scenario: "device-map/coherent",
    properties: ["DEVMAP-NO-COPY"],
    outcome: "kept",
    bug: "device-map-fills-cache",
    finding: "As long as every access goes by the block the page cache stays empty.",
    cost: "None; without coherence, what two devices store to goes through memory.",
  }),
  objective("no-pin", "there is no pin", {
    scenario: "device-map/revoked",
    properties: ["DEVMAP-NOPIN", "DEVMAP-NO-STALE"],
    outcome: "kept",
    bug: "device-map-pins",
    finding:
      "Blocks are freed without a look at references, and no device reaches them. With DAX they wait for pins (L-DAX).",
    cost: "None for the file system; the device's driver has to be able to fault.",
  }),
  objective("revoked-any-time", "it can be revoke at any time from within the kernel", {
    scenario: "device-map/revoked",
    properties: ["DEVMAP-REVOKE", "DEVMAP-NO-STALE", "DEVMAP-BAR", "L-REVOKE"],
    outcome: "kept",
    bug: "device-map-install-unchecked",
    finding:
      "Truncation, hole punching, writeback that relocates, the block device's BAR, memory pressure and munmap, each at any point of a fault or a transfer. It rests on the check before the device's page table gets its entry, and on those who reuse something keeping new mappings out of it: by the file's lock, or a mark on the window.",
    cost: "6 steps for one device, and the rest of the one transfer that it has begun, 2 steps; then a fault, if it wants the page again.",
  }),
  objective("device-files", "not only support filesystem but also vma that comes from device file", {
    scenario: "device-map/device-file",
    properties: ["DEVMAP-BAR", "DEVMAP-SAME-DATA"],
    outcome: "kept",
    bug: "device-map-window-not-marked",
    finding:
      "The callbacks are the VMA's; the protocol is the same where a driver owns the memory and manages its BAR. A driver has no page cache: what it falls back to is memory that it copies to.",
    cost: "As for files.",
  }),
]

/** What the mail has against leases, and what becomes of it here. */
export const shortcomings: ReadonlyArray<Point> = [
  objective("one-process", "only one process", {
    scenario: "device-map/two-devices",
    properties: ["DEVMAP-SAME-DATA"],
    outcome: "kept",
    finding: "Does not arise: mappings belong to VMAs.",
    cost: "None.",
  }),
  objective("burden-on-program", "program ie userspace is responsible for doing the right thing", {
    scenario: "device-map/revoked",
    properties: ["L-REVOKE"],
    outcome: "failed",
    bug: "device-unmap-asks-holder",
    finding:
      "Nobody outside the kernel has to do anything. As soon as revocation asks the holder to let go, a holder that does nothing keeps truncation waiting for ever.",
    cost: "The burden is the driver's: it must end a transfer in bounded time, or the kernel waits as it would for a lease.",
  }),
  objective("break-time", "lease break time induce latency", {
    scenario: "device-map/revoked",
    properties: ["L-REVOKE"],
    outcome: "kept",
    finding: "No timer takes part. Revocation waits for at most the rest of one transfer.",
    cost: "6 steps and at most 2 of the device, against the break time.",
  }),
  objective("privileges", "lease may require privileges for the applications", {
    scenario: "device-map/revoked",
    properties: ["DEVMAP-NO-FOREIGN-STORE"],
    outcome: "kept",
    bug: "device-map-stores-elsewhere",
    finding:
      "Nothing is asked of the process but its VMA, and it is never told a block's number: the kernel writes the device's page table. A device reaches no block of another file.",
    cost: "None; the kernel trusts the device's hardware to use its page table.",
  }),
  objective("file-descriptor", "work on file descriptor not virtual addresses", {
    scenario: "device-map/revoked",
    properties: ["DEVMAP-ADDRESS"],
    outcome: "kept",
    finding: "Does not arise, see virtual-addresses.",
    cost: "None.",
  }),
]
