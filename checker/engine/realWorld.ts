/**
 * Keeps real time, real randomness and timers out of programs under check: while program code runs, the globals that
 * reach them blame the running fiber instead, or make the setup fail. Code that is not a program's gets the real ones.
 */
import nodeCrypto from "node:crypto"
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { breakRule, runtime } from "../program/runtime.ts"

/** Whether the code that is running is a program's: a fiber's, a property's, or a scenario's setup. */
const ofProgram = (): boolean => runtime.actor !== undefined || runtime.setup !== undefined

const differs = "is the real world's: two runs would differ"
const ends = "would end the checker"

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

/** Each global, the object that holds it and what stands in its place. `fs.writeSync` is left, for debugging. */
const guards: ReadonlyArray<Guard> = [
  { holder: globalThis, key: "Date", value: GuardedDate },
  ...forbidIn("Date", Date, ["now"]),
  ...forbidIn("performance", performance, ["now"]),
  ...forbidIn("Math", Math, ["random"]),
  ...(["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch"] as const).map((key) => ({
    holder: globalThis,
    key,
    value: forbid(key, globalThis[key]),
  })),
  ...forbidIn("process.hrtime", process.hrtime, ["bigint"]),
  ...forbidIn("process.memoryUsage", process.memoryUsage, ["rss"]),
  ...forbidIn("process", process, ["hrtime", "uptime", "memoryUsage", "cpuUsage", "nextTick"]),
  ...forbidIn("process", process, ["exit", "abort", "kill"], ends),
  ...forbidIn("console", console, ["log", "info", "warn", "error", "debug", "table", "dir"]),
  ...forbidIn("crypto", crypto, ["randomUUID", "getRandomValues"]),
  ...forbidIn("crypto", nodeCrypto, ["randomBytes", "randomUUID", "randomInt"]),
  { holder: fs, key: "readFileSync", value: forbid("fs.readFileSync()", fs.readFileSync, differs, isSourceMap) },
  ...forbidIn("fs", fs, [
    "writeFileSync",
    "appendFileSync",
    "existsSync",
    "readdirSync",
    "statSync",
    "mkdirSync",
    "rmSync",
  ]),
]

/** Whether the guards are up. */
let up = false

const putUp = (): void => {
  for (const { holder, key, value } of guards) {
    Object.defineProperty(holder, key, { value, configurable: true, writable: true, enumerable: false })
  }
  syncBuiltinESMExports()
  up = true
}

/**
 * Puts the guards up for the rest of the process: a program that is loaded afterwards, and takes a function out of its
 * object while it is, gets the guarded one.
 */
export const keepOutRealWorld = (): void => {
  if (!up) putUp()
}

/** Runs a stretch of exploration, all of it synchronous, with the guards up. */
export const withoutRealWorld = <A>(run: () => A): A => {
  if (up) return run()
  const before = guards.map(({ holder, key }) => Object.getOwnPropertyDescriptor(holder, key))
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
    up = false
  }
}
