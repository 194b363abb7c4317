import * as Effect from "effect/Effect"
import type { Setup } from "../../../checker/index.ts"
import { type Kvm, kvmCreateVm, type Memslot } from "../../../model/driver/kvm.ts"
import { guestAccess, type Handler } from "../../../model/driver/kvmFault.ts"
import { type GfnToPfnCache, kvmGpcInit } from "../../../model/driver/kvmPfnCache.ts"
import { exitMm } from "../../../model/mm/exit.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { names } from "../../define.ts"
import { type Call, invalidator, processOf } from "../calls.ts"
import { type Installs, recordInstalls } from "../installs.ts"
import type { Locking } from "../locksHeld.ts"
import { recordStores, type Stores } from "../stores.ts"
import type { Windows } from "../windows.ts"
import { lockingOf } from "./locking.ts"
import { type KvmRecord, recordKvm } from "./record.ts"

/** What the properties and seeded bugs of KVM see. */
export interface KvmWorld {
  readonly mm: Mm
  readonly kvm: Kvm
  /** KVM's own cache of a translation, not active at the beginning. */
  readonly gpc: GfnToPfnCache | undefined
  readonly windows: Windows
  readonly record: KvmRecord
  readonly locking: Locking
  /** Of faults that ask for a retry without mmu_lock. */
  readonly installs: Installs
  /** What KVM itself stores. */
  readonly stores: Stores
  /** Memslots that were there at the beginning. */
  readonly firstSlots: number
}

export interface Shape {
  readonly pages: number
  readonly vcpus: number
  /** CPUs whose threads of the process invalidate, once each. */
  readonly cpus: number
  /** Memslots that are there from the beginning, of those of `slotsOf`; all by default. */
  readonly slots?: number
  readonly roots?: 1 | 2
  readonly gpc?: boolean
  readonly calls: ReadonlyArray<Call>
  /** Threads of the process besides. */
  readonly users?: number
  /** Whether what guests have used is asked about. */
  readonly ages?: boolean
  /** Who else is there. */
  readonly others?: (parts: Parts) => { readonly [name: string]: Effect.Effect<unknown, unknown> }
  /** What a virtual CPU does. */
  readonly vcpu: (parts: Parts, vcpu: string, position: number) => Effect.Effect<unknown, unknown>
}

/** What there is, for those who say what happens with it. */
export type Parts = Pick<KvmWorld, "mm" | "kvm" | "gpc">

/** A slot for each page, in an order of their own: guest page 0 is the process's last one. */
export const slotsOf = (pages: number): ReadonlyArray<Memslot> =>
  pagesOf({ start: 0, end: pages }).map((gfn) => ({ gfn, start: pages - 1 - gfn, end: pages - gfn }))

/** A process that runs a virtual machine, with its pages present, and threads of it that invalidate. */
export const kvmWorld = (shape: Shape): Setup<KvmWorld> => {
  const { pages } = shape
  const vcpus = names("vcpu", shape.vcpus)
  const cpus = names("cpu", shape.cpus)
  const process = processOf({ pages, cpus, users: vcpus.length + (shape.users ?? 0) })
  const { mm } = process
  const kvm = kvmCreateVm(mm, { vcpus, slots: slotsOf(pages).slice(0, shape.slots), roots: shape.roots ?? 1 })
  const gpc = shape.gpc === true ? kvmGpcInit(kvm, "gpc", pages - 1) : undefined
  const parts = { mm, kvm, gpc }
  const fibers = {
    ...Object.fromEntries(cpus.map((cpu, position) => [cpu, invalidator(process, position, shape.calls)] as const)),
    ...Object.fromEntries(vcpus.map((vcpu, position) => [vcpu, shape.vcpu(parts, vcpu, position)] as const)),
    ...shape.others?.(parts),
  }
  const record = recordKvm(kvm, Object.keys(fibers), shape.ages === true)
  const locking = lockingOf(kvm, gpc)
  const stores = recordStores("kvm_xen_set_evtchn", () => gpc?.state.valid === true)
  const installs = recordInstalls(vcpus, "mmu_invalidate_retry: mmu_invalidate_seq", "unlock_rmap", ({ fiber }) => {
    const gfn = vcpus.indexOf(fiber) % pages
    return kvm.roots.some(({ state, sptes }) => state.valid && at(sptes, gfn).value !== null)
  })
  const firstSlots = kvm.memslots.value.slots.length
  return {
    world: { mm, kvm, gpc, windows: record.windows, record, locking, installs, stores, firstSlots },
    fibers,
    monitors: [...record.monitors, locking.monitor, installs.monitor, ...(gpc === undefined ? [] : [stores.monitor])],
  }
}

/** A guest on a virtual CPU: the first stores, the others load, each at a page of its own if there are enough. */
export const guest =
  (handler: Handler) =>
  ({ kvm }: Parts, vcpu: string, position: number): Effect.Effect<unknown> =>
    guestAccess(kvm, vcpu, position % kvm.mm.pages, handler, position === 0 ? vcpu : undefined)

/**
 * The same, and then the end of the thread that has run it: a virtual CPU runs in a thread of the process, which is a user
 * of the memory until then, so that no guest runs as that goes.
 */
export const guestThatExits =
  (handler: Handler) =>
  (parts: Parts, vcpu: string, position: number): Effect.Effect<unknown> =>
    Effect.andThen(guest(handler)(parts, vcpu, position), exitMm(parts.mm))
