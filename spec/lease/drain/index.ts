import { changeBody, moveBehind, type Property, protocol, type SeededBug, type Setup } from "../../../checker/index.ts"
import {
  type DrainedLayout,
  drainedLayout,
  layoutgetEnd,
  markInvalid,
  updateLayout,
} from "../../../model/driver/pnfsDrain.ts"
import { fibersNamed, parameter, scenariosOf } from "../../define.ts"

/** What the properties and seeded bugs see. */
interface DrainWorld {
  readonly layout: DrainedLayout
}

interface Shape {
  readonly gets: number
  readonly failures: number
}

const world = ({ gets, failures }: Shape): Setup<DrainWorld> => {
  const layout = drainedLayout(gets)
  const fibers = {
    ...fibersNamed("get", gets, () => layoutgetEnd(layout)),
    ...fibersNamed("stale", failures, () => markInvalid(layout)),
    update: updateLayout(layout),
  }
  return { world: { layout }, fibers }
}

const ends: Property<DrainWorld> = {
  kind: "leadsTo",
  id: "L-DRAIN",
  statement: "Who waits for the replies to requests for layouts goes on when the last one has come.",
  source: "fs/nfs/pnfs.c: pnfs_update_layout, nfs_layoutget_end",
  from: ({ layout }) => layout.queue.state.sleepers.length > 0,
  to: (_, { ended }) => ended("update"),
}

const draining = scenariosOf("lease/drain", world, [ends])(
  "wait",
  "a client waits for the replies to its requests for layouts, while accesses fail that say that its layout is invalid",
  {
    gets: parameter("requests that are under way", 2, 3),
    failures: parameter("accesses that fail", 2, 3),
  },
  (bound) => bound,
)

const bugs: ReadonlyArray<SeededBug<DrainWorld>> = [
  {
    id: "layout-drain-wakes-too-early",
    title: "the look for those who wait overtakes the store that says that they need not",
    source: "commit c01776287414: NFSv4/pNFS: Fix a race to wake on NFS_LAYOUT_DRAIN",
    scenario: draining.id,
    bound: { gets: 1, failures: 1 },
    breaks: "L-DRAIN",
    at: () => moveBehind("test_and_clear_bit", "wake_up_bit", true),
  },
  {
    id: "layout-drain-set-again",
    title: "every access that fails has the layout drained, be it drained already: nobody is left to say that it is",
    source: "commit 5248d8474e59: pNFS: fix a missing wake up while waiting on NFS_LAYOUT_DRAIN",
    scenario: draining.id,
    bound: { gets: 1, failures: 2 },
    breaks: "L-DRAIN",
    at: ({ layout }) => ({
      pnfs_mark_layout_stateid_invalid: changeBody(() => {
        layout.state.drain = true
      }),
    }),
  },
]

export const layoutDrain = protocol({
  id: "lease/drain",
  title: "Waiting for the replies to requests for layouts (fs/nfs/pnfs.c: NFS_LAYOUT_DRAIN)",
  about: {
    purpose:
      "A client whose layout has become invalid asks for a new one only when the last reply to its earlier requests has come. Who waits for that must be woken, however the last reply and the failure of an access meet.",
    notModelled: [
      "The layout, the server and the accesses themselves: requests are a count, failures a flag.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  scenarios: [draining],
  bugs,
})
