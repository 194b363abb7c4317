/** What a job of a device may come to in the end, by the way in which its driver gets at the page. */
import { endings } from "../../handbook/outcomes.ts"
import { job } from "./scenarios.ts"
import type { Event, Style } from "./world.ts"

/** Every bill with which a run of a single store can end, in words. */
export const bills = (style: Style, event: Event) =>
  endings(job(style, event), { stores: 1 }, ({ record: { cost } }) =>
    Object.entries(cost)
      .filter(([, count]) => count > 0)
      .map(([what, count]) => `${what} ${count}`)
      .join(", "),
  )
