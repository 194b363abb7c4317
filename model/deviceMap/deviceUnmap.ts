/**
 * `device_unmap`: takes mappings of blocks away from devices, at any time, from anywhere in the kernel. It asks nobody,
 * cannot fail, and waits for no more than the transfer that a device has begun.
 */
import { guardedStep, procedure, step } from "../../checker/program/index.ts"
import { assertHeld } from "../sync/holding.ts"
import { mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { block, windowOf } from "./blockDevice.ts"
import { type Device, deviceOf, type MappedFile } from "./mappedFile.ts"

/**
 * Whoever calls it keeps new mappings out by what he holds, if he needs that: the file's lock, or the mark on the window.
 *
 * @param reason shown with its steps
 * @param which the devices whose mappings go
 */
export const deviceUnmap = procedure(function* (
  file: MappedFile,
  reason: string,
  which: (device: Device) => boolean = () => true,
) {
  // First all are told apart as invalid, so that none is installed any more. One that somebody else is revoking is
  // waited for as well: what is behind it may be used again only when it is gone.
  const names = yield* step("device_unmap: invalidate", [file.name, reason], () => {
    const found = file.devices.filter((one) => one.mapping.status !== "none" && which(one))
    for (const { mapping } of found) mapping.status = "revoking"
    return found.map(({ name }) => name)
  })
  for (const name of names) yield* revoke(file, deviceOf(file, name))
  if (names.length > 0) yield* step("device_unmap: done", [file.name, reason], () => undefined)
})

/** One device: no transfer begins any more; the one that has begun ends, and what the device's cache has is written. */
const revoke = procedure(function* (file: MappedFile, device: Device) {
  yield* mutexLock(device.lock)
  yield* step("device_unmap", [device.name], () => {
    assertHeld(device.lock)
    device.state.entry = null
  })
  yield* guardedStep(
    "device_drain",
    [device.name],
    () => device.state.dma === null,
    () => {
      assertHeld(device.lock)
      flushLine(file, device)
      device.mapping.status = "none"
    },
    {
      on: `the transfer of ${device.name}`,
      kind: "dma",
      sleeps: true,
      hindrances: () => [{ fiber: device.name, how: "has begun" }],
    },
  )
  yield* mutexUnlock(device.lock)
})

/** What a device without coherence has stored goes where its mapping leads. Within a step. */
const flushLine = (file: MappedFile, { state, mapping }: Device): void => {
  const behind = windowOf(file.bdev, mapping.window).block
  if (state.dirty && state.line !== null && behind !== null) block(file.bdev, behind).content = state.line
  state.line = null
  state.dirty = false
}
