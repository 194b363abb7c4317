/**
 * The rmap notifier of February 2008 (mmu_rmap_notifier): a list for the whole machine of drivers that keep
 * a reverse map of their own and may have to sleep. Only pages with the flag PageRmapExternal are asked for.
 */
import * as Effect from "effect/Effect"
import { type Struct, step, struct } from "../../../checker/program/index.ts"
import type { Frame } from "../../mm/folio.ts"
import { at } from "../../mm/range.ts"
import { callNotifiers, listAdd, listDelete, synchronize } from "./list.ts"
import type { Machine } from "./machine.ts"

/** Who asks: reclaim can do without the page, writeback cannot. */
export type RmapCaller = "try_to_unmap" | "page_mkclean"

/** `struct mmu_rmap_notifier_ops` */
export interface RmapNotifier {
  readonly name: string
  readonly state: Struct<{ freed: boolean }>
  /** Drops all references to the page; only the page lock is held. False if it cannot, which page_mkclean does not take. */
  readonly invalidatePage: (frame: Frame, by: RmapCaller) => Effect.Effect<boolean>
}

/** Makes a notifier and registers it (`mmu_rmap_notifier_register`). Within the set-up. */
export const mmuRmapNotifierRegister = (
  of: Machine,
  name: string,
  invalidatePage: RmapNotifier["invalidatePage"],
): void => {
  of.rmapNotifiers.byName.set(name, {
    name,
    state: struct(`${name}.mmu_rmap_notifier`, { freed: false }),
    invalidatePage,
  })
  listAdd(of.rmapNotifiers, name)
}

/** `mmu_rmap_notifier_unregister`: when it returns, no callback of it runs or will run. */
export const mmuRmapNotifierUnregister = (of: Machine, name: string): Effect.Effect<void> =>
  Effect.andThen(
    step("list_del_rcu", [name], () => listDelete(of.rmapNotifiers, name)),
    synchronize(of),
  )

/** `mmu_rmap_export_page`, the page locked: from here on the rmap notifiers are asked for it. */
export const mmuRmapExportPage = (of: Machine, frame: Frame): Effect.Effect<void> =>
  step("mmu_rmap_export_page", [frame.pfn], () => {
    at(of.rmapExternal, frame.pfn).value = true
  })

/** `PageRmapExternal` */
export const pageRmapExternal = (of: Machine, frame: Frame, by: RmapCaller): Effect.Effect<boolean> =>
  step("PageRmapExternal", [frame.pfn, by], () => at(of.rmapExternal, frame.pfn).value)

/**
 * `mmu_rmap_notifier(invalidate_page, page)`: whether all have let go of the page. As published the list is walked under
 * `rcu_read_lock`, although the reason for it is that the callback sleeps.
 */
export const rmapInvalidatePage = (of: Machine, frame: Frame, by: RmapCaller): Effect.Effect<boolean> =>
  Effect.map(
    callNotifiers(of, of.rmapNotifiers, "srcu", "rmap invalidate_page", [frame.pfn], (ops) =>
      ops.invalidatePage(frame, by),
    ),
    (answers) => !answers.includes(false),
  )
