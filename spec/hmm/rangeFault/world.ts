/** A device whose faults go through hmm_range_fault, and threads of its process that invalidate. */
import * as Effect from "effect/Effect"
import { type Monitor, type Setup, type Struct, struct, type Taken } from "../../../checker/index.ts"
import { type MirrorDevice, mirrorDevice } from "../../../model/driver/mirror.ts"
import { mirrorFaultUnlockable } from "../../../model/driver/mirrorUnlockable.ts"
import type { Outcome } from "../../../model/hmm/rangeFaultUnlockable.ts"
import { mmput } from "../../../model/mm/exit.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { isWritable } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { treeInsert } from "../../../model/notifier/interval.ts"
import { names } from "../../define.ts"
import { invalidator, processOf } from "../../driver/calls.ts"

/** What the properties and seeded bugs of hmm_range_fault see. */
export interface HmmWorld {
  readonly mm: Mm
  readonly device: MirrorDevice
  readonly record: HmmRecord
}

/** What hmm_range_fault and its caller have done. */
export interface HmmRecord {
  readonly state: Struct<{
    /** How often the device's fiber holds `mmap_lock` for read. */
    held: number
    /** What hmm_range_fault has returned and should not have, in words, by the invariant. */
    lock: string
    request: string
    right: string
  }>
  readonly monitor: Monitor
}

/** Sets the machine up: one page, which is there, and a device that is to write to it. */
export const hmmWorld = (bound: { readonly invalidations: number }): Setup<HmmWorld> => {
  const cpus = names("cpu", bound.invalidations)
  const process = processOf({ pages: 1, cpus, users: 1 })
  const { mm } = process
  const device = mirrorDevice(mm, "gpu0", { start: 0, end: 1 })
  treeInsert(mm.subscriptions, device.name)
  const record = recordHmm(device)
  return {
    world: { mm, device, record },
    fibers: {
      ...Object.fromEntries(cpus.map((cpu, position) => [cpu, invalidator(process, position)] as const)),
      [device.name]: Effect.andThen(mirrorFaultUnlockable(device, 0), mmput(mm)),
    },
    monitors: [record.monitor],
  }
}

const recordHmm = ({ name, mm }: MirrorDevice): HmmRecord => {
  const state: HmmRecord["state"] = struct("hmm", { held: 0, lock: "", request: "", right: "" })
  const change = (by: number) => (taken: Taken) => {
    if (taken.fiber === name) state.held += by
  }
  const monitor: Monitor = {
    mmap_read_lock: change(1),
    mmap_read_unlock: change(-1),
    hmm_range_fault: ({ result }) => {
      const outcome = result as Outcome // what the step returns
      if ((outcome === "-EAGAIN") !== (state.held === 0)) {
        state.lock = `It returns ${typeof outcome === "string" ? outcome : "a page"} with the lock ${state.held === 0 ? "dropped" : "held"}.`
      }
      if (typeof outcome === "object" && !outcome.write) state.request = "A page that was to be writable is not."
    },
    hmm_vma_handle_pte: ({ result, args }) => {
      const found = result as { readonly write?: boolean } | string // what the step returns
      const writes = typeof found === "object" && found.write === true
      if (writes && !isWritable(at(mm.pte, Number(args[0])).value)) state.right = "The entry does not allow to write."
    },
  }
  return { state, monitor }
}
