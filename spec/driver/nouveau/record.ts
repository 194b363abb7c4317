/** What the steps of nouveau mean for the record of windows; faults, and who sleeps where nobody may. */
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

export interface SvmRecord {
  /** Who has waited for a mutex inside a start that must not sleep, in words. */
  readonly slip: { readonly value: string }
  /** Who is inside such a start. */
  readonly nonBlockable: ReadonlyMap<string, { readonly value: boolean }>
  /** Whether a GPU's fault is being handled, from the reference to the address space on. */
  readonly inFault: ReadonlyMap<string, { readonly value: boolean }>
  readonly monitor: Monitor
}

/** Makes the record of faults, and of starts that must not sleep. */
export const recordSvm = (fibers: ReadonlyArray<string>, gpus: ReadonlyArray<Svmm>): SvmRecord => {
  const inFault = new Map(gpus.map(({ name }) => [name, cell(`fault.${name}`, false)]))
  const nonBlockable = new Map(fibers.map((name) => [name, cell(`non_block.${name}`, false)]))
  const slip = cell("slip", "")
  const fault = (fiber: string, inside: boolean) => {
    const mine = inFault.get(fiber)
    if (mine !== undefined) mine.value = inside
  }
  const enter = (fiber: string, inside: boolean) => {
    const mine = nonBlockable.get(fiber)
    if (mine !== undefined) mine.value = inside
  }
  const monitor: Monitor = {
    mn_itree_inv_start_range: ({ fiber, args }) => enter(fiber, args.includes("nonblock")),
    "nouveau_svmm_invalidate_range_start: -EAGAIN": ({ fiber }) => enter(fiber, false),
    mutex_lock: ({ fiber, args }) => {
      if (nonBlockable.get(fiber)?.value === true) slip.value = `${fiber} takes ${args[0]}`
    },
    mn_itree_inv_end: ({ fiber }) => enter(fiber, false),
    mmget_not_zero: ({ fiber, result }) => fault(fiber, result === true),
    mmput: ({ fiber }) => fault(fiber, false),
  }
  return { slip, nonBlockable, inFault, monitor }
}
