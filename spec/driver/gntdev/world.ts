import type { Setup } from "../../../checker/index.ts"
import { type GrantMap, grantMap } from "../../../model/driver/gntdev.ts"
import { userptrObject } from "../../../model/driver/i915Userptr.ts"
import { addressSpace } from "../../../model/mm/mm.ts"
import { system } from "../../../model/mm/system.ts"
import { treeInsert } from "../../../model/notifier/interval.ts"
import { names } from "../../define.ts"
import { type Call, invalidator } from "../calls.ts"
import { client, type UserptrWorld } from "../i915-userptr/world.ts"
import { intervalSteps, recordWindows } from "../windows.ts"

/** What the properties and seeded bugs of gntdev see. */
export interface GntdevWorld extends Omit<UserptrWorld, "gpu"> {
  readonly map: GrantMap
}

export interface Shape {
  /** How often a thread submits work on the granted page to a GPU, which pins it. */
  readonly submissions: number
  /** CPUs whose threads of the process invalidate, once each. */
  readonly cpus: number
  readonly calls?: ReadonlyArray<Call>
}

/** A process that maps a page of another domain's, a thread that has a GPU work on it, and others that invalidate. */
export const gntdevWorld = (shape: Shape): Setup<GntdevWorld> => {
  const cpus = names("cpu", shape.cpus)
  const machine = system({ folios: 2, cgroups: ["mm", "child"] })
  const mm = addressSpace(machine, "mm", 1, cpus)
  const child = addressSpace(machine, "child", 1, [], 0)
  mm.state.users = cpus.length + 1
  const map = grantMap(mm, "grant", 0)
  // In the order of names the GPU hears of an invalidation first: from then on its driver waits for the end of it.
  const object = userptrObject(mm, "gpu0", 0, true)
  for (const { name } of [map, object]) treeInsert(mm.subscriptions, name)
  const { windows, monitor } = recordWindows([...cpus, "client0"], intervalSteps)
  const fibers = {
    ...Object.fromEntries(
      cpus.map((cpu, position) => [cpu, invalidator({ mm, child }, position, shape.calls)] as const),
    ),
    client0: client(object, shape.submissions),
  }
  return { world: { mm, map, objects: [object], windows }, fibers, monitors: [monitor] }
}
