/**
 * A page of a file that processes and devices share, and what is known of it: its block, what the page cache has of it,
 * who maps what. The CPU's side is told in short: an entry of a page table and what the TLBs have of it are one.
 */
import { type Struct, struct } from "../../checker/program/index.ts"
import type { Content } from "../mm/folio.ts"
import { type Mutex, mutex } from "../sync/mutex.ts"
import { type RwSem, rwSem } from "../sync/rwsem.ts"
import type { BlockDevice } from "./blockDevice.ts"

/** A process that maps the page, at a virtual address of its own. */
export interface Process {
  readonly name: string
  readonly mmapLock: RwSem
  readonly state: Struct<{
    /** Whether the VMA is there. */
    vma: boolean
    /** What its page table allows of the page in the page cache. */
    pte: "none" | "read" | "write"
  }>
}

/** What a device's page table says: the window to go through, and what the device's cache has of what is behind it. */
export type DeviceEntry = {
  readonly window: number
  /** The block that was to be behind it. */
  readonly block: number
  readonly write: boolean
}

/** A device that works on a process's virtual addresses. */
export interface Device {
  readonly name: string
  readonly process: Process
  /** The driver's lock, under which its page table changes: the "user lock" of the mirror loop. */
  readonly lock: Mutex
  readonly state: Struct<{
    entry: DeviceEntry | null
    /** The transfer that is under way, by the entry that it found. */
    dma: DeviceEntry | null
    /** On a fabric without coherence: what it has read or stored, and whether that is still to be written. */
    line: Content | null
    dirty: boolean
  }>
  /** What the file system knows of the device: granted, being revoked, or nothing. */
  readonly mapping: Struct<{ status: "none" | "granted" | "revoking"; write: boolean; window: number; block: number }>
}

/** `struct inode`, of one page, on a file system that implements device_map; or a device's file, whose driver does. */
export interface MappedFile {
  readonly name: string
  readonly bdev: BlockDevice
  /** Whether the devices and the CPU see each other's stores to the block by themselves. */
  readonly coherent: boolean
  /** The lock under which blocks are given to the file and taken away, and the page cache is filled. */
  readonly lock: Mutex
  readonly state: Struct<{
    size: number
    /** `null` is a hole. */
    block: number | null
    cached: Content | null
    dirty: boolean
  }>
  readonly processes: ReadonlyArray<Process>
  readonly devices: ReadonlyArray<Device>
}

export const process = (name: string): Process => {
  const begin: { vma: boolean; pte: "none" | "read" | "write" } = { vma: true, pte: "none" }
  return { name, mmapLock: rwSem(`${name}.mmap_lock`, "mmap_lock"), state: struct(name, begin) }
}

export const device = (name: string, process: Process): Device => {
  const idle: { entry: DeviceEntry | null; dma: DeviceEntry | null; line: Content | null; dirty: boolean } = {
    entry: null,
    dma: null,
    line: null,
    dirty: false,
  }
  const none: { status: "none" | "granted" | "revoking"; write: boolean; window: number; block: number } = {
    status: "none",
    write: false,
    window: 0,
    block: 0,
  }
  return {
    name,
    process,
    lock: mutex(`${name}.lock`),
    state: struct(name, idle),
    mapping: struct(`${name}.mapping`, none),
  }
}

/** Makes a file whose page is in a block of the device. */
export const mappedFile = (
  shape: Pick<MappedFile, "name" | "bdev" | "coherent" | "processes" | "devices"> & { readonly block: number | null },
): MappedFile => {
  const begin: { size: number; block: number | null; cached: Content | null; dirty: boolean } = {
    size: 1,
    block: shape.block,
    cached: null,
    dirty: false,
  }
  return { ...shape, lock: mutex(`${shape.name}.lock`), state: struct(shape.name, begin) }
}

/** The device of that name. */
export const deviceOf = ({ devices }: MappedFile, name: string): Device => {
  const found = devices.find((one) => one.name === name)
  if (found === undefined) throw new RangeError(`there is no device ${name}`)
  return found
}
