/** The invariants of device mappings. */
import type { Property } from "../../checker/index.ts"
import { block, windowOf } from "../../model/deviceMap/blockDevice.ts"
import type { DeviceEntry, Process } from "../../model/deviceMap/mappedFile.ts"
import { type DeviceMapWorld, hasOther, isForeignStore } from "./world.ts"

const proposal = "LKML 2019-04-26, Direct block mapping through fs for device"

/** What devices reach a block by: their entries, and transfers that have begun. Within a property. */
const reached = ({ file }: DeviceMapWorld): ReadonlyArray<DeviceEntry & { readonly device: string }> =>
  file.devices.flatMap(({ name, state }) =>
    [state.entry, state.dma].flatMap((entry) => (entry === null ? [] : [{ ...entry, device: name }])),
  )

/** Whether nothing is reached by the address in the process any more, by threads or a device. Within a property. */
const isClosed = ({ file }: DeviceMapWorld, { name, state }: Process): boolean =>
  !state.vma &&
  state.pte === "none" &&
  file.devices.every((one) => one.process.name !== name || (one.state.entry === null && one.state.dma === null))

const mappers = (world: DeviceMapWorld): number => new Set(reached(world).map((one) => one.device)).size
const cpuStores = ({ file }: DeviceMapWorld): boolean => file.processes.some(({ state }) => state.pte === "write")

export const deviceMapProperties: ReadonlyArray<Property<DeviceMapWorld>> = [
  {
    kind: "invariant",
    id: "DEVMAP-RO",
    statement:
      "On a fabric without coherence, while two devices map a block or a CPU may store to the page, no device has a writable mapping.",
    source: proposal,
    premise: (world) => !world.file.coherent && (mappers(world) > 1 || (mappers(world) > 0 && cpuStores(world))),
    holds: (world) =>
      world.file.coherent || (mappers(world) < 2 && !cpuStores(world)) || reached(world).every((one) => !one.write),
    explain: (world) =>
      `${reached(world)
        .map(({ device, write }) => `${device} maps it for ${write ? "writing" : "reading"}`)
        .join(", ")}${cpuStores(world) ? ", and a CPU may store to it" : ""}.`,
  },
  {
    kind: "invariant",
    id: "DEVMAP-BAR",
    statement:
      "A window shows another block only when no device maps anything through it, nor has a transfer under way.",
    source: `${proposal}; the block device manages its PCIE BAR`,
    premise: (world) => reached(world).length > 0,
    holds: (world) => reached(world).every((one) => windowOf(world.bdev, one.window).block === one.block),
    explain: (world) =>
      reached(world)
        .filter((one) => windowOf(world.bdev, one.window).block !== one.block)
        .map(
          (one) =>
            `${one.device} maps window ${one.window} for block ${one.block}; it shows ${windowOf(world.bdev, one.window).block ?? "nothing"}.`,
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "DEVMAP-NO-STALE",
    statement: "No device maps a block that the file has no more.",
    source: proposal,
    premise: (world) => reached(world).length > 0,
    holds: (world) => reached(world).every((one) => block(world.bdev, one.block).owner === world.file.name),
    explain: (world) =>
      reached(world)
        .map((one) => `${one.device} maps block ${one.block} of ${block(world.bdev, one.block).owner || "nobody"}.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "DEVMAP-NO-FOREIGN-STORE",
    statement: "A block of another file holds what was written to that file.",
    source: proposal,
    premise: hasOther,
    holds: (world) => !isForeignStore(world),
  },
  {
    kind: "invariant",
    id: "DEVMAP-ADDRESS",
    statement: "When a process has unmapped the address, neither its threads nor its device reach anything by it.",
    source: `${proposal}: it works on virtual addresses`,
    premise: ({ record }) => record.unmapped.length > 0,
    holds: (world) =>
      world.file.processes.every((one) => !world.record.unmapped.includes(one.name) || isClosed(world, one)),
  },
  {
    kind: "invariant",
    id: "DEVMAP-TRUNCATED",
    statement:
      "Behind the end of a file that was truncated nothing is loaded or stored, by the block or the page cache.",
    source: "mmap(2): SIGBUS; mm/truncate.c: truncate_setsize; mm/filemap.c: filemap_fault",
    premise: ({ record }) => record.truncated,
    holds: ({ record }) => !record.beyond,
  },
  {
    kind: "invariant",
    id: "DEVMAP-CPU-UNMAPPED",
    statement: "No process maps a page that the page cache has given up.",
    source: "mm/truncate.c: truncate_inode_folio, invalidate_inode_pages2_range",
    premise: ({ file }) => file.processes.some(({ state }) => state.pte !== "none"),
    holds: ({ file }) => file.state.cached !== null || file.processes.every(({ state }) => state.pte === "none"),
  },
  {
    kind: "invariant",
    id: "DEVMAP-NOPIN",
    statement: "Device mappings take no references to blocks.",
    source: `${proposal}: there is no pin`,
    premise: ({ file }) => file.devices.some(({ mapping }) => mapping.status === "granted"),
    holds: ({ bdev }) => bdev.blocks.every(({ refcount }) => refcount === 0),
  },
  {
    kind: "invariant",
    id: "DEVMAP-REVOKE",
    statement: "When a device's mapping has been revoked it has no entry, and no transfer under way.",
    source: `${proposal}: it can be revoked at any time`,
    premise: ({ record }) => record.revoked,
    holds: ({ record }) => !record.unfinished,
  },
  {
    kind: "invariant",
    id: "DEVMAP-FALLBACK",
    statement: "A device that is refused a mapping, or loses it, reaches the page by the page cache.",
    source: `${proposal}: falling back to the page cache is always acceptable`,
    premise: ({ record }) => record.byCache || record.denied,
    holds: ({ record }) => !record.denied,
  },
  {
    kind: "invariant",
    id: "DEVMAP-SAME-DATA",
    statement: "A load returns what was stored last, whether by the block or by the page cache.",
    source: `${proposal}: an optimisation, without changes to programs`,
    premise: ({ record }) => record.last !== "file",
    holds: ({ record }) => !record.stale,
  },
  {
    kind: "invariant",
    id: "DEVMAP-NO-COPY",
    statement: "A page that only devices use, by its block, takes no memory.",
    source: `${proposal}: avoid wasting main memory if a file is only accessed by devices`,
    premise: ({ record }) => record.byBlock && !record.faulted,
    holds: ({ record, file }) => record.faulted || file.state.cached === null,
  },
  {
    kind: "invariant",
    id: "DEVMAP-GRANTED",
    statement: "A device that was granted a mapping has it until somebody revokes it.",
    source: `${proposal}: device_map returns what the device may use until device_unmap`,
    premise: ({ record }) => record.granted.length > 0,
    holds: ({ record }) => !record.lost,
  },
  {
    kind: "atEnd",
    id: "DEVMAP-BAR-MOVED",
    statement: "A window that the block device has moved can be given out again.",
    source: `${proposal}; the block device manages its PCIE BAR`,
    premise: ({ record }) => record.moved,
    holds: ({ bdev }) => bdev.windows.every(({ moving }) => !moving),
  },
  {
    kind: "atEnd",
    id: "LOCK-RELEASED",
    statement: "When all is done nobody holds a lock.",
    source: "Documentation/locking/mutex-design.rst: a task may not exit with a mutex held",
    holds: ({ bdev, file }) =>
      [bdev, file, ...file.devices].every(({ lock }) => lock.state.holder === "") &&
      file.processes.every(({ mmapLock: { state } }) => state.writer === "" && state.readers.length === 0),
  },
  {
    kind: "leadsTo",
    id: "L-ACCESS",
    statement: "An access of a thread ends, although a device wants the same page.",
    source: `${proposal}: falling back to the page cache is always acceptable`,
    from: ({ threads }) => threads.length > 0,
    to: ({ threads }, { ended }) => threads.every(ended),
  },
  {
    kind: "leadsTo",
    id: "L-REVOKE",
    statement: "A revocation ends, whatever the process and the device do.",
    source: `${proposal}: no need to rely on the application; a device ends its transfer in bounded time`,
    from: ({ record }) => record.revoking.length > 0,
    to: ({ record }) => record.revoking.length === 0,
  },
]
