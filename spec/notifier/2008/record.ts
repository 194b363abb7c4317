/** What the properties of the 2008 notifiers need to remember: kept from outside, in the same instant as the step. */
import { type Monitor, type Plain, type Struct, struct } from "../../../checker/index.ts"
import type { ExternalMapper } from "../../../model/driver/external2008.ts"
import type { RangeListDevice } from "../../../model/driver/rangeList2008.ts"
import { pagesOf } from "../../../model/mm/range.ts"
import type { Machine } from "../../../model/notifier/2008/machine.ts"

/** A fiber's invalidation of a range, and the callback that it is in. */
export type Window = {
  open: boolean
  start: number
  end: number
  /** The devices that have been told of the beginning and not of the end. */
  begun: ReadonlyArray<string>
  /** It began while one of the same fiber was open. */
  nested: boolean
  /** A device was told of the end that had not been told of the beginning. */
  orphan: boolean
  /** The notifier whose callback runs, or is about to. */
  calling: string
}

/** A fault of a device: where, and whether an invalidation has begun since the page was looked up. */
export type Fault = {
  va: number
  disturbed: boolean
  /** It installed what an invalidation since has taken away. */
  stale: boolean
}

/** Things that may not happen, by name, and whether they have. */
export type Slips = {
  callbackBeforeClear: boolean
  rmapTooLate: boolean
  rmapUnlocked: boolean
  outsideSection: boolean
  wrongAge: boolean
}

/** The record. */
export interface Record2008 {
  readonly windows: ReadonlyMap<string, Struct<Window>>
  readonly faults: ReadonlyMap<string, Struct<Fault>>
  /** The pages of which munmap has announced the end. */
  readonly unmapped: Struct<{ pages: ReadonlyArray<number> }>
  readonly slips: Struct<Slips>
  readonly monitor: Monitor
}

const noNames: ReadonlyArray<string> = []
const closed = { open: false, start: 0, end: 0, begun: noNames }

/** Makes the record. */
export const record2008 = (
  machine: Machine,
  fibers: ReadonlyArray<string>,
  devices: ReadonlyArray<ExternalMapper>,
  rangeLists: ReadonlyArray<RangeListDevice>,
): Record2008 => {
  const windows = new Map(
    fibers.map((name) => [
      name,
      struct<Window>(`window.${name}`, { ...closed, nested: false, orphan: false, calling: "" }),
    ]),
  )
  const faults = new Map(
    devices.map(({ name }) => [name, struct<Fault>(`fault.${name}`, { va: -1, disturbed: false, stale: false })]),
  )
  const noPages: ReadonlyArray<number> = []
  const unmapped = struct("unmapped", { pages: noPages })
  const slips = struct<Slips>("slips", {
    callbackBeforeClear: false,
    rmapTooLate: false,
    rmapUnlocked: false,
    outsideSection: false,
    wrongAge: false,
  })
  const ages = new Map(fibers.map((name) => [name, struct(`age.${name}`, { used: false })]))

  const close = (fiber: string, window: Struct<Window>) => {
    // Of those who invalidate, munmap alone holds mmap_sem for writing.
    if (machine.mm.mmapSem.state.writer === fiber) {
      unmapped.pages = [...new Set([...unmapped.pages, ...pagesOf(window)])].sort()
    }
    Object.assign(window, closed)
  }
  const entered = (fiber: string, name: string, args: ReadonlyArray<Plain>, first: Plain) => {
    const window = windows.get(fiber)
    if (window === undefined) return
    window.calling = first === null ? "" : String(first)
    if (name === "invalidate_range_begin") {
      if (window.open) window.nested = true
      window.open = true
      window.start = Number(args[1])
      window.end = Number(args[2])
    }
    if (name === "invalidate_range_end" && first === null) close(fiber, window)
  }
  const begun = (fiber: string, args: ReadonlyArray<Plain>) => {
    const window = windows.get(fiber)
    const fault = faults.get(String(args[0]))
    if (window !== undefined) window.begun = [...window.begun, String(args[0])].sort()
    if (fault !== undefined && Number(args[1]) <= fault.va && fault.va < Number(args[2])) fault.disturbed = true
  }
  const ended = (fiber: string, args: ReadonlyArray<Plain>) => {
    const window = windows.get(fiber)
    if (window === undefined) return
    if (!window.begun.includes(String(args[0]))) window.orphan = true
    window.begun = window.begun.filter((name) => name !== args[0])
  }
  const looked = (device: string, va: number) => {
    const fault = faults.get(device)
    if (fault === undefined) return
    fault.va = va
    fault.disturbed = [...windows.values()].some((window) => isBegun(window, device, va))
  }
  const installed = (device: string) => {
    const fault = faults.get(device)
    if (fault === undefined) return
    if (fault.disturbed) fault.stale = true
    fault.va = -1
    fault.disturbed = false
  }

  const walked = (fiber: string) => {
    if (machine.file.iMmapLock.state.holder !== fiber) slips.rmapUnlocked = true
  }

  /** A step of a callback: what else is to be noted of it. */
  const inCallback =
    (note: Monitor[string] = () => undefined): Monitor[string] =>
    (taken) => {
      const { rcu, srcu } = machine.readers
      if (!rcu.includes(taken.fiber) && !srcu.includes(taken.fiber)) slips.outsideSection = true
      note(taken)
    }
  const aged = (fiber: string, isYoungStill: boolean, wasYoung: boolean) => {
    const age = ages.get(fiber)
    if (age !== undefined && wasYoung) age.used = true
    if (isYoungStill) slips.wrongAge = true
  }

  const monitor: Monitor = {
    srcu_read_lock: ({ fiber, args, result }) => entered(fiber, String(args[0]), args, result),
    rcu_read_lock: ({ fiber, args, result }) => {
      entered(fiber, String(args[0]), args, result)
      if (args[0] !== "invalidate_page" || result === null) return
      const cleared = machine.mm.ptl.state.holder === fiber && machine.mm.pte[Number(args[1])]?.value === null
      if (!cleared) slips.callbackBeforeClear = true
    },
    hlist_for_each_entry_rcu: ({ fiber, args, result }) => {
      const window = windows.get(fiber)
      if (window === undefined) return
      window.calling = result === null ? "" : String(result)
      if (args[0] === "invalidate_range_end" && result === null) close(fiber, window)
    },
    gru_invalidate_range_begin: inCallback(({ fiber, args }) => begun(fiber, args)),
    xpmem_invalidate_range_begin: inCallback(({ fiber, args }) => begun(fiber, args)),
    gru_invalidate_range_end: inCallback(({ fiber, args }) => ended(fiber, args)),
    xpmem_invalidate_range_end: inCallback(({ fiber, args }) => ended(fiber, args)),
    gru_release: inCallback(),
    xpmem_release: inCallback(),
    dma_release: inCallback(),
    gru_invalidate_page: inCallback(),
    dma_invalidate_page: inCallback(),
    xpmem_clear_range: inCallback(),
    xpmem_recall_page: inCallback(),
    xpmem_clear_page: inCallback(),
    get_user_pages: ({ fiber, args, result }) => {
      if (typeof result !== "string") looked(fiber, Number(args[0]))
    },
    follow_page: ({ fiber, args, result }) => {
      if (result === true) looked(fiber, Number(args[0]))
    },
    device_map: ({ args }) => installed(String(args[0])),
    ptep_clear_flush: ({ fiber, result }) => {
      walked(fiber)
      if (result === null) return
      const { page } = result as { readonly page: { readonly pfn: number } } // what the step returns
      const external = rangeLists.some(({ pageTable }) => pageTable.some(({ value }) => value?.page.pfn === page.pfn))
      if (external) slips.rmapTooLate = true
    },
    ptep_clear_flush_young: ({ fiber, args, result }) => {
      walked(fiber)
      const pte = machine.mm.pte[Number(args[0])]?.value
      aged(fiber, pte?.kind === "present" && pte.young, result === true)
    },
    gru_age_page: inCallback(({ fiber, args, result }) => {
      const device = devices.find(({ name }) => name === args[0])
      aged(fiber, device?.pageTable[Number(args[1])]?.value?.young === true, result === true)
    }),
    page_referenced_one: ({ fiber, result }) => {
      const age = ages.get(fiber)
      if (age === undefined) return
      if (age.used !== result) slips.wrongAge = true
      age.used = false
    },
  }
  return { windows, faults, unmapped, slips, monitor }
}

/** Whether a device has been told of the beginning of an invalidation of an address, and not of its end. */
export const isBegun = ({ begun, start, end }: Window, device: string, va: number): boolean =>
  begun.includes(device) && start <= va && va < end
