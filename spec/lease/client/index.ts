import type * as Effect from "effect/Effect"
import {
  changeBody,
  type Monitor,
  type Property,
  protocol,
  type SeededBug,
  type Setup,
  type Struct,
  struct,
} from "../../../checker/index.ts"
import { type LayoutHeader, layoutget, layoutHeader, layoutreturn } from "../../../model/driver/pnfsStateid.ts"
import { zoo } from "../../bugZoo.ts"
import { parameter, scenariosOf } from "../../define.ts"

/** What the property and the seeded bug see. */
interface ClientWorld {
  readonly layout: LayoutHeader
  /** The highest number that has gone back to the server. */
  readonly returned: Struct<{ seqid: number }>
}

const world = ({ gets }: { readonly gets: number }): Setup<ClientWorld> => {
  const layout = layoutHeader()
  const returned = struct("returned", { seqid: 0 })
  const monitor: Monitor = {
    nfs4_proc_layoutreturn: ({ args: [seqid] }) => {
      returned.seqid = Math.max(returned.seqid, Number(seqid))
    },
  }
  const fibers: Record<string, Effect.Effect<unknown>> = {
    ...Object.fromEntries(Array.from({ length: gets }, (_, i) => [`get${i}`, layoutget(layout)] as const)),
    return: layoutreturn(layout),
  }
  return { world: { layout, returned }, fibers, monitors: [monitor] }
}

const fresh: Property<ClientWorld> = {
  kind: "invariant",
  id: "LAYOUT-NOT-OUTDATED",
  statement: "A client uses nothing that was given out before what it has returned.",
  source: "fs/nfs/pnfs.c: pnfs_layout_process, plh_barrier; commit 334a8f37115b",
  premise: ({ layout, returned }) => returned.seqid > 0 && layout.segments.value.length > 0,
  holds: ({ layout, returned }) => layout.segments.value.every((seqid) => seqid > returned.seqid),
}

const replies = scenariosOf("lease/client", world, [fresh])(
  "replies",
  "a client asks for layouts, the replies overtake each other, and it returns what it has",
  { gets: parameter("requests at once", 3, 4) },
  (bound) => bound,
)

const bugs: ReadonlyArray<SeededBug<ClientWorld>> = [
  {
    id: "layout-stateid-forgotten-with-get-in-flight",
    title: "the client forgets what it has returned while replies are under way that are older",
    source: "commit 334a8f37115b: pNFS: Don't forget the layout stateid if there are outstanding LAYOUTGETs",
    references: zoo(44),
    scenario: replies.id,
    breaks: "LAYOUT-NOT-OUTDATED",
    at: ({ layout }) => ({
      pnfs_clear_layoutreturn_info: changeBody(() => {
        layout.state.barrier = 0
      }),
    }),
  },
]

export const pnfsStateids = protocol({
  id: "lease/client",
  title: "The numbers of layouts at a client of pNFS (fs/nfs/pnfs.c): replies that overtake each other",
  scenarios: [replies],
  bugs,
})
