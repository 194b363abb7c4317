/** What seeded bugs of the memory-management core do at a step: ways that several of them share. */
import * as Effect from "effect/Effect"
import { changeBody, type Operation, type Replacement, step } from "../../../checker/index.ts"
import { folioPut, folioTryGet } from "../../../model/mm/folio.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { at } from "../../../model/mm/range.ts"
import { mmOf } from "../../../model/mm/rmap.ts"
import type { MmWorld } from "../world.ts"

/** The smallest bound: no device. */
export const alone = { devices: 0 }

/** The address space and the page that a step is about: the first two arguments of most. */
export const placeOf = ({ system }: MmWorld, { args }: Operation): { readonly mm: Mm; readonly va: number } => ({
  mm: mmOf(system, String(args[0])),
  va: Number(args[1]),
})

/** The step is taken as if no page were pinned. */
export const blindToPins = ({ folios }: MmWorld): Replacement =>
  changeBody((operation) => {
    const pinned = folios.arena.slots.filter(({ pincount }) => pincount > 0)
    const pins = pinned.map(({ pincount }) => pincount)
    for (const folio of pinned) folio.pincount = 0
    const result = operation.body()
    for (const [position, folio] of pinned.entries()) folio.pincount = pins[position] ?? 0
    return result
  })

/** The step is taken, and flushes no TLB. */
export const withoutFlush = (world: MmWorld, when: (mm: Mm, va: number) => boolean = () => true): Replacement =>
  changeBody((operation) => {
    const { mm, va } = placeOf(world, operation)
    const keeps = when(mm, va)
    const cached = [...mm.tlbs.values()].map((cache) => at(cache, va))
    const before = cached.map(({ value }) => value)
    const result = operation.body()
    if (keeps) for (const [position, entry] of cached.entries()) entry.value = before[position] ?? null
    return result
  })

/** The step is taken, and then something else. */
export const andThen =
  (next: (operation: Operation) => Effect.Effect<unknown>): Replacement =>
  (original, operation) =>
    Effect.tap(original, () => next(operation))

/** Who waits for a page that is being moved refers to it meanwhile. */
export const holdingReference =
  ({ folios, parent }: MmWorld): Replacement =>
  (original, { args }) =>
    Effect.gen(function* () {
      const held = yield* step("migration_entry_wait: folio_try_get", args, () =>
        parent.pte.some(({ value }) => value?.kind === "migration") ? folioTryGet(folios, Number(args[0])) : null,
      )
      const result = yield* original
      if (held !== null) yield* step("migration_entry_wait: folio_put", args, () => folioPut(folios, held))
      return result
    })
