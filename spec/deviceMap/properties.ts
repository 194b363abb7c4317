/** The invariants of device mappings: kernel-protocols section 18.9, DEVMAP-*, and L-REVOKE. */
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

/** Whether munmap has done its work. Within a property. */
const isUnmapped = ({ state, mmapLock }: Process): boolean => !state.vma && mmapLock.state.writer === ""

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
    statement: "When a process has unmapped the address, its device reaches nothing by it.",
    source: `${proposal}: it works on virtual addresses`,
    premise: ({ file }) => file.processes.some(isUnmapped),
    holds: ({ file }) =>
      file.devices.every(({ process, state }) => !isUnmapped(process) || (state.entry === null && state.dma === null)),
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
    kind: "leadsTo",
    id: "L-REVOKE",
    statement: "A revocation ends, whatever the process and the device do.",
    source: `${proposal}: no need to rely on the application; a device ends its transfer in bounded time`,
    from: ({ record }) => record.revoking.length > 0,
    to: ({ record }) => record.revoking.length === 0,
  },
]
