/** Seeded bugs of SRCU's algorithm. */
import {
  changeBody,
  changeResult,
  leaveOut,
  type Plain,
  type Replacement,
  type SeededBug,
} from "../../checker/index.ts"
import { IDLE, type Index, incremented, SCAN2, type SrcuTree, seqState } from "../../model/sync/srcuTree.ts"
import { treeBarriers, treeGracePeriods, treeMigration, treeSteadyReaders, treeTwoUpdaters } from "./scenarios.ts"
import type { SyncWorld } from "./world.ts"

const inOneGracePeriod = {
  scenario: treeGracePeriods.id,
  bound: { readers: 1, rounds: 1, updaters: 1, updates: 1, cpus: 1 },
}

const treeOf = ({ tree }: SyncWorld): SrcuTree => {
  if (tree === undefined) throw new RangeError("this bug is one of SRCU's algorithm")
  return tree
}

const indexOf = (value: Plain): Index => (value === 1 ? 1 : 0)

const countersOf = (tree: SrcuTree, cpu: Plain) => {
  const counters = tree.counters[Number(cpu)]
  if (counters === undefined) throw new RangeError(`there is no CPU ${cpu}`)
  return counters
}

/** Where a step that looks at an index, `{ state, idx }`, is to look at the other in the second scan. */
const otherIndexInScan2 = changeResult((result) => {
  if (typeof result === "number") return 1 - result
  if (result === null || typeof result !== "object" || !("idx" in result)) return result
  return result.state === SCAN2 ? { ...result, idx: 1 - Number(result.idx) } : result
})

/** In the first scan, whatever was counted. */
const zeroInScan1: Replacement = (original, operation) =>
  operation.args.includes("SCAN1") ? leaveOut(0)(original, operation) : original

export const treeBugs: ReadonlyArray<SeededBug<SyncWorld>> = [
  {
    id: "srcu-single-scan",
    title: "a grace period flips the index and scans the old one, and does not scan the other before",
    source: "kernel/rcu/srcutree.c: srcu_advance_state, why both indices must be waited for",
    scenario: treeGracePeriods.id,
    bound: { readers: 1, rounds: 1, updaters: 1, updates: 2, cpus: 1 },
    breaks: "SYNC-GRACE-PERIOD",
    at: () => ({ srcu_readers_unlock_idx: zeroInScan1, srcu_readers_lock_idx: zeroInScan1 }),
  },
  {
    id: "srcu-without-flip",
    title: "both scans look at the index that new readers do not take, as there is no flip between",
    source: "kernel/rcu/srcutree.c: srcu_flip",
    ...inOneGracePeriod,
    breaks: "SYNC-GRACE-PERIOD",
    at: () => ({ srcu_flip: leaveOut() }),
  },
  {
    id: "srcu-starved-without-flip",
    title: "both indices are scanned without a flip between, so that new readers hold up the grace period",
    source: "kernel/rcu/srcutree.c: srcu_flip, waiting in a starvation-free manner",
    scenario: treeSteadyReaders.id,
    bound: { readers: 1 },
    breaks: "L-SYNCHRONIZE",
    at: () => ({
      srcu_flip: leaveOut(),
      rcu_seq_set_state: otherIndexInScan2,
      srcu_advance_state: otherIndexInScan2,
    }),
  },
  {
    id: "srcu-locks-summed-first",
    title: "a scan sums locks before unlocks",
    source: "kernel/rcu/srcutree.c: srcu_readers_active_idx_check; commit f2c4689640e9",
    scenario: treeGracePeriods.id,
    bound: { readers: 2, rounds: 1, updaters: 1, updates: 1, cpus: 1 },
    breaks: "SYNC-GRACE-PERIOD",
    at: (world) => ({
      srcu_readers_unlock_idx: changeBody(
        ({ args: [, cpu, idx] }) => countersOf(treeOf(world), cpu).locks[indexOf(idx)],
      ),
      srcu_readers_lock_idx: changeBody(
        ({ args: [, cpu, idx] }) => countersOf(treeOf(world), cpu).unlocks[indexOf(idx)],
      ),
    }),
  },
  {
    id: "srcu-one-pass-sum",
    title: "a scan adds up, in one pass, how many more locks than unlocks each CPU has",
    source: "commit b52ce066c55a, which added a sequence against it; commit f2c4689640e9, which counts unlocks apart",
    scenario: treeMigration.id,
    breaks: "SYNC-GRACE-PERIOD",
    at: (world) => ({
      srcu_readers_unlock_idx: changeBody(({ args: [, cpu, idx] }) => {
        const { locks, unlocks } = countersOf(treeOf(world), cpu)
        return unlocks[indexOf(idx)] - locks[indexOf(idx)]
      }),
      srcu_readers_lock_idx: leaveOut(0),
    }),
  },
  {
    id: "srcu-counters-wrap-early",
    title: "counters wrap before as many have counted themselves as there can be readers",
    source: "kernel/rcu/srcutree.c: srcu_readers_active_idx_check, the limit on the number of tasks",
    scenario: treeGracePeriods.id,
    bound: { readers: 2, rounds: 1, updaters: 1, updates: 1, cpus: 1 },
    breaks: "SYNC-GRACE-PERIOD",
    at: (world) => ({
      "__srcu_read_lock: srcu_lock_count": changeBody(({ args: [, cpu, idx] }) => {
        const counters = countersOf(treeOf(world), cpu)
        counters.locks = incremented(counters.locks, indexOf(idx), 2)
      }),
      __srcu_read_unlock: changeBody(({ args: [, cpu, idx] }) => {
        const counters = countersOf(treeOf(world), cpu)
        counters.unlocks = incremented(counters.unlocks, indexOf(idx), 2)
      }),
    }),
  },
  {
    id: "srcu-unlock-at-current-index",
    title: "srcu_read_unlock counts at the index that is current, not at the one that srcu_read_lock returned",
    source: "kernel/rcu/srcutree.c: __srcu_read_unlock",
    scenario: treeGracePeriods.id,
    bound: { readers: 2, rounds: 1, updaters: 1, updates: 2, cpus: 1 },
    breaks: "SYNC-GRACE-PERIOD",
    at: (world) => ({
      __srcu_read_unlock: changeBody(({ args: [, cpu] }) => {
        const tree = treeOf(world)
        const counters = countersOf(tree, cpu)
        counters.unlocks = incremented(counters.unlocks, tree.idx.srcu_idx, tree.wrap)
      }),
    }),
  },
  {
    id: "srcu-joins-grace-period-under-way",
    title: "who asks while a grace period is under way waits for the end of that one, not of the next",
    source: "kernel/rcu/rcu.h: rcu_seq_snap",
    scenario: treeTwoUpdaters.id,
    breaks: "SYNC-GRACE-PERIOD",
    at: (world) => ({
      srcu_gp_start_if_needed: changeBody((operation) => {
        const { sup, sdp } = treeOf(world)
        const needed = sdp.srcu_gp_seq_needed
        const seq = operation.body()
        const last = sdp.cblist.at(-1)
        if (seqState(sup.srcu_gp_seq) === IDLE || last === undefined) return seq
        sdp.cblist = [...sdp.cblist.slice(0, -1), { ...last, seq: last.seq - 4 }]
        sdp.srcu_gp_seq_needed = needed
        return null
      }),
    }),
  },
  {
    id: "srcu-retry-forgotten",
    title: "the work item of a grace period that found readers is not queued again",
    source: "kernel/rcu/srcutree.c: srcu_reschedule",
    ...inOneGracePeriod,
    breaks: "SYNC-NO-DEADLOCK",
    at: (world) => ({
      srcu_reschedule: changeBody(() => {
        treeOf(world).work.running = false
      }),
    }),
  },
  {
    id: "srcu-barrier-misses-invoking",
    title: "a barrier takes an empty list for no callbacks, while the last ones are being invoked",
    source: "kernel/rcu/rcu_segcblist.c: rcu_segcblist_entrain, rcu_segcblist_n_cbs",
    scenario: treeBarriers.id,
    breaks: "SYNC-BARRIER",
    at: (world) => ({
      srcu_barrier_one_cpu: changeBody((operation) => {
        const { sup, sdp } = treeOf(world)
        if (sdp.cblist.length > 0) operation.body()
        else sup.srcu_barrier_cpu_cnt = 1
      }),
    }),
  },
]
