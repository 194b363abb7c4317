import { parameter, scenariosOf } from "../define.ts"
import { deviceMapProperties } from "./properties.ts"
import { deviceMapWorld } from "./world.ts"

const define = scenariosOf("device-map", deviceMapWorld, deviceMapProperties)

const accesses = (initial: number) => parameter("how often each device loads or stores", initial, 3)
const cpus = (initial: number) => parameter("processes whose threads load or store", initial, 2, 0)
const revocations = (initial: number) => parameter("how often somebody in the kernel revokes", initial, 3, 0)
const others = (initial: number) => parameter("other files that take a block", initial, 2, 0)
const windows = (initial: number) => parameter("windows of the block device's BAR", initial, 2)
const devices = (initial: number) => parameter("devices, each of a process of its own", initial, 3)

/** The question of the proposal: without coherence several devices may only read. */
export const twoDevices = define(
  "two-devices",
  "two devices of two processes map a block on a fabric without coherence, while somebody revokes",
  { devices: devices(2), accesses: accesses(1), revocations: revocations(1), windows: windows(1) },
  (bound) => ({ ...bound, coherent: 0, revokers: ["writeback", "BAR"] }),
)

export const revoked = define(
  "revoked",
  "one device maps a block while the kernel takes back the block, the window, the address or the device's page table, for another file",
  { accesses: accesses(2), revocations: revocations(1), others: others(1), windows: windows(1) },
  (bound) => ({ ...bound, devices: 1, coherent: 0 }),
)

export const withCpu = define(
  "with-cpu",
  "a device maps a block while a thread uses the page by the page cache",
  { accesses: accesses(2), cpus: cpus(1), revocations: revocations(0) },
  (bound) => ({ ...bound, devices: 1, coherent: 0 }),
)

/** Nothing of it is new with the callbacks; what they take back, they take back beside it. */
export const cpuRevoked = define(
  "cpu-revoked",
  "a thread uses the page by the page cache while the kernel takes back the block or the address",
  {
    accesses: parameter("how often its device loads or stores", 0, 2, 0),
    cpus: cpus(1),
    revocations: revocations(1),
  },
  (bound) => ({ ...bound, devices: 1, coherent: 0, revokers: ["ftruncate", "fallocate", "writeback", "munmap"] }),
)

export const coherent = define(
  "coherent",
  "two devices store to a block that both map, on a fabric with coherence",
  { devices: devices(2), accesses: accesses(1), cpus: cpus(0), revocations: revocations(0) },
  (bound) => ({ ...bound, coherent: 1 }),
)

/** The owner of the VMA is a driver: it has no truncation, but a BAR to manage. */
export const deviceFile = define(
  "device-file",
  "a device maps memory of another, whose driver has implemented the callbacks, while that manages its BAR",
  { devices: devices(1), accesses: accesses(1), revocations: revocations(1) },
  (bound) => ({ ...bound, coherent: 1, name: "/dev/npu0", revokers: ["BAR"] }),
)

export const deviceMapScenarios = [twoDevices, revoked, withCpu, cpuRevoked, coherent, deviceFile]
