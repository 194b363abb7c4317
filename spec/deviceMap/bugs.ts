/** Seeded bugs of device mappings: the proposal was never merged, so they are of its rules, not of its history. */
import * as Effect from "effect/Effect"
import {
  changeBody,
  changeGuard,
  changeResult,
  leaveOut,
  moveBehind,
  type Replacements,
  type SeededBug,
} from "../../checker/index.ts"
import { block, windowOf } from "../../model/deviceMap/blockDevice.ts"
import { deviceOf } from "../../model/deviceMap/mappedFile.ts"
import { cpuRevoked, revoked, twoDevices, withCpu } from "./scenarios.ts"
import type { DeviceMapWorld } from "./world.ts"

const proposal = "LKML 2019-04-26, Direct block mapping through fs for device"

/** Where bugs are hunted: at bounds that are no larger than it takes. */
const oneRevoker = { scenario: revoked.id, bound: { accesses: 1, revocations: 1, others: 0, windows: 1 } }
const anotherFile = { scenario: revoked.id, bound: { accesses: 1, revocations: 1, others: 1, windows: 1 } }
const pair = { scenario: twoDevices.id, bound: { devices: 2, accesses: 1, revocations: 0, windows: 1 } }
const oneCpu = { scenario: withCpu.id, bound: { accesses: 1, cpus: 1, revocations: 0 } }

const threadAlone = { scenario: cpuRevoked.id, bound: { accesses: 0, cpus: 1, revocations: 1 } }

/** Those who revoke for one of these reasons do not. */
const unrevoked = (...reasons: ReadonlyArray<string>): Replacements => ({
  "device_unmap: invalidate": (original, { args }) =>
    reasons.includes(String(args[1])) ? Effect.succeed([]) : original,
})

export const deviceMapBugs: ReadonlyArray<SeededBug<DeviceMapWorld>> = [
  {
    id: "device-map-install-unchecked",
    title: "the device's page table gets an entry that was revoked between the file system's answer and that",
    source: proposal,
    ...oneRevoker,
    breaks: "DEVMAP-NO-STALE",
    at: ({ file }) => ({
      device_install: changeBody(({ args }) => {
        const { mapping, state } = deviceOf(file, String(args[0]))
        const { window, block, write } = mapping
        state.entry = { window, block, write }
        return true
      }),
    }),
  },
  {
    id: "device-map-two-writers",
    title: "on a fabric without coherence a second device is let in for writing",
    source: proposal,
    ...pair,
    breaks: "DEVMAP-RO",
    at: () => ({ ...unrevoked("two devices"), "device_map: may map": changeResult(() => true) }),
  },
  {
    id: "device-map-reader-beside-writer",
    title: "a second device reads what it may, and the first goes on storing to it in its own cache",
    source: proposal,
    ...pair,
    breaks: "DEVMAP-SAME-DATA",
    at: () => unrevoked("two devices"),
  },
  {
    id: "device-unmap-without-drain",
    title: "revocation does not wait for the transfer that has begun",
    source: proposal,
    ...oneRevoker,
    breaks: "DEVMAP-REVOKE",
    at: () => ({ device_drain: changeGuard() }),
  },
  {
    id: "device-unmap-forgotten-by-truncation",
    title: "truncation frees the block that a device maps",
    source: proposal,
    ...oneRevoker,
    breaks: "DEVMAP-NO-STALE",
    at: () => unrevoked("ftruncate", "fallocate"),
  },
  {
    id: "device-unmap-forgotten-by-writeback",
    title: "writeback puts the page elsewhere, and the device goes on with the old block",
    source: `${proposal}; file systems that write elsewhere`,
    ...oneRevoker,
    breaks: "DEVMAP-NO-STALE",
    at: () => unrevoked("writeback"),
  },
  {
    id: "device-unmap-forgotten-by-munmap",
    title: "munmap leaves the device's mapping of the address",
    source: `${proposal}; it works on virtual addresses`,
    ...oneRevoker,
    breaks: "DEVMAP-ADDRESS",
    at: () => unrevoked("munmap"),
  },
  {
    id: "device-map-window-moved-first",
    title: "the window shows another block before those who map it have been asked to stop",
    source: `${proposal}: block devices that manage their PCIE BAR`,
    ...oneRevoker,
    breaks: "DEVMAP-BAR",
    at: windowMovedFirst,
  },
  {
    id: "device-map-stores-elsewhere",
    title: "the same, until what the device has stored arrives: in a block of another file",
    source: `${proposal}: block devices that manage their PCIE BAR`,
    ...anotherFile,
    breaks: "DEVMAP-NO-FOREIGN-STORE",
    at: windowMovedFirst,
  },
  {
    id: "device-map-window-not-marked",
    title: "the window is given out again while it is about to show another block",
    source: `${proposal}: block devices that manage their PCIE BAR`,
    ...oneRevoker,
    breaks: "DEVMAP-BAR",
    at: () => ({ "blkdev_move_window: begin": changeBody(() => undefined) }),
  },
  {
    id: "device-map-recorded-late",
    title: "the block device's lock is given up before the mapping is known to those who revoke",
    source: proposal,
    ...oneRevoker,
    breaks: "DEVMAP-BAR",
    at: () => moveBehind("device_map", "mutex_unlock"),
  },
  {
    id: "device-map-second-window",
    title: "a device that wants to store gets a second window and keeps the first, where nobody finds it any more",
    source: proposal,
    scenario: revoked.id,
    bound: { accesses: 2, revocations: 1, others: 0, windows: 2 },
    breaks: "DEVMAP-BAR",
    at: () => unrevoked("mapped anew"),
  },
  {
    id: "device-map-beside-cpu-store",
    title: "a CPU may store to the page in the page cache while a device stores to the block",
    source: proposal,
    ...oneCpu,
    breaks: "DEVMAP-RO",
    at: () => unrevoked("page_mkwrite"),
  },
  {
    id: "device-map-truncation-leaves-threads",
    title: "what devices map goes, and a thread goes on with a page that the page cache has given up",
    source: `${proposal}; mm/truncate.c: truncate_pagecache, unmap_mapping_range`,
    ...threadAlone,
    breaks: "DEVMAP-CPU-UNMAPPED",
    at: () => ({ unmap_mapping_range: leaveOut() }),
  },
  {
    id: "device-map-truncation-keeps-size",
    title: "the pages go and the size stays, so that the next fault finds a page behind the end",
    source: "mm/truncate.c: truncate_setsize, i_size_write",
    ...threadAlone,
    breaks: "DEVMAP-TRUNCATED",
    at: () => ({ i_size_write: leaveOut() }),
  },
  {
    id: "device-map-cache-not-written",
    title: "the block is mapped while the page cache has what was stored last",
    source: proposal,
    ...oneCpu,
    breaks: "DEVMAP-SAME-DATA",
    at: () => ({ submit_bio: leaveOut() }),
  },
  {
    id: "device-map-cache-not-invalidated",
    title: "a device stores to the block, and CPUs go on reading the copy",
    source: proposal,
    ...oneCpu,
    breaks: "DEVMAP-SAME-DATA",
    at: () => ({ invalidate_inode_pages2: leaveOut() }),
  },
  {
    id: "device-map-pins",
    title: "the file system takes a reference to the block for the device",
    source: `${proposal}: there is no pin`,
    ...oneRevoker,
    breaks: "DEVMAP-NOPIN",
    at: ({ bdev, file }) => ({
      device_map: changeBody(({ args, body }) => {
        body()
        block(bdev, deviceOf(file, String(args[0])).mapping.block).refcount++
      }),
    }),
  },
  {
    id: "device-map-fills-cache",
    title: "the block is read into the page cache before a device maps it",
    source: `${proposal}: avoid wasting main memory if a file is only accessed by devices`,
    ...oneRevoker,
    breaks: "DEVMAP-NO-COPY",
    at: ({ bdev, file }) => ({
      device_map: changeBody(({ body }) => {
        body()
        if (file.state.block !== null) file.state.cached ??= block(bdev, file.state.block).content
      }),
    }),
  },
  {
    id: "device-map-no-fallback",
    title: "while a device maps the block the page cache is closed to others",
    source: `${proposal}: falling back to the page cache is always acceptable`,
    ...pair,
    breaks: "DEVMAP-FALLBACK",
    at: ({ file }) => ({
      filemap_get_folio: changeBody(({ body }) => {
        const found = body()
        return file.devices.some(({ mapping }) => mapping.status !== "none") ? "SIGBUS" : found
      }),
    }),
  },
  {
    id: "device-map-not-recorded",
    title: "the file system grants a mapping and does not remember it: the device may not use what it was given",
    source: proposal,
    ...oneRevoker,
    breaks: "DEVMAP-GRANTED",
    at: () => ({ device_map: leaveOut() }),
  },
  {
    id: "device-map-window-stays-marked",
    title: "the window shows the other block, and stays marked: nobody is given it any more",
    source: `${proposal}: block devices that manage their PCIE BAR`,
    ...oneRevoker,
    breaks: "DEVMAP-BAR-MOVED",
    at: ({ bdev }) => ({
      "blkdev_move_window: program": changeBody(({ args }) => {
        windowOf(bdev, Number(args[1])).block = Number(args[2])
      }),
    }),
  },
  {
    id: "device-map-fault-leaks-lock",
    title: "a device's fault returns with mmap_lock held",
    source: proposal,
    ...oneRevoker,
    bound: { ...oneRevoker.bound, revocations: 0 },
    breaks: "LOCK-RELEASED",
    at: () => ({ mmap_read_unlock: leaveOut() }),
  },
  {
    id: "device-map-thread-faults-for-ever",
    title: "a thread's fault finds the page in the page cache and does not map it",
    source: "mm/memory.c: finish_fault",
    ...threadAlone,
    breaks: "L-ACCESS",
    at: () => ({ finish_fault: leaveOut() }),
  },
  {
    id: "device-unmap-asks-holder",
    title: "as a lease does: the holder is asked to let go, and waited for; the device has nothing more to do",
    source: `${proposal}: no need to rely on the application to do the right thing`,
    ...oneRevoker,
    breaks: "L-REVOKE",
    at: ({ file }) => ({
      device_unmap: leaveOut(),
      device_drain: (original, operation) => {
        const { state } = deviceOf(file, String(operation.args[0]))
        return changeGuard(() => state.entry === null && state.dma === null)(original, operation)
      },
    }),
  },
]

function windowMovedFirst({ bdev }: DeviceMapWorld): Replacements {
  return {
    "blkdev_move_window: begin": changeBody(({ args, body }) => {
      body()
      windowOf(bdev, Number(args[1])).block = 1
    }),
  }
}
