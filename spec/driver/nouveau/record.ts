/** What the steps of nouveau mean for the record of windows, and a record of faults. */
import { cell, type Monitor } from "../../../checker/index.ts"
import type { Svmm } from "../../../model/driver/nouveauSvm.ts"
import { type Change, closes, opens, starts } from "../windows.ts"

/**
 * The window is that of both notifiers. It opens when the classic one has cleared the last GPU's table, or is on the list
 * no more; it ends with the interval tree's side, behind which a fault may go on: there is no end on the classic side.
 */
export const windowSteps = (gpus: ReadonlyArray<Svmm>): { readonly [stepName: string]: Change } => {
  const last = gpus.at(-1)?.name
  const first = gpus[0]?.name
  return {
    mn_itree_inv_start_range: starts(({ args }) => ({ start: Number(args[1]), end: Number(args[2]) })),
    nouveau_svmm_invalidate: opens(({ args }) => args[0] === last),
    hlist_for_each_entry_srcu: opens(({ args, result }) => args[0] === first && result === false),
    mn_itree_inv_end: closes(),
  }
}

export interface FaultRecord {
  /** Whether a GPU's fault is being handled, from the reference to the address space on. */
  readonly inFault: ReadonlyMap<string, { readonly value: boolean }>
  readonly monitor: Monitor
}

/** Makes the record of faults. */
export const recordFaults = (gpus: ReadonlyArray<Svmm>): FaultRecord => {
  const inFault = new Map(gpus.map(({ name }) => [name, cell(`fault.${name}`, false)]))
  const change = (fiber: string, inside: boolean) => {
    const mine = inFault.get(fiber)
    if (mine !== undefined) mine.value = inside
  }
  const monitor: Monitor = {
    mmget_not_zero: ({ fiber, result }) => change(fiber, result === true),
    mmput: ({ fiber }) => change(fiber, false),
  }
  return { inFault, monitor }
}
