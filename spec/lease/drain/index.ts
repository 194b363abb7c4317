import * as Effect from "effect/Effect"
import {
  changeBody,
  changeResult,
  type Monitor,
  moveBehind,
  type Property,
  protocol,
  type SeededBug,
  type Setup,
  type Struct,
  step,
  struct,
} from "../../../checker/index.ts"
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
  /** Whether an access has failed and been dealt with; whether a client must wait, and has done so. */
  readonly record: Struct<{ failed: boolean; waits: boolean; waited: boolean }>
}

interface Shape {
  readonly gets: number
  readonly failures: number
}

const world = ({ gets, failures }: Shape): Setup<DrainWorld> => {
  const layout = drainedLayout(gets)
  const record = struct("record", { failed: false, waits: false, waited: false })
  const monitor: Monitor = {
    "access: -ESTALE": () => {
      record.failed = true
    },
    pnfs_update_layout: ({ result }) => {
      record.waits = result === true
    },
    "wait_on_bit: prepare_to_wait": ({ result }) => {
      record.waited = record.waits && result === true
    },
  }
  const fails = Effect.andThen(
    markInvalid(layout),
    step("access: -ESTALE", [], () => undefined),
  )
  const fibers = {
    ...fibersNamed("get", gets, () => layoutgetEnd(layout)),
    ...fibersNamed("stale", failures, () => fails),
    update: updateLayout(layout),
  }
  return { world: { layout, record }, fibers, monitors: [monitor] }
}

const ends: Property<DrainWorld> = {
  kind: "leadsTo",
  id: "L-DRAIN",
  statement: "Who waits for the replies to requests for layouts goes on when the last one has come.",
  source: "fs/nfs/pnfs.c: pnfs_update_layout, nfs_layoutget_end",
  from: ({ layout }) => layout.queue.state.sleepers.length > 0,
  to: (_, { ended }) => ended("update"),
}

const asked: Property<DrainWorld> = {
  kind: "invariant",
  id: "DRAIN-ASKED",
  statement: "When an access has failed, and replies are under way, the layout is invalid and waits for them.",
  source: "fs/nfs/pnfs.c: pnfs_mark_layout_stateid_invalid",
  premise: ({ layout, record }) => record.failed && layout.state.outstanding > 0,
  holds: ({ layout, record }) =>
    !record.failed || layout.state.outstanding === 0 || (layout.state.invalid && layout.state.drain),
}

const over: Property<DrainWorld> = {
  kind: "invariant",
  id: "DRAIN-OVER",
  statement: "Who has waited for replies goes on when none is under way any more.",
  source: "fs/nfs/pnfs.c: pnfs_update_layout, nfs_layoutget_end",
  premise: ({ record }) => record.waited,
  holds: ({ layout, record }) => !record.waited || layout.state.outstanding === 0,
}

const draining = scenariosOf("lease/drain", world, [ends, asked, over])(
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
    id: "layout-drain-ends-with-any-reply",
    title: "any reply ends the wait, not the last one",
    source: "fs/nfs/pnfs.c: nfs_layoutget_end, atomic_dec_and_test",
    scenario: draining.id,
    bound: { gets: 2, failures: 1 },
    breaks: "DRAIN-ASKED",
    at: () => ({ atomic_dec_and_test: changeResult(() => true) }),
  },
  {
    id: "layout-drain-wait-given-up",
    title: "what the wait returns, which a signal may have ended, is not looked at",
    source: "fs/nfs/pnfs.c: pnfs_update_layout, wait_on_bit with TASK_KILLABLE",
    scenario: draining.id,
    bound: { gets: 1, failures: 1 },
    breaks: "DRAIN-OVER",
    at: () => ({ "wait_on_bit: prepare_to_wait": changeBody(() => true) }),
  },
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
    actors: {
      getN: "A request for a layout (LAYOUTGET) whose reply has come: the last one to end wakes who waits.",
      staleN: "An access of the client that fails with -ESTALE, and marks the layout as invalid.",
      update:
        "A thread that wants the layout (pnfs_update_layout), and waits until requests for the invalid one have ended.",
    },
    state: {
      lo: "The client's layout (struct pnfs_layout_hdr): requests under way, whether it is invalid and drains, and who sleeps until then.",
    },
    monitors: {
      record: "Whether an access has failed, whether the client must wait for that, and whether it has waited.",
    },
    notModelled: [
      "The layout, the server and the accesses themselves: requests are a count, failures a flag.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  environment: ["access: -ESTALE"],
  scenarios: [draining],
  bugs,
  survivors: {
    "split test_and_clear_bit":
      "no reply is under way any more when the bit is looked at, and without one nobody begins to wait, whatever the bit says",
  },
})
