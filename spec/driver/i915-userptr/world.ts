import * as Effect from "effect/Effect"
import { type Monitor, type Setup, type Struct, struct } from "../../../checker/index.ts"
import { execbuffer, type UserptrObject, userptrObject, userptrRelease } from "../../../model/driver/i915Userptr.ts"
import { mmput } from "../../../model/mm/exit.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { treeInsert } from "../../../model/notifier/interval.ts"
import { names } from "../../define.ts"
import { type Call, invalidator, processOf } from "../calls.ts"
import { intervalSteps, recordWindows, type Windows } from "../windows.ts"

/** What the properties and seeded bugs of userptr objects see. */
export interface UserptrWorld {
  readonly mm: Mm
  readonly objects: ReadonlyArray<UserptrObject>
  readonly windows: Windows
  readonly gpu: Struct<{
    /** Whether it has ever stored for a request whose fence had been signalled, or to an object with no page. */
    astray: boolean
    hasStored: boolean
  }>
}

export interface Shape {
  readonly pages: number
  /** Threads that submit work on the process's last page, each on an object of its own. */
  readonly clients: number
  /** How often each does. */
  readonly submissions: number
  /** CPUs whose threads of the process invalidate, once each. */
  readonly cpus: number
  readonly calls?: ReadonlyArray<Call>
}

/** A process with its pages present, threads of it that submit work on them, and others that invalidate. */
export const userptrWorld = (shape: Shape): Setup<UserptrWorld> => {
  const cpus = names("cpu", shape.cpus)
  const clients = names("client", shape.clients)
  const process = processOf({ pages: shape.pages, cpus, users: shape.clients, spare: 3 })
  const { mm } = process
  const objects = clients.map((_, position) => userptrObject(mm, `object${position}`, shape.pages - 1))
  for (const { name } of objects) treeInsert(mm.subscriptions, name)
  const { windows, monitor } = recordWindows([...cpus, ...clients], intervalSteps)
  const fibers = [
    ...cpus.map((cpu, position) => [cpu, invalidator(process, position, shape.calls)] as const),
    ...objects.map((object, position) => [`client${position}`, client(object, shape.submissions)] as const),
  ]
  const gpu = struct("gpu", { astray: false, hasStored: false })
  const stores: Monitor = {
    gpu_store: ({ fiber, args }) => {
      const object = objects.find(({ name }) => name === args[0])
      gpu.hasStored = true
      if (object?.state.page == null || !object.state.fences.includes(fiber)) gpu.astray = true
    },
  }
  return { world: { mm, objects, windows, gpu }, fibers: Object.fromEntries(fibers), monitors: [monitor, stores] }
}

/** A thread that submits work, and exits: its files are closed when it has left the address space. */
export const client = Effect.fnUntraced(function* (object: UserptrObject, submissions: number) {
  const { name } = object
  for (let number = 0; number < submissions; number++) {
    if (!(yield* execbuffer(object, `${name}-request${number}`, `${name}.${number}`))) break
  }
  yield* mmput(object.mm)
  yield* userptrRelease(object)
})
