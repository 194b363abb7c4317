/**
 * The record of what becomes of child regions: what the properties need to remember and the protocol does not. Recorded
 * from outside, in cells of its own, in the same instant as the step that it is about.
 */
import { cell, type Monitor } from "../../../checker/index.ts"
import type { OdpMr } from "../../../model/driver/mlx5Odp.ts"

export interface OdpRecord {
  /** A worker's destruction of a child that another one has begun or finished, in words. */
  readonly slip: { readonly value: string }
  /** Regions that were freed, or whose key was kept for reuse, when it was not their turn, in words. */
  readonly keySlip: { readonly value: string }
  readonly monitor: Monitor
}

/** Makes the record. */
export const recordOdp = (mrs: ReadonlyArray<OdpMr>): OdpRecord => {
  const slip = cell("slip", "")
  /** The last of a place's lives that a worker has begun to end. */
  const ended = new Map(mrs.map(({ name }) => [name, cell(`ended.${name}`, 0)]))
  const keySlip = cell("key slip", "")
  const kept = new Map(mrs.map(({ name }) => [name, cell(`kept.${name}`, false)]))
  const monitor: Monitor = {
    cache_ent_find_and_store: ({ args }) => {
      const mr = mrs.find(({ name }) => name === args[0])
      const own = kept.get(String(args[0]))
      if (mr === undefined || own === undefined) return
      own.value = true
      if (mr.mkey.exists) keySlip.value = `The key of ${mr.name} is kept for reuse, and the device knows it`
    },
    kfree: ({ args }) => {
      const own = kept.get(String(args[0]))
      if (own === undefined) return
      if (!own.value) keySlip.value = `${args[0]} is freed, and nobody has its key`
      own.value = false
    },
    free_implicit_child_mr_work: ({ fiber, args }) => {
      const [name, life] = [String(args[0]), Number(args[1])]
      const last = ended.get(name)
      if (last === undefined) return
      if (last.value >= life) slip.value = `${fiber} destroys ${name}, which a worker has destroyed or is destroying`
      last.value = life
    },
  }
  return { slip, keySlip, monitor }
}
