import { stretchTime } from "../engine/supervised.ts"
import type { StatesSearch } from "../explore/states.ts"
import type { Ending } from "../explore/strategy.ts"
import { Bell } from "./messages.ts"

/** Steps between two looks at the clock and the bell. */
const chunk = 500

/** Explores until the search ends, the bell asks for attention, or the time of a slice is over. */
export const exploreSlice = (search: StatesSearch, bell: Int32Array): Ending | undefined => {
  const until = performance.now() + stretchTime
  for (;;) {
    const ending = search.advance(chunk)
    if (ending !== undefined) return ending
    if (Atomics.load(bell, Bell.attention) !== 0 || performance.now() >= until) return undefined
  }
}
