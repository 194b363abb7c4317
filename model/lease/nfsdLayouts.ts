/**
 * Layouts at the server (fs/nfsd/nfs4layouts.c, nfs4proc.c): a stateid per client and file, which has a lease for as long
 * as it lives, and the layouts that were given out under it.
 *
 * Two designs of the recall. In the one of old, which kernels up to 2025 have, `lm_break` sets `fl_break_time` to 0: who
 * waits does so until the client has returned its layouts, however long that takes. (That the callback itself is given up
 * after the client's own lease time is not here.) In the fenced one (NFSD: Enforce timeout on layout recall, LKML 2025 and
 * 2026) an overdue lease has the client fenced, and is removed when that is done.
 */
import type * as Effect from "effect/Effect"
import { guardedStep, procedure, type Struct, self, step, struct } from "../../checker/program/index.ts"
import { assertHeld, expectFree } from "../sync/holding.ts"
import { type Mutex, mutex, mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { isFree } from "../sync/spinlock.ts"
import { awake, type Clock, setAlarm } from "./clock.ts"
import { genericAddLease } from "./grantLease.ts"
import { type LeaseContext, type LeaseManager, leaseAlloc, leaseContext, locksDeleteLock } from "./lease.ts"
import type { XfsInode } from "./xfsFile.ts"
import { type Iomap, type MapError, xfsFsCommitBlocks, xfsFsMapBlocks } from "./xfsPnfs.ts"

export type Design = "break_time 0" | "fenced"

/** `struct nfs4_layout_stateid` */
export interface LayoutStateid {
  readonly client: string
  readonly state: Struct<{
    /** Whether it is hashed: the client may use it. */
    live: boolean
    /** Requests that work with it. */
    refs: number
    /** `ls_recalled` */
    recalled: boolean
    /** `ls_recall`: no callback, one for the worker, one that the client has been sent. */
    callback: "none" | "queued" | "sent"
    /** `ls_layouts`: which blocks of the file were given out. */
    layouts: ReadonlyArray<number>
    /** `si_generation`: how many times what it stands for has changed. */
    seqid: number
    /** `ls_recall_sid`: the number of the recall; 0 before. */
    recallSid: number
    /** `ls_fence_work` is pending; `ls_fenced`. */
    fenceWork: boolean
    fenced: boolean
  }>
  /** `ls_mutex` */
  readonly mutex: Mutex
}

/** What nfsd knows of one exported file. */
export interface Export {
  readonly stateids: ReadonlyMap<string, LayoutStateid>
  readonly leases: LeaseContext
  readonly clock: Clock
  readonly design: Design
}

/** Makes an export of a file that no client uses yet. */
export const exportOf = (
  name: string,
  clients: ReadonlyArray<string>,
  clock: Clock,
  leaseBreakTime: number,
  design: Design,
): Export => {
  const stateids = new Map(
    clients.map((client) => {
      const none: ReadonlyArray<number> = []
      const callback: "none" | "queued" | "sent" = "none"
      const state = struct(`${client}.ls`, {
        live: false,
        refs: 0,
        recalled: false,
        callback,
        layouts: none,
        seqid: 0,
        recallSid: 0,
        fenceWork: false,
        fenced: false,
      })
      return [client, { client, state, mutex: mutex(`${client}.ls_mutex`) } as const] as const
    }),
  )
  const leases = leaseContext(name, clock, leaseBreakTime, layoutManager(stateids, design))
  return { stateids, leases, clock, design }
}

const stateidIn = (stateids: ReadonlyMap<string, LayoutStateid>, client: string): LayoutStateid => {
  const found = stateids.get(client)
  if (found === undefined) throw new RangeError(`${client} is not a client`)
  return found
}

/** What nfsd has of a client. */
const stateidOf = ({ stateids }: Export, client: string): LayoutStateid => stateidIn(stateids, client)

/** `nfsd4_layouts_lm_ops` */
const layoutManager = (stateids: ReadonlyMap<string, LayoutStateid>, design: Design): LeaseManager => {
  const lmBreak: LeaseManager["lmBreak"] = (lease) => {
    nfsd4RecallFileLayout(stateidIn(stateids, lease.owner))
    return design === "fenced" ? lease : { ...lease, breakTime: 0 }
  }
  return {
    lmBreak,
    lmBreakerTimedout: (lease) => {
      const { state } = stateidIn(stateids, lease.owner)
      if (!state.fenced) state.fenceWork = true
      // Were it removed while a commit of the client's is under way, that would come after what the lease is broken for.
      return state.fenced && state.refs === 0
    },
  }
}

/**
 * `nfsd4_recall_file_layout`: once per stateid; the client need only hear of it if it has been given something. Within
 * a step.
 */
const nfsd4RecallFileLayout = ({ state }: LayoutStateid): void => {
  if (state.recalled) return
  state.recalled = true
  if (state.layouts.length > 0) state.callback = "queued"
}

/** What LAYOUTGET comes to: a layout with the number of the stateid, or an error of NFS. */
export type LayoutGot =
  | { readonly iomap: Iomap; readonly seqid: number }
  | "NFS4ERR_LAYOUTTRYLATER"
  | "NFS4ERR_RECALLCONFLICT"
  | "NFS4ERR_LAYOUTUNAVAILABLE"

/** `nfsd4_layoutget`, `ls_mutex` held all the time: the lease comes first, then the blocks. */
export const nfsd4Layoutget = procedure(function* (
  server: Export,
  file: XfsInode,
  client: string,
  index: number,
  mayFail: boolean,
) {
  const stateid = stateidOf(server, client)
  const { state } = stateid
  yield* mutexLock(stateid.mutex)
  const first = yield* step("nfsd4_preprocess_layout_stateid", [client], () => {
    assertHeld(stateid.mutex)
    state.refs++
    return !state.live
  })
  if (first) {
    const granted = yield* genericAddLease(server.leases, leaseAlloc(client, "layout", "read"))
    if (granted === "-EAGAIN") {
      yield* step("nfsd4_layoutget: nfs4_put_stid", [client], () => {
        state.refs--
      })
      yield* mutexUnlock(stateid.mutex)
      return "NFS4ERR_LAYOUTTRYLATER" as const
    }
  }
  const result: LayoutGot = yield* layoutgetLocked(server, file, stateid, index, mayFail)
  yield* mutexUnlock(stateid.mutex)
  yield* nfs4PutStid(server, stateid)
  return result
})

const layoutgetLocked = procedure(function* (
  server: Export,
  file: XfsInode,
  { client, state }: LayoutStateid,
  index: number,
  mayFail: boolean,
) {
  const recalls = yield* step("nfsd4_layoutget: fi_lo_recalls", [client], () => {
    if (state.layouts.length === 0 && !state.live) state.live = true
    return [...server.stateids.values()].some((each) => each.state.recalled)
  })
  if (recalls) return "NFS4ERR_RECALLCONFLICT" as const
  const iomap: Iomap | MapError = yield* xfsFsMapBlocks(file, index, true, mayFail)
  if (typeof iomap === "string") return "NFS4ERR_LAYOUTUNAVAILABLE" as const
  return yield* step("nfsd4_insert_layout", [client, index], (): LayoutGot => {
    const others = [...server.stateids.values()].filter((each) => each.client !== client && each.state.live)
    others.forEach(nfsd4RecallFileLayout)
    // That a recall is heeded which was decided on while nothing had been given out yet is not so in the kernel: the
    // client is not told of it any more. Until commit fb610c4dbc99 the layout even counted as recalled.
    const missed = state.recalled && state.callback === "none"
    if (others.length > 0 || missed || state.fenced) return "NFS4ERR_RECALLCONFLICT"
    state.layouts = [...state.layouts.filter((each) => each !== index), index].sort()
    state.seqid++
    return { iomap, seqid: state.seqid }
  })
})

/**
 * `nfs4_put_stid`: the last one has the lease removed (`nfsd4_close_layout`). In one step, as the client's next stateid
 * has the place of this one.
 */
const nfs4PutStid = ({ leases }: Export, { client, state }: LayoutStateid): Effect.Effect<void> =>
  guardedStep(
    "nfs4_put_stid",
    [client],
    () => isFree(leases.lock),
    () => {
      expectFree(leases.lock)
      state.refs--
      if (state.refs > 0 || state.layouts.length > 0 || !state.live) return
      state.live = false
      state.recalled = false
      state.callback = "none"
      state.recallSid = 0
      locksDeleteLock(leases, client)
    },
  )

/** `nfsd4_layoutreturn`, of everything; the client has stopped using it. */
export const nfsd4Layoutreturn = procedure(function* (server: Export, client: string) {
  const stateid = stateidOf(server, client)
  const { state } = stateid
  yield* mutexLock(stateid.mutex)
  const known = yield* step("nfsd4_return_file_layouts", [client], () => {
    assertHeld(stateid.mutex)
    if (!state.live) return false
    state.refs++
    state.layouts = []
    state.seqid++
    return true
  })
  yield* mutexUnlock(stateid.mutex)
  if (known) yield* nfs4PutStid(server, stateid)
})

/** `nfsd4_layoutcommit`: under a layout that the client still has; `ls_mutex` is not held meanwhile. */
export const nfsd4Layoutcommit = procedure(function* (
  server: Export,
  file: XfsInode,
  client: string,
  indices: ReadonlyArray<number>,
  size: number | null,
) {
  const stateid = stateidOf(server, client)
  const { state } = stateid
  yield* mutexLock(stateid.mutex)
  const held = yield* step("nfsd4_layoutcommit: nfsd4_preprocess_layout_stateid", [client, ...indices], () => {
    assertHeld(stateid.mutex)
    const valid = state.live && !state.fenced && indices.every((index) => state.layouts.includes(index))
    if (valid) state.refs++
    return valid
  })
  yield* mutexUnlock(stateid.mutex)
  if (!held) return "NFS4ERR_BADLAYOUT" as const
  const result: "0" | "-EIO" = yield* xfsFsCommitBlocks(file, indices, size)
  yield* nfs4PutStid(server, stateid)
  return result
})

/**
 * `nfsd4_cb_layout_prepare`, of the worker that sends recalls: only now is the recall given its number, and not while
 * a layout is being given out.
 *
 * @param over when there will not be any more recalls
 * @returns the number, or `null` when it is over
 */
export const nfsd4CbLayoutPrepare = (
  server: Export,
  client: string,
  over: () => boolean,
): Effect.Effect<number | null> => {
  const { state, mutex: lock } = stateidOf(server, client)
  return guardedStep(
    "nfsd4_cb_layout_prepare",
    [client],
    () => (state.callback === "queued" && lock.state.holder === "") || over(),
    () => {
      if (state.callback !== "queued") return null
      state.callback = "sent"
      state.seqid++
      state.recallSid = state.seqid
      return state.recallSid
    },
  )
}

/**
 * `nfsd4_layout_fence_worker`: keeps a client that has not answered from the device, which may take a while, and then
 * has the lease removed. Where the device refuses it tries again and again, after a second (one tick), then two, and so on;
 * the longest pause (MAX_FENCE_DELAY) is beyond what is explored.
 *
 * @param ticks how long the device takes
 * @param failures how often it refuses
 */
export const nfsd4LayoutFenceWorker = procedure(function* (
  server: Export,
  file: XfsInode,
  client: string,
  ticks: number,
  over: () => boolean,
  failures: number = 0,
) {
  const { state } = stateidOf(server, client)
  const { clock, leases } = server
  const work = yield* guardedStep(
    "nfsd4_layout_fence_worker",
    [client],
    () => state.fenceWork || over(),
    () => {
      if (state.fenceWork && ticks > 0) setAlarm(clock, clock.state.jiffies + ticks)
      return state.fenceWork
    },
  )
  if (!work) return
  const { fenced } = file.mount.device
  let done = false
  for (let attempt = 0; !done; attempt++) {
    done = yield* guardedStep(
      "nfsd4_scsi_fence_client: pr_preempt",
      [client],
      () =>
        (ticks === 0 && attempt === 0) ||
        (clock.alarms.get(self())?.value ?? awake) <= clock.state.jiffies ||
        clock.state.jiffies === clock.end,
      () => {
        const alarm = clock.alarms.get(self())
        if (alarm !== undefined) alarm.value = awake
        if (attempt < failures) {
          setAlarm(clock, clock.state.jiffies + 2 ** attempt + ticks)
          return false
        }
        fenced.value = [...fenced.value, client].sort()
        state.fenced = true
        return true
      },
    )
  }
  yield* guardedStep(
    "nfsd4_layout_fence_worker: nfsd4_close_layout",
    [client],
    () => isFree(leases.lock) && state.refs === 0,
    () => {
      state.layouts = []
      state.live = false
      state.recalled = false
      state.callback = "none"
      state.recallSid = 0
      state.fenceWork = false
      locksDeleteLock(leases, client)
    },
  )
})
