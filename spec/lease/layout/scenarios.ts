import * as Effect from "effect/Effect"
import { choose, step } from "../../../checker/index.ts"
import {
  blReadPagelist,
  blWritePagelist,
  pnfsLayoutcommit,
  pnfsReturnLayout,
  pnfsUpdateLayout,
} from "../../../model/driver/pnfsClient.ts"
import { nfsd4Layoutcommit } from "../../../model/lease/nfsdLayouts.ts"
import {
  mmapStore,
  munmapFile,
  xfsAppend,
  xfsFileBufferedRead,
  xfsFileBufferedWrite,
  xfsPunchHole,
  xfsReflinkRemap,
  xfsSetattrSize,
} from "../../../model/lease/xfsOperations.ts"
import { parameter, scenariosOf } from "../../define.ts"
import { breakEnds, exactly, fallBack, forEver, layoutProperties, leaseBroken } from "./properties.ts"
import { asks, type ClientProgram, fallsBack, type LocalProgram, layoutWorld, writes } from "./world.ts"

const define = scenariosOf("lease/layout", layoutWorld, layoutProperties)

/** Truncates the file to nothing; its blocks go to another one. */
const truncates: LocalProgram = (file, other) => Effect.andThen(xfsSetattrSize(file, 0), xfsAppend(other, "other"))

/** The scenario of the issue: one client, one truncation, a second grant. */
export const race = define(
  "race",
  "a client writes, and keeps its layout until it is recalled; another asks for one; the file is truncated",
  { second: parameter("whether there is the second client", 1, 1, 0) },
  ({ second }) => ({
    clients: second === 1 ? [writes(), asks] : [writes()],
    local: { cpu0: truncates },
  }),
  [breakEnds, leaseBroken],
)

/** What the server may do with its file. */
const anyOperation: LocalProgram = (file, other) =>
  Effect.gen(function* () {
    const operation = yield* choose("operation", ["truncate", "punch", "reflink", "write"])
    if (operation === "truncate") yield* xfsSetattrSize(file, 0)
    if (operation === "punch") yield* xfsPunchHole(file, { start: 0, end: 1 })
    if (operation === "reflink") yield* xfsReflinkRemap(file, other)
    if (operation === "write") yield* xfsFileBufferedWrite(file, 0, "cpu0")
    else yield* xfsAppend(other, "other")
  })

export const operations = define(
  "operations",
  "a client writes to a hole or a block of a file that the server truncates, punches a hole into, clones or writes to",
  { written: parameter("blocks of the file that are written at first", 1, 1, 0) },
  ({ written }) => ({ written, clients: [again], local: { cpu0: anyOperation } }),
  [breakEnds, leaseBroken],
)

/** A client that writes and returns its layout, and once more. */
const again: ClientProgram = (client) =>
  Effect.gen(function* () {
    yield* writes(0, true)(client, false)
    yield* writes()(client, false)
  })

/** A client that writes, returns its layout or not, and writes once more. */
const twice: ClientProgram = (client, mayFail) =>
  Effect.gen(function* () {
    yield* pnfsUpdateLayout(client, 0, mayFail)
    yield* blWritePagelist(client, 0, client.name)
    if (yield* choose("return", [true, false])) yield* pnfsReturnLayout(client)
    yield* pnfsUpdateLayout(client, 0, mayFail)
    yield* blWritePagelist(client, 0, client.name)
  })

/** A client that never answers, and time, which passes whenever it likes. */
export const silent = define(
  "silent",
  "a client writes again and again and does not hear of recalls; the file is truncated and its block goes to another",
  {
    leaseBreak: parameter("lease_break_time, in ticks", 1, 5),
    fences: parameter("whether the worker that fences comes to it", 1, 1, 0),
    fence: parameter("how long fencing takes, in ticks", 1, 5, 0),
    end: parameter("when whoever still waits is interrupted, in ticks", 5, 30),
  },
  ({ fences, ...ticks }) => ({
    clients: [late],
    answers: false,
    fences: fences === 1,
    local: { cpu0: truncates },
    ticks,
  }),
  [breakEnds],
)

const late: ClientProgram = (client) =>
  Effect.gen(function* () {
    yield* pnfsUpdateLayout(client, 0)
    yield* blWritePagelist(client, 0, client.name)
    yield* blWritePagelist(client, 0, client.name)
    yield* pnfsLayoutcommit(client)
  })

const times = {
  leaseBreak: parameter("lease_break_time, in ticks", 5, 60),
  end: parameter("when whoever still waits is interrupted, in ticks", 20, 200),
}

/** How long it takes, with nobody slower than need be. */
export const bounded = define(
  "time-fenced",
  "how long a truncation waits for a client that never answers, where such a client is fenced",
  { ...times, fence: parameter("how long fencing takes, in ticks", 2, 60, 0) },
  (ticks) => ({ clients: [writes()], answers: false, local: { cpu0: truncates }, ticks, prompt: true }),
  [exactly, breakEnds],
)

/** Fencing is tried until it succeeds: a lease that went before would leave the client with a device that others write to. */
export const refused = define(
  "fence-refused",
  "how long a truncation waits for a client that never answers, where the device refuses to fence it at first",
  {
    leaseBreak: parameter("lease_break_time, in ticks", 5, 60),
    end: parameter("when whoever still waits is interrupted, in ticks", 30, 200),
    fence: parameter("how long each attempt takes, in ticks", 2, 60, 0),
    failures: parameter("attempts that are refused", 2, 4),
  },
  (ticks) => ({ clients: [writes()], answers: false, local: { cpu0: truncates }, ticks, prompt: true }),
  [exactly, breakEnds],
)

export const unbounded = define(
  "time-old",
  "how long a truncation waits for a client that never answers, where break_time is 0",
  times,
  (ticks) => ({
    clients: [writes()],
    answers: false,
    local: { cpu0: truncates },
    ticks: { ...ticks, fence: 0 },
    prompt: true,
    design: "break_time 0",
  }),
  [forEver, breakEnds],
)

/** Two layouts under one stateid: numbers matter. */
export const segments = define(
  "segments",
  "a client asks for one block after the other while the first is recalled",
  { growing: parameter("blocks that are not written yet", 1, 1, 0) },
  ({ growing }) => ({ length: 2, written: 2 - growing, clients: [both], local: { cpu0: truncates } }),
  [breakEnds, leaseBroken],
)

const both: ClientProgram = (client) =>
  Effect.gen(function* () {
    yield* pnfsUpdateLayout(client, 0)
    yield* pnfsUpdateLayout(client, 1)
    yield* blReadPagelist(client, 0)
    yield* blWritePagelist(client, 1, client.name)
  })

/** A client that goes through the server as well: the server then recalls what the client has. */
export const ownWrite = define(
  "own-write",
  "a client that has a layout writes through the server, or has it truncate the file",
  {},
  () => ({ clients: [throughServer], local: {} }),
  [leaseBroken],
)

const throughServer: ClientProgram = (client) =>
  Effect.gen(function* () {
    yield* pnfsUpdateLayout(client, 0)
    const call = yield* choose("call", ["WRITE", "SETATTR"])
    if (call === "WRITE") yield* xfsFileBufferedWrite(client.file, 0, client.name)
    else yield* xfsSetattrSize(client.file, 0)
  })

/** Two threads of one client: nothing new begins with what one gives back, and nothing is asked for meanwhile. */
export const twoThreads = define(
  "two-threads",
  "a thread of a client asks for a block and writes it while another returns the layout",
  {},
  () => ({
    clients: [asks],
    local: { "client0.1": (_file, _other, clients) => Effect.all(clients.map((client) => writes()(client, false))) },
  }),
)

/** Layouts, and references to memory: two kinds of things to be broken. */
export const twoKinds = define(
  "two-kinds",
  "a file that is memory is truncated while a client asks for a layout and a process pins its page",
  { answers: parameter("whether the client hears of recalls", 1, 1, 0) },
  ({ answers }) => ({
    dax: true,
    clients: [writes(0, true)],
    answers: answers === 1,
    local: { cpu0: truncates, gup: pins },
  }),
  [breakEnds],
)

/** Faults, and with them pins, are kept out while the lock is held. */
const pins: LocalProgram = (file) =>
  Effect.gen(function* () {
    const pinned = yield* step("pin_user_pages", [file.name], () => {
      if (file.iolock.state.writer !== "" || file.state.size === 0) return false
      file.state.pins++
      return true
    })
    if (!pinned) return
    yield* step("unpin_user_page", [file.name], () => {
      file.state.pins--
    })
  })

/** Stores through a shared mapping, and loads through the page cache. */
export const mapped = define(
  "mmap",
  "a process stores to the file through a shared mapping while a client asks for its blocks",
  {},
  () => ({
    clients: [twice],
    mmapWritable: 1,
    local: {
      cpu0: (file) =>
        Effect.andThen(mmapStore(file, 0, "cpu0"), Effect.andThen(munmapFile(file), xfsFileBufferedRead(file, 0))),
    },
  }),
)

/** What is cut off was in the page cache. */
export const cached = define(
  "cached",
  "the server writes to the file by the page cache, and truncates it or punches a hole into it, while a client asks for its block",
  {},
  () => ({
    clients: [asks],
    local: {
      cpu0: (file) =>
        Effect.gen(function* () {
          yield* xfsFileBufferedWrite(file, 0, "cpu0")
          const call = yield* choose("call", ["ftruncate", "fallocate(FALLOC_FL_PUNCH_HOLE)"])
          if (call === "ftruncate") yield* xfsSetattrSize(file, 0)
          else yield* xfsPunchHole(file, { start: 0, end: 1 })
        }),
    },
  }),
  [breakEnds],
)

/** A device that is laid out anew. */
export const generations = define(
  "generations",
  "the file system grows while a client asks for layouts; one attempt to invalidate the page cache may fail",
  { grows: parameter("whether the file system grows", 1, 1, 0) },
  ({ grows }) => ({
    clients: [twice],
    // Nobody recalls anything.
    answers: false,
    mayFail: true,
    knowsDevice: false,
    local: grows === 1 ? { cpu0: growsFileSystem } : {},
  }),
)

const growsFileSystem: LocalProgram = (file) =>
  step("xfs_growfs_data", () => {
    file.mount.state.generation = 1
  })

/** A client that says how large the file is now, whether it has written that far or not. */
export const sizes = define(
  "sizes",
  "a client that was given a block behind the end of the file has the file grow to there, while the server truncates it",
  {},
  () => ({ length: 2, written: 1, clients: [claims], local: { cpu0: truncates } }),
  [breakEnds],
)

const claims: ClientProgram = (client) =>
  Effect.gen(function* () {
    yield* pnfsUpdateLayout(client, 1)
    const written = (yield* choose("write", [true, false])) && (yield* blWritePagelist(client, 1, client.name))
    yield* nfsd4Layoutcommit(client.server, client.file, client.name, written ? [1] : [], 2)
  })

/** What is refused before anything is locked. */
export const rejects = define(
  "rejects",
  "a client asks for a block, maybe of a realtime file, while the file system is shut down",
  {},
  () => ({
    clients: [
      (client, mayFail) =>
        Effect.gen(function* () {
          const realtime = yield* choose("XFS_IS_REALTIME_INODE", [false, true])
          yield* step("openat", [realtime], () => {
            client.file.state.realtime = realtime
          })
          yield* asks(client, mayFail)
          yield* asks(client, mayFail)
        }),
    ],
    local: {
      cpu0: (file) =>
        step("xfs_force_shutdown", () => {
          file.mount.state.shutdown = true
        }),
    },
  }),
)

/** Nobody needs a layout: the server is there for those who have none. */
export const fallingBack = define(
  "fall-back",
  "clients write a block by themselves where they may, and by the server where not",
  { clients: parameter("clients", 2, 2) },
  ({ clients }) => ({ clients: Array.from({ length: clients }, () => fallsBack), local: {}, remembers: true }),
  [...fallBack, leaseBroken],
)

export const layoutScenarios = [
  race,
  operations,
  silent,
  bounded,
  refused,
  unbounded,
  segments,
  ownWrite,
  twoThreads,
  twoKinds,
  mapped,
  cached,
  generations,
  sizes,
  rejects,
  fallingBack,
]
