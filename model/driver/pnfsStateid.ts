/**
 * The numbers of a client's layout stateid (fs/nfs/pnfs.c): replies to LAYOUTGET may overtake each other, and what the
 * server had already taken back when it gave something later must not be believed any more.
 */
import { type Cell, cell, procedure, type Struct, step, struct } from "../../checker/program/index.ts"

/** `struct pnfs_layout_hdr`, and the number that the server is at. */
export interface LayoutHeader {
  readonly state: Struct<{
    /** `plh_outstanding`: LAYOUTGETs without a reply. */
    outstanding: number
    /** `plh_barrier`: what has no higher number is not believed. */
    barrier: number
    /** The highest number that the client has seen. */
    seqid: number
  }>
  /** `plh_segs`, by the numbers with which they came, ascending. */
  readonly segments: Cell<ReadonlyArray<number>>
  readonly server: Struct<{ seqid: number }>
}

/** Makes a layout of which nothing is known yet. */
export const layoutHeader = (): LayoutHeader => ({
  state: struct("lo", { outstanding: 0, barrier: 0, seqid: 0 }),
  segments: cell<ReadonlyArray<number>>("lo.plh_segs", []),
  server: struct("server", { seqid: 0 }),
})

/** LAYOUTGET: asked, answered, and the answer dealt with, each when it likes. */
export const layoutget = procedure(function* ({ state, segments, server }: LayoutHeader) {
  yield* step("nfs4_proc_layoutget", () => {
    state.outstanding++
  })
  const seqid = yield* step("nfsd4_layoutget", () => {
    server.seqid++
    return server.seqid
  })
  yield* step("pnfs_layout_process", [seqid], () => {
    state.outstanding--
    // pnfs_layout_stateid_blocked
    if (seqid <= state.barrier) return false
    segments.value = [...segments.value, seqid].sort()
    state.seqid = Math.max(state.seqid, seqid)
    return true
  })
})

/**
 * Everything goes back: what has come, and what is under way with a number that has been seen. The barrier is forgotten
 * when there is nothing any more that it could keep out.
 *
 * @returns the highest number that has gone back
 */
export const layoutreturn = procedure(function* ({ state, segments }: LayoutHeader) {
  const seqid = yield* step("pnfs_mark_layout_stateid_return", () => {
    if (segments.value.length === 0) return 0
    segments.value = []
    state.barrier = state.seqid
    return state.seqid
  })
  if (seqid === 0) return
  yield* step("nfs4_proc_layoutreturn", [seqid], () => undefined)
  yield* step("pnfs_clear_layoutreturn_info", [seqid], () => {
    if (state.outstanding === 0) state.barrier = 0
  })
})
