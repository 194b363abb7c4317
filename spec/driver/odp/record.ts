/**
 * The record of what becomes of child regions: what the properties need to remember and the protocol does not. Recorded
 * from outside, in cells of its own, in the same instant as the step that it is about.
 */
import { cell, type Monitor } from "../../../checker/index.ts"
import type { OdpMr } from "../../../model/driver/mlx5Odp.ts"

export interface OdpRecord {
  /** A worker's destruction of a child that another one has begun or finished, in words. */
  readonly slip: { readonly value: string }
  /** How often a worker has begun. */
  readonly monitor: Monitor
}

/** Makes the record. */
export const recordOdp = (mrs: ReadonlyArray<OdpMr>): OdpRecord => {
  const slip = cell("slip", "")
  /** The last of a place's lives that a worker has begun to end. */
  const ended = new Map(mrs.map(({ name }) => [name, cell(`ended.${name}`, 0)]))
  const monitor: Monitor = {
    free_implicit_child_mr_work: ({ fiber, args }) => {
      const [name, life] = [String(args[0]), Number(args[1])]
      const last = ended.get(name)
      if (last === undefined) return
      if (last.value >= life) slip.value = `${fiber} destroys ${name}, which a worker has destroyed or is destroying`
      last.value = life
    },
  }
  return { slip, monitor }
}
