import {
  changeBody,
  leaveOut,
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
import { fibersNamed, parameter, scenariosOf } from "../../define.ts"

/** What the property and the seeded bug see. */
interface ClientWorld {
  readonly layout: LayoutHeader
  /** The highest number that has gone back to the server. */
  readonly returned: Struct<{ seqid: number }>
  /** The highest number that the client has believed. */
  readonly believed: Struct<{ seqid: number }>
}

const world = ({ gets }: { readonly gets: number }): Setup<ClientWorld> => {
  const layout = layoutHeader()
  const returned = struct("returned", { seqid: 0 })
  const believed = struct("believed", { seqid: 0 })
  const monitor: Monitor = {
    nfs4_proc_layoutreturn: ({ args: [seqid] }) => {
      returned.seqid = Math.max(returned.seqid, Number(seqid))
    },
    pnfs_layout_process: ({ args: [seqid], result }) => {
      if (result === true) believed.seqid = Math.max(believed.seqid, Number(seqid))
    },
  }
  const fibers = {
    ...fibersNamed("get", gets, () => layoutget(layout)),
    return: layoutreturn(layout),
  }
  return { world: { layout, returned, believed }, fibers, monitors: [monitor] }
}

const fresh: Property<ClientWorld> = {
  kind: "invariant",
  id: "LAYOUT-NOT-OUTDATED",
  statement: "A client uses nothing that was given out before what it has returned.",
  source: "fs/nfs/pnfs.c: pnfs_layout_process, plh_barrier; commit 334a8f37115b",
  premise: ({ layout, returned }) => returned.seqid > 0 && layout.segments.value.length > 0,
  holds: ({ layout, returned }) => layout.segments.value.every((seqid) => seqid > returned.seqid),
}

const counted: Property<ClientWorld> = {
  kind: "invariant",
  id: "LAYOUT-OUTSTANDING",
  statement: "No more replies come than were asked for.",
  source: "fs/nfs/pnfs.c: pnfs_update_layout, plh_outstanding",
  holds: ({ layout }) => layout.state.outstanding >= 0,
}

const distinct: Property<ClientWorld> = {
  kind: "invariant",
  id: "LAYOUT-SEQID-ONCE",
  statement: "The server gives each number once.",
  source: "fs/nfsd/nfs4layouts.c: nfsd4_insert_layout, nfs4_inc_and_copy_stateid under ls_lock",
  premise: ({ layout }) => layout.segments.value.length > 1,
  holds: ({ layout }) => new Set(layout.segments.value).size === layout.segments.value.length,
}

const kept: Property<ClientWorld> = {
  kind: "atEnd",
  id: "LAYOUT-NOT-LOST",
  statement: "What a client has believed it holds, until it has returned it.",
  source: "fs/nfs/pnfs.c: pnfs_mark_layout_stateid_return",
  premise: ({ believed }) => believed.seqid > 0,
  holds: ({ layout, believed, returned }) =>
    believed.seqid <= returned.seqid || layout.segments.value.includes(believed.seqid),
}

const replies = scenariosOf("lease/client", world, [fresh, counted, distinct, kept])(
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
  {
    id: "layoutget-not-counted",
    title: "a request is not counted, and its reply is",
    source: "fs/nfs/pnfs.c: pnfs_update_layout, by inference",
    scenario: replies.id,
    breaks: "LAYOUT-OUTSTANDING",
    at: () => ({ nfs4_proc_layoutget: leaveOut() }),
  },
  {
    id: "layout-seqid-twice",
    title: "the server gives the same number to every layout",
    source: "fs/nfsd/nfs4layouts.c: nfs4_inc_and_copy_stateid, by inference",
    scenario: replies.id,
    breaks: "LAYOUT-SEQID-ONCE",
    at: () => ({ nfsd4_layoutget: changeBody(() => 1) }),
  },
  {
    id: "layout-dropped-unreturned",
    title: "the client forgets its layouts and returns nothing",
    source: "fs/nfs/pnfs.c: pnfs_mark_layout_stateid_return, by inference",
    scenario: replies.id,
    breaks: "LAYOUT-NOT-LOST",
    at: ({ layout }) => ({
      pnfs_mark_layout_stateid_return: changeBody(() => {
        layout.segments.value = []
        return 0
      }),
    }),
  },
]

export const pnfsStateids = protocol({
  id: "lease/client",
  title: "The numbers of layouts at a client of pNFS (fs/nfs/pnfs.c): replies that overtake each other",
  about: {
    purpose:
      "Replies to a client's requests for layouts overtake each other. By the numbers of the layout stateid the client tells what it was given before it returned everything, and must not use that.",
    actors: {
      getN: "A request of the client for a layout (LAYOUTGET): it goes to the server, and the client deals with the reply.",
      return: "The client gives its layout back (LAYOUTRETURN): what was given out before that counts no more.",
    },
    state: {
      lo: "The client's layout (struct pnfs_layout_hdr): requests without a reply, the barrier, the highest number seen, and its segments.",
      server: "The number that the server gave out last (the stateid's seqid).",
    },
    monitors: {
      returned: "The highest number that has gone back to the server.",
      believed: "The highest number of a reply that the client has believed.",
    },
    notModelled: [
      "Everything of the client but these numbers: the layouts' contents, I/O, recalls.",
      "The server: it counts.",
    ],
  },
  scenarios: [replies],
  bugs,
  survivors: {
    "leave-out pnfs_clear_layoutreturn_info":
      "an old barrier keeps out only what is outdated, as the server never begins to count anew",
  },
})
