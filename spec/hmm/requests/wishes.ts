/** Ways in which a device asks for two pages, with what that comes to page by page, said independently of the model. */
import type { WindowWish } from "../../../model/driver/windowMirror.ts"
import { type HmmRequest, nothing } from "../../../model/hmm/rangeFault.ts"

const read: HmmRequest = { fault: true, write: false }
const store: HmmRequest = { fault: true, write: true }

export interface Wish extends Omit<WindowWish, "owner"> {
  /** What the pages are asked for in the end (Documentation/mm/hmm.rst: default_flags and pfn_flags_mask). */
  readonly wanted: readonly [HmmRequest, HmmRequest]
}

export const wishes: ReadonlyArray<Wish> = [
  {
    name: "store to the first",
    requests: [store, nothing],
    defaultFlags: nothing,
    pfnFlagsMask: store,
    wanted: [store, nothing],
  },
  {
    name: "load the first, store to the second",
    requests: [nothing, { fault: false, write: true }],
    defaultFlags: read,
    pfnFlagsMask: { fault: false, write: true },
    wanted: [read, store],
  },
  {
    name: "load both, whatever the array asks",
    requests: [store, store],
    defaultFlags: read,
    pfnFlagsMask: nothing,
    wanted: [read, read],
  },
  {
    name: "snapshot",
    requests: [store, store],
    defaultFlags: nothing,
    pfnFlagsMask: nothing,
    wanted: [nothing, nothing],
  },
]

/** Those, by position, that make a difference where the second page is the device's own, or another's. */
export const ofOwnPage: ReadonlyArray<number> = [1, 3]
export const ofForeignPage: ReadonlyArray<number> = [1]

/** The wish of that name. */
export const wishNamed = (name: string): Wish => {
  const found = wishes.find((wish) => wish.name === name)
  if (found === undefined) throw new RangeError(`there is no wish to ${name}`)
  return found
}
