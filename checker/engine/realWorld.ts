/**
 * Keeps real time, real randomness and timers out of programs under check: while program code runs, the globals that
 * reach them blame the running fiber instead, or make the setup fail. Code that is not a program's gets the real ones.
 *
 * Promises are made by syntax as well as by functions, so it is Node that tells of them. What waits for one would never
 * go on here, for no execution lasts until it is kept: so it is not enough to see who waits at the end.
 */
import childProcess from "node:child_process"
import nodeCrypto from "node:crypto"
import dns from "node:dns"
import fs from "node:fs"
import http from "node:http"
import https from "node:https"
import { syncBuiltinESMExports } from "node:module"
import net from "node:net"
import os from "node:os"
import timers from "node:timers"
import timersPromises from "node:timers/promises"
import { promiseHooks } from "node:v8"
import workerThreads from "node:worker_threads"
import { blamePromise, breakRule, runtime } from "../program/runtime.ts"

/** Whether the code that is running is a program's: a fiber's, a property's, or a scenario's setup. */
const ofProgram = (): boolean => runtime.actor !== undefined || runtime.setup !== undefined

const differs = "is the real world's: two runs would differ"
const ends = "would end the checker"
const collected = "tells when memory is collected: two runs would differ"
const outlives = "is the real world's, and would be there in the next run"

/** A function that is itself, own properties and all, to everybody but a program. */
const forbid = (
  name: string,
  real: (...args: Array<never>) => unknown,
  why = differs,
  except: (argument: unknown) => boolean = () => false,
): unknown =>
  new Proxy(real, {
    apply: (target, self, args) =>
      ofProgram() && !except(args[0]) ? breakRule(`${name} ${why}`) : Reflect.apply(target, self, args),
  })

/** Node reads these through `node:fs` itself, some versions only when somebody looks at an error's stack. */
const isSourceMap = (file: unknown): boolean => typeof file === "string" && file.endsWith(".js.map")

const RealDate = Date
const GuardedDate = new Proxy(RealDate, {
  construct: (target, args, newTarget) => {
    if (args.length === 0 && ofProgram()) return breakRule(`new Date() ${differs}`)
    return Reflect.construct(target, args, newTarget)
  },
  apply: (target, self, args) => {
    if (ofProgram()) return breakRule(`Date() ${differs}`)
    return Reflect.apply(target, self, args)
  },
})

/** A class of which a program may make no instance. */
const forbidNew = (name: string, real: new (...args: Array<never>) => object, why = differs): unknown =>
  new Proxy(real, {
    construct: (target, args, newTarget) =>
      ofProgram() ? breakRule(`new ${name}() ${why}`) : Reflect.construct(target, args, newTarget),
  })

/** An object that a program may read and not change. */
const forbidChange = <A extends object>(name: string, real: A): A => {
  const refuse = (key: string | symbol) => breakRule(`${name}.${String(key)} is changed: it ${outlives}`)
  return new Proxy(real, {
    set: (target, key, value) => (ofProgram() ? refuse(key) : Reflect.set(target, key, value)),
    deleteProperty: (target, key) => (ofProgram() ? refuse(key) : Reflect.deleteProperty(target, key)),
    defineProperty: (target, key, to) => (ofProgram() ? refuse(key) : Reflect.defineProperty(target, key, to)),
  })
}

interface Guard {
  readonly holder: object
  readonly key: string
  readonly value: unknown
}

/** Guards for functions of one object, which messages call `name`. */
const forbidIn = <Key extends string>(
  name: string,
  holder: { readonly [key in Key]: (...args: Array<never>) => unknown },
  keys: ReadonlyArray<Key>,
  why = differs,
): ReadonlyArray<Guard> => keys.map((key) => ({ holder, key, value: forbid(`${name}.${key}()`, holder[key], why) }))

/** What `node:fs` has with a callback and `node:fs/promises` with a promise. */
const fileCalls = [
  "access",
  "appendFile",
  "chmod",
  "copyFile",
  "cp",
  "link",
  "lstat",
  "mkdir",
  "mkdtemp",
  "open",
  "opendir",
  "readFile",
  "readdir",
  "readlink",
  "realpath",
  "rename",
  "rm",
  "stat",
  "symlink",
  "truncate",
  "unlink",
  "utimes",
  "watch",
  "writeFile",
] as const

/** Each global, the object that holds it and what stands in its place. `fs.writeSync` is left, for debugging. */
const guards: ReadonlyArray<Guard> = [
  { holder: globalThis, key: "Date", value: GuardedDate },
  ...forbidIn("Date", Date, ["now"]),
  ...forbidIn("performance", performance, ["now", "mark", "measure", "eventLoopUtilization", "toJSON"]),
  ...forbidIn("Math", Math, ["random"]),
  ...(["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch"] as const).map((key) => ({
    holder: globalThis,
    key,
    value: forbid(key, globalThis[key]),
  })),
  ...forbidIn("timers", timers, ["setTimeout", "setInterval", "setImmediate"]),
  ...forbidIn("timers", timersPromises, ["setTimeout", "setInterval", "setImmediate"]),
  ...(["WeakRef", "FinalizationRegistry"] as const).map((key) => ({
    holder: globalThis,
    key,
    value: forbidNew(key, globalThis[key], collected),
  })),
  ...(["MessageChannel", "BroadcastChannel"] as const).map((key) => ({
    holder: globalThis,
    key,
    value: forbidNew(key, globalThis[key]),
  })),
  ...forbidIn("AbortSignal", AbortSignal, ["timeout"]),
  ...forbidIn("Atomics", Atomics, ["wait", "notify"]),
  ...forbidIn("process.hrtime", process.hrtime, ["bigint"]),
  ...forbidIn("process.memoryUsage", process.memoryUsage, ["rss"]),
  ...forbidIn("process", process, ["hrtime", "uptime", "memoryUsage", "cpuUsage", "resourceUsage", "nextTick"]),
  ...forbidIn("process", process, ["exit", "abort", "kill"], ends),
  ...forbidIn("process", process, ["chdir", "on", "once"], outlives),
  // What the command line has put in the place of these, when the guards go up, stays behind them.
  ...(["stdout", "stderr"] as const).map((key) => ({
    holder: process[key],
    key: "write",
    get value() {
      return forbid(`process.${key}.write()`, process[key].write, outlives)
    },
  })),
  { holder: process, key: "env", value: forbidChange("process.env", process.env) },
  ...forbidIn("console", console, ["log", "info", "warn", "error", "debug", "table", "dir", "trace"]),
  ...forbidIn("console", console, ["time", "timeEnd", "timeLog", "count", "countReset", "group", "groupEnd"]),
  ...forbidIn("crypto", crypto, ["randomUUID", "getRandomValues"]),
  ...forbidIn("crypto", nodeCrypto, [
    "randomBytes",
    "randomUUID",
    "randomInt",
    "randomFillSync",
    "randomFill",
    "generateKeySync",
    "generateKeyPairSync",
    "generateKey",
    "generateKeyPair",
    "pbkdf2",
    "scrypt",
    "hkdf",
  ]),
  { holder: fs, key: "readFileSync", value: forbid("fs.readFileSync()", fs.readFileSync, differs, isSourceMap) },
  ...forbidIn("fs", fs, [
    "writeFileSync",
    "appendFileSync",
    "existsSync",
    "readdirSync",
    "statSync",
    "mkdirSync",
    "rmSync",
    "unlinkSync",
    "renameSync",
    "copyFileSync",
    "mkdtempSync",
    "openSync",
    "accessSync",
    ...fileCalls,
    "createReadStream",
    "createWriteStream",
  ]),
  ...forbidIn("fs.promises", fs.promises, fileCalls),
  ...forbidIn("child_process", childProcess, [
    "exec",
    "execFile",
    "execFileSync",
    "execSync",
    "fork",
    "spawn",
    "spawnSync",
  ]),
  { holder: workerThreads, key: "Worker", value: forbidNew("Worker", workerThreads.Worker) },
  ...forbidIn("net", net, ["connect", "createConnection", "createServer"]),
  ...forbidIn("http", http, ["get", "request", "createServer"]),
  ...forbidIn("https", https, ["get", "request", "createServer"]),
  ...forbidIn("dns", dns, ["lookup", "lookupService", "resolve", "resolve4", "resolve6", "reverse"]),
  ...forbidIn("os", os, ["freemem", "loadavg", "uptime"]),
]

/** What each guard has put in the place of its global; nothing while the guards are down. */
let inPlace: ReadonlyArray<unknown> = []

/** Whether the guards are up, and nobody has put anything else in their place, such as the timers of a test. */
const areUp = (): boolean =>
  inPlace.length > 0 && guards.every(({ holder, key }, position) => Reflect.get(holder, key) === inPlace[position])

const putUp = (): void => {
  inPlace = guards.map(({ holder, key, value }) => {
    Object.defineProperty(holder, key, { value, configurable: true, writable: true, enumerable: false })
    return value
  })
  syncBuiltinESMExports()
}

/** Lets nobody make promises. @returns what takes that back */
const keepOutPromises = (): (() => void) => {
  const stop = promiseHooks.onInit(blamePromise)
  return () => stop()
}

/**
 * Puts the guards up for the rest of the process: a program that is loaded afterwards, and takes a function out of its
 * object while it is, gets the guarded one.
 */
export const keepOutRealWorld = (): void => {
  if (inPlace.length > 0) return
  putUp()
  keepOutPromises()
}

/** Runs a stretch of exploration, all of it synchronous, with the guards up. */
export const withoutRealWorld = <A>(run: () => A): A => {
  if (areUp()) return run()
  const before = guards.map(({ holder, key }) => Object.getOwnPropertyDescriptor(holder, key))
  const inPlaceBefore = inPlace
  const allowPromises = inPlace.length > 0 ? undefined : keepOutPromises()
  putUp()
  try {
    return run()
  } finally {
    guards.forEach(({ holder, key }, position) => {
      const descriptor = before[position]
      if (descriptor === undefined) Reflect.deleteProperty(holder, key)
      else Object.defineProperty(holder, key, descriptor)
    })
    syncBuiltinESMExports()
    allowPromises?.()
    inPlace = inPlaceBefore
  }
}
