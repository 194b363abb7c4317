/**
 * How well the model of leases fits: the same operations on a real file, and what comes of each. For those that wait, the
 * system's lease_break_time, which is the whole machine's, is made a second and then what it was; where that is not
 * allowed, nothing here waits.
 */
import { spawnSync } from "node:child_process"
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { afterAll, describe, expect, it } from "vitest"
import { step } from "../../checker/index.ts"
import { breakLease } from "../../model/lease/breakLease.ts"
import { clockOf } from "../../model/lease/clock.ts"
import {
  fcntlGetlease,
  genericAddLease,
  genericDeleteLease,
  getWriteAccess,
  putFileAccess,
  vfsSetlease,
} from "../../model/lease/grantLease.ts"
import { type LeaseContext, leaseAlloc, leaseContext } from "../../model/lease/lease.ts"
import { runAlone } from "../model/alone.ts"

/** An operation on one of three places for open files; the argument is a mode or a type, as lease.c has them. */
type Operation = {
  readonly op: "open" | "block" | "truncate" | "close" | "set" | "get"
  readonly slot: number
  readonly argument: number
}

const eagain = -11
const slots = 3
const setting = "/proc/sys/fs/lease-break-time"

/** What the model makes of a sequence. Of what cannot be asked (an open file opened, a closed one closed) it says `null`. */
const predict = (operations: ReadonlyArray<Operation>): ReadonlyArray<number | null> =>
  runAlone(() => {
    const leases = leaseContext("file", clockOf("clock", 0, []), 45, { lmBreak: (lease) => lease })
    return Effect.gen(function* () {
      const open = new Set<number>()
      const results: Array<number | null> = []
      for (const operation of operations) {
        const { op, slot } = operation
        const possible = op === "truncate" || open.has(slot) === (op !== "open" && op !== "block")
        const result: number | null = possible ? yield* perform(leases, operation) : null
        if ((op === "open" || op === "block") && result === 0) open.add(slot)
        if (op === "close") open.delete(slot)
        results.push(result)
      }
      return results
    })
  })

const perform = Effect.fnUntraced(function* (leases: LeaseContext, { op, slot, argument }: Operation) {
  const owner = `file${slot}`
  if (op === "open") {
    const type = argument === 0 ? "read" : "write"
    yield* getWriteAccess(leases, type, () => owner)
    const broken = yield* breakLease(leases, "lease", type, false)
    if (broken === "0") return 0
    yield* putFileAccess(leases, () => owner)
    return eagain
  }
  if (op === "block" || op === "truncate") {
    // The holder being who waits, nobody gives the lease up: it is overdue one day.
    const type = op === "block" && argument === 0 ? "read" : "write"
    yield* getWriteAccess(leases, type, () => owner)
    yield* breakLease(leases, "lease", type, false)
    yield* step("tick", () => {
      leases.clock.state.jiffies += leases.leaseBreakTime + 1
    })
    const broken = yield* breakLease(leases, "lease", type, true)
    if (op === "truncate") yield* putFileAccess(leases, () => owner)
    return broken === "0" ? 0 : eagain
  }
  if (op === "close") {
    yield* genericDeleteLease(leases, owner)
    yield* putFileAccess(leases, () => owner)
    return 0
  }
  if (op === "get") {
    const type: "read" | "write" | "none" = yield* fcntlGetlease(leases, owner)
    return { read: 0, write: 1, none: 2 }[type]
  }
  if (argument === 2) return (yield* genericDeleteLease(leases, owner)) ? 0 : eagain
  const granted = yield* genericAddLease(leases, leaseAlloc(owner, "lease", argument === 0 ? "read" : "write"))
  return granted === "0" ? 0 : eagain
})

const folder = mkdtempSync(join(tmpdir(), "lease-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const program = join(folder, "lease")

const run = (sequences: ReadonlyArray<ReadonlyArray<Operation>>): ReadonlyArray<number> => {
  const lines = sequences.flatMap((operations) => [
    "new 0 0",
    ...operations.map(({ op, slot, argument }) => `${op} ${slot} ${argument}`),
  ])
  const { status, stdout } = spawnSync(program, [folder], { encoding: "utf8", input: `${lines.join("\n")}\n` })
  if (status !== 0) throw new Error(`the helper ended with ${status}`)
  return stdout.trim().split("\n").map(Number)
}

/** Why nothing can be said here; `undefined` where it can. */
const unable = ((): string | undefined => {
  if (!existsSync(setting)) return "this system has no leases"
  const source = fileURLToPath(new URL("lease.c", import.meta.url))
  const compiled = spawnSync(process.env.CC ?? "cc", ["-O2", "-std=gnu17", "-Wall", "-Wextra", "-o", program, source])
  if (compiled.status !== 0) return "the helper does not compile"
  const [, , set] = run([
    [
      { op: "open", slot: 0, argument: 0 },
      { op: "set", slot: 0, argument: 0 },
    ],
  ])
  return set === 0 ? undefined : "the file system here has no leases"
})()

const isWritable = (() => {
  try {
    accessSync(setting, constants.W_OK)
    return true
  } catch {
    return false
  }
})()

const on = (slot: number, op: Operation["op"], argument = 0): Operation => ({ op, slot, argument })

/** Sequences in which somebody waits until a lease is overdue: one to read goes, one to write may become one to read. */
const overdue: ReadonlyArray<ReadonlyArray<Operation>> = [
  [on(0, "open"), on(0, "set"), on(1, "block", 1), on(0, "get"), on(0, "set"), on(1, "close"), on(0, "set")],
  [
    on(0, "open", 2),
    on(0, "set", 1),
    on(1, "block"),
    on(0, "get"),
    on(2, "open"),
    on(2, "close"),
    on(2, "open", 1),
    on(0, "get"),
  ],
  [
    on(0, "open"),
    on(0, "set"),
    on(1, "open"),
    on(1, "set"),
    on(2, "truncate"),
    on(0, "get"),
    on(1, "get"),
    on(1, "set"),
  ],
  [on(0, "open", 1), on(0, "set", 1), on(1, "open"), on(1, "open", 1), on(0, "get"), on(1, "block"), on(0, "get")],
]

/** Who asks for a lease of what, as lease.c numbers them: an owner, root, a stranger; a file, a device. */
const askers = [0, 1, 2].flatMap((who) => [0, 1].map((kind) => ({ who, kind })))
const numbers = { "0": 0, "-EACCES": -13, "-EINVAL": -22, "-EAGAIN": eagain } as const

const operation = fc.record({
  op: fc.constantFrom("open", "open", "close", "set", "set", "get" as const),
  slot: fc.nat({ max: slots - 1 }),
  argument: fc.nat({ max: 2 }),
})

describe("leases of the kernel that runs here", () => {
  it.skipIf(unable !== undefined)(
    `give the results that the model predicts${unable === undefined ? "" : `: ${unable}`}`,
    () => {
      fc.assert(
        fc.property(fc.array(operation, { minLength: 4, maxLength: 14 }), (operations) => {
          const predicted = predict(operations)
          const asked = operations.filter((_, position) => predicted[position] !== null)
          const [, ...observed] = run([asked])
          expect(observed).toEqual(predicted.filter((result) => result !== null))
        }),
        { numRuns: 400, seed: 7 },
      )
    },
  )

  it.skipIf(unable !== undefined || process.getuid?.() !== 0)(
    `are given to whom it says${process.getuid?.() === 0 ? "" : ": that takes root, to be somebody else"}`,
    () => {
      const predicted = askers.map(({ who, kind }) =>
        runAlone(() => {
          const leases = leaseContext("file", clockOf("clock", 0, []), 45, { lmBreak: (lease) => lease })
          const asker = { owner: who === 0, capLease: who === 1, regular: kind === 0 }
          return vfsSetlease(leases, leaseAlloc("asker", "lease", "read"), asker)
        }),
      )
      const lines = askers.map(({ who, kind }) => `new 0 0\nask ${who} ${kind}\n`).join("")
      const { status, stdout } = spawnSync(program, [folder], { encoding: "utf8", input: lines })
      expect(status).toBe(0)
      const observed = stdout.trim().split("\n").map(Number)
      expect(observed.filter((_, position) => position % 2 === 1)).toEqual(predicted.map((error) => numbers[error]))
    },
  )

  it.skipIf(unable !== undefined || !isWritable)(
    `are taken away when they are overdue, as it predicts${isWritable ? "" : `: ${setting} may not be written`}`,
    () => {
      const before = readFileSync(setting, "utf8")
      try {
        writeFileSync(setting, "1")
        for (const operations of overdue) {
          const [, ...observed] = run([operations])
          expect(observed).toEqual(predict(operations))
        }
      } finally {
        writeFileSync(setting, before)
      }
    },
  )
})
