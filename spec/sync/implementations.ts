/** What RCU, SRCU and SRCU's algorithm have in common, so that the same programs and properties can be asked of each. */
import * as Effect from "effect/Effect"
import { choose, step } from "../../checker/index.ts"
import { type Domain, isInside } from "../../model/sync/gracePeriod.ts"
import {
  callRcu,
  type Rcu,
  rcuBarrier,
  rcuDomain,
  rcuReadLock,
  rcuReadUnlock,
  synchronizeRcu,
} from "../../model/sync/rcu.ts"
import {
  callSrcu,
  cleanupSrcuStruct,
  type Srcu,
  srcuBarrier,
  srcuDomain,
  srcuReadLock,
  srcuReadUnlock,
  synchronizeSrcu,
} from "../../model/sync/srcu.ts"
import {
  type Index,
  processSrcu,
  type SrcuTree,
  srcuInvokeCallbacks,
  srcuTree,
  srcuTreeBarrier,
  srcuTreeCall,
  srcuTreeCleanup,
  srcuTreeReadLock,
  srcuTreeReadUnlock,
  srcuTreeSynchronize,
} from "../../model/sync/srcuTree.ts"

/** Read-side sections and grace periods, whoever provides them. */
export interface Implementation {
  /** Enters a section; the result is for `readUnlock`. */
  readonly readLock: (reader: string) => Effect.Effect<number>
  readonly readUnlock: (reader: string, section: number) => Effect.Effect<void>
  readonly synchronize: (waiter: string) => Effect.Effect<void>
  readonly call: (head: string) => Effect.Effect<void>
  readonly barrier: (waiter: string) => Effect.Effect<void>
  /** What is still there when the domain is taken down, or the module that uses it. */
  readonly cleanup: Effect.Effect<ReadonlyArray<string>>
  /** Fibers that it needs for itself. */
  readonly workers: Readonly<Record<string, Effect.Effect<void>>>
}

export type Kind = "rcu" | "srcu" | "srcutree"

export interface Domains {
  readonly implementation: Implementation
  /** The small model, if it is that. */
  readonly small: Domain | undefined
  /** The algorithm, if it is that. */
  readonly tree: SrcuTree | undefined
}

/**
 * Makes a domain.
 *
 * @param readers all fibers that may enter a section
 * @param callback what the callback of a name does
 * @param cpus and where their counters wrap, for the algorithm
 */
export const domainsOf = (
  kind: Kind,
  readers: ReadonlyArray<string>,
  callback: (head: string) => Effect.Effect<unknown>,
  { cpus, wrap }: { readonly cpus: number; readonly wrap: number },
): Domains => {
  if (kind === "srcutree") {
    const tree = srcuTree("srcu", cpus, wrap)
    return { implementation: ofTree(tree, readers, callback), small: undefined, tree }
  }
  if (kind === "rcu") {
    const rcu = rcuDomain("rcu", readers)
    return { implementation: ofRcu(rcu, callback), small: rcu, tree: undefined }
  }
  const srcu = srcuDomain("srcu", readers)
  return { implementation: ofSrcu(srcu, callback), small: srcu, tree: undefined }
}

const ofRcu = (rcu: Rcu, callback: (head: string) => Effect.Effect<unknown>): Implementation => ({
  readLock: () => Effect.as(rcuReadLock(rcu), 0),
  readUnlock: () => rcuReadUnlock(rcu),
  synchronize: () => synchronizeRcu(rcu),
  call: (head) => callRcu(rcu, head, callback(head)),
  barrier: () => rcuBarrier(rcu),
  // RCU itself stays; what goes is the code that its callbacks are.
  cleanup: step("free_module", [rcu.name], () => (rcu.state.callbacks.length > 0 ? ["callbacks"] : [])),
  workers: {},
})

const ofSrcu = (srcu: Srcu, callback: (head: string) => Effect.Effect<unknown>): Implementation => ({
  readLock: () => srcuReadLock(srcu),
  readUnlock: (_, section) => srcuReadUnlock(srcu, section),
  synchronize: () => synchronizeSrcu(srcu),
  call: (head) => callSrcu(srcu, head, callback(head)),
  barrier: () => srcuBarrier(srcu),
  cleanup: cleanupSrcuStruct(srcu),
  workers: {},
})

/** Readers enter on CPUs of their own and leave wherever they have been moved to; the others are on CPU 0. */
const ofTree = (
  tree: SrcuTree,
  readers: ReadonlyArray<string>,
  callback: (head: string) => Effect.Effect<unknown>,
): Implementation => {
  const cpus = [...tree.counters.keys()]
  const leavesOn = cpus.length === 1 ? Effect.succeed(0) : choose("cpu", cpus)
  return {
    readLock: (reader) => srcuTreeReadLock(tree, Math.max(readers.indexOf(reader), 0) % cpus.length),
    readUnlock: (_, section) => Effect.flatMap(leavesOn, (cpu) => srcuTreeReadUnlock(tree, cpu, indexOf(section))),
    synchronize: (waiter) => srcuTreeSynchronize(tree, waiter, 0),
    call: (head) => srcuTreeCall(tree, head, 0),
    barrier: (waiter) => srcuTreeBarrier(tree, waiter, 0),
    cleanup: srcuTreeCleanup(tree),
    workers: {
      "kworker-gp": processSrcu(tree),
      "kworker-cb": srcuInvokeCallbacks(tree, callback),
    },
  }
}

const indexOf = (section: number): Index => (section === 0 ? 0 : 1)

/** Whether a fiber is inside a section of RCU, where it must not sleep. */
export const mustNotSleep = (kind: Kind, small: Domain | undefined, fiber: string): boolean =>
  kind === "rcu" && small !== undefined && isInside(small, fiber)
