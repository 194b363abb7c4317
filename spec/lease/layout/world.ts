/** A server with a file on a device that its clients share, what it does with the file itself, and those clients. */
import * as Effect from "effect/Effect"
import { type Cell, cell, type Monitor, type Setup, self, step } from "../../../checker/index.ts"
import {
  blWritePagelist,
  nfs4CallbackLayoutrecall,
  type PnfsClient,
  pnfsClient,
  pnfsReturnLayout,
  pnfsUpdateLayout,
  writeAnyhow,
} from "../../../model/driver/pnfsClient.ts"
import { awake, type Clock, clockOf, ticking } from "../../../model/lease/clock.ts"
import { type Design, type Export, exportOf, nfsd4LayoutFenceWorker } from "../../../model/lease/nfsdLayouts.ts"
import { type XfsInode, xfsInode, xfsMount } from "../../../model/lease/xfsFile.ts"
import { type LayoutRecord, layoutRecord, writesMonitor } from "./record.ts"

/** What the properties and seeded bugs of layouts see. */
export interface LayoutWorld {
  readonly file: XfsInode
  /** Another file of the same file system: it takes blocks that become free. */
  readonly other: XfsInode
  readonly server: Export
  readonly clients: ReadonlyArray<PnfsClient>
  readonly clock: Clock
  readonly record: LayoutRecord
  readonly ticks: Ticks
}

/** Times, in ticks. */
export interface Ticks {
  /** `lease_break_time` */
  readonly leaseBreak: number
  /** How long fencing takes. */
  readonly fence: number
  /** How often the device refuses it at first. */
  readonly failures?: number
  /** How long the run goes on; 0 is without time. */
  readonly end: number
}

/** What a client's thread does. */
export type ClientProgram = (client: PnfsClient, mayFail: boolean) => Effect.Effect<unknown, unknown>

/** What a thread of the server does with the files, or one more thread of a client. */
export type LocalProgram = (
  file: XfsInode,
  other: XfsInode,
  clients: ReadonlyArray<PnfsClient>,
) => Effect.Effect<unknown, unknown>

export interface Shape {
  /** Blocks of the file, of which so many are written at the beginning. */
  readonly length?: number
  readonly written?: number
  readonly clients: ReadonlyArray<ClientProgram>
  /** Whether the first client hears what the server wants of it. */
  readonly answers?: boolean
  readonly local: { readonly [fiber: string]: LocalProgram }
  readonly ticks?: Ticks
  /** Whether the workers that fence clients come to it; where time passes. */
  readonly fences?: boolean
  /** Time passes only when everybody waits for it. */
  readonly prompt?: boolean
  readonly design?: Design
  /** Whether invalidating the page cache may fail. */
  readonly mayFail?: boolean
  /** Whether the clients have looked the device up before. */
  readonly knowsDevice?: boolean
  readonly dax?: boolean
  /** Shared mappings that allow stores, from the beginning on. */
  readonly mmapWritable?: number
  /** Whether to remember what was written last. */
  readonly remembers?: boolean
}

const noTime: Ticks = { leaseBreak: 1, fence: 0, end: 0 }

/** Makes it. */
export const layoutWorld = (shape: Shape): Setup<LayoutWorld> => {
  const { length = 1, written = 1, ticks = noTime, design = "fenced" } = shape
  const names = shape.clients.map((_, position) => `client${position}`)
  const threads = [...names, ...Object.keys(shape.local)]
  const fences = names.map((name) => `fence-${name}`)
  const clock = clockOf("clock", ticks.end, [...threads, ...fences])
  const server = exportOf("file", names, clock, ticks.leaseBreak, design)
  const mount = xfsMount(length + 1)
  const file = xfsInode(mount, "file", length, written, server.leases, shape.dax)
  const other = xfsInode(mount, "other", length + 1, 0, null)
  file.state.mmapWritable = shape.mmapWritable ?? 0
  const clients = names.map((name) => pnfsClient(name, server, file, shape.knowsDevice === false ? -1 : 0))
  const running = cell<ReadonlyArray<string>>("running", threads)
  const over = () => running.value.length === 0
  const asleep = (fiber: string) => (clock.alarms.get(fiber)?.value ?? awake) !== awake
  const blocked = (name: string) => server.leases.blocked.value.some(({ fiber }) => fiber === name)
  const waitsForTime = () =>
    running.value.every((fiber) => asleep(fiber) && blocked(fiber)) &&
    names.every((name) => server.stateids.get(name)?.state.fenceWork !== true || asleep(`fence-${name}`))

  const { record, monitor } = layoutRecord({ file, other, server, clients, clock })
  const mayFail = shape.mayFail === true
  const fibers: Record<string, Effect.Effect<unknown, unknown>> = {
    ...Object.fromEntries(
      clients.flatMap((client, position) => {
        const program = shape.clients[position]
        return program === undefined ? [] : [[client.name, ending(running, program(client, mayFail))] as const]
      }),
    ),
    ...Object.fromEntries(
      Object.entries(shape.local).map(([name, does]) => [name, ending(running, does(file, other, clients))] as const),
    ),
    ...Object.fromEntries(
      clients
        .filter((_, position) => position > 0 || shape.answers !== false)
        .map((client) => [`${client.name}-cb`, nfs4CallbackLayoutrecall(client, over)] as const),
    ),
    ...(ticks.end === 0
      ? {}
      : {
          clock: ticking(clock, shape.prompt === true ? waitsForTime : undefined),
          ...Object.fromEntries(
            (shape.fences === false ? [] : names).map((name) => [
              `fence-${name}`,
              nfsd4LayoutFenceWorker(
                server,
                file,
                name,
                ticks.fence,
                () => over() || clock.state.jiffies === ticks.end,
                ticks.failures,
              ),
            ]),
          ),
        }),
  }
  const monitors: ReadonlyArray<Monitor> = [
    monitor,
    ...(shape.remembers === true ? [writesMonitor(record.written)] : []),
  ]
  return { world: { file, other, server, clients, clock, record, ticks }, fibers, monitors }
}

/** What a thread does; then it is through. */
const ending = (running: Cell<ReadonlyArray<string>>, does: Effect.Effect<unknown, unknown>) =>
  Effect.andThen(
    does,
    step("exit", () => {
      running.value = running.value.filter((name) => name !== self())
    }),
  )

/** A client that writes a block on the device, if it is given it, and returns it by itself or keeps it until it is told. */
export const writes =
  (index = 0, returns = false): ClientProgram =>
  (client, mayFail) =>
    Effect.gen(function* () {
      yield* pnfsUpdateLayout(client, index, mayFail)
      yield* blWritePagelist(client, index, client.name)
      if (returns) yield* pnfsReturnLayout(client)
    })

/** A client that asks for a block, and returns it. */
export const asks: ClientProgram = (client, mayFail) =>
  Effect.andThen(pnfsUpdateLayout(client, 0, mayFail), pnfsReturnLayout(client))

/** A client that asks for a block, and writes it in whichever way it may. */
export const fallsBack: ClientProgram = (client, mayFail) =>
  Effect.gen(function* () {
    yield* pnfsUpdateLayout(client, 0, mayFail)
    const done = yield* writeAnyhow(client, 0, client.name)
    yield* step("nfs_writeback_done", [client.name, done], () => undefined)
  })
