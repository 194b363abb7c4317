/**
 * Keeps real time, real randomness and timers out of programs under check: while program code runs, the globals that
 * reach them blame the running fiber instead, or make the setup fail. Code that is not a program's gets the real ones.
 */
import { breakRule, runtime } from "../program/runtime.ts"

/** Whether the code that is running is a program's: a fiber's, a property's, or a scenario's setup. */
const ofProgram = (): boolean => runtime.actor !== undefined || runtime.setup !== undefined

const forbid = (name: string, real: (...args: Array<never>) => unknown) =>
  function (this: unknown, ...args: Array<unknown>): unknown {
    if (ofProgram()) return breakRule(`${name} is the real world's: two runs would differ`)
    return Reflect.apply(real, this, args)
  }

const RealDate = Date
const GuardedDate = new Proxy(RealDate, {
  construct: (target, args, newTarget) => {
    if (args.length === 0 && ofProgram()) return breakRule("new Date() is the real world's: two runs would differ")
    return Reflect.construct(target, args, newTarget)
  },
  apply: (target, self, args) => {
    if (ofProgram()) return breakRule("Date() is the real world's: two runs would differ")
    return Reflect.apply(target, self, args)
  },
})

/** Each global, the object that holds it and what stands in its place. */
const guards: ReadonlyArray<{ readonly holder: object; readonly key: string; readonly value: unknown }> = [
  { holder: globalThis, key: "Date", value: GuardedDate },
  { holder: Date, key: "now", value: forbid("Date.now()", Date.now) },
  { holder: performance, key: "now", value: forbid("performance.now()", performance.now) },
  { holder: Math, key: "random", value: forbid("Math.random()", Math.random) },
  { holder: globalThis, key: "setTimeout", value: forbid("setTimeout", setTimeout) },
  { holder: globalThis, key: "setInterval", value: forbid("setInterval", setInterval) },
  { holder: globalThis, key: "setImmediate", value: forbid("setImmediate", setImmediate) },
  { holder: globalThis, key: "queueMicrotask", value: forbid("queueMicrotask", queueMicrotask) },
  { holder: globalThis, key: "fetch", value: forbid("fetch", fetch) },
  {
    holder: process,
    key: "hrtime",
    value: Object.assign(forbid("process.hrtime()", process.hrtime), {
      bigint: forbid("process.hrtime.bigint()", process.hrtime.bigint),
    }),
  },
  ...(["log", "info", "warn", "error", "debug", "table", "dir"] as const).map((key) => ({
    holder: console,
    key,
    value: forbid(`console.${key}()`, console[key]),
  })),
  { holder: process, key: "nextTick", value: forbid("process.nextTick", process.nextTick) },
  { holder: crypto, key: "randomUUID", value: forbid("crypto.randomUUID()", crypto.randomUUID) },
  { holder: crypto, key: "getRandomValues", value: forbid("crypto.getRandomValues()", crypto.getRandomValues) },
]

/** Runs a stretch of exploration, all of it synchronous, with the guards up. */
export const withoutRealWorld = <A>(run: () => A): A => {
  const before = guards.map(({ holder, key }) => Object.getOwnPropertyDescriptor(holder, key))
  for (const { holder, key, value } of guards) {
    Object.defineProperty(holder, key, { value, configurable: true, writable: true, enumerable: false })
  }
  try {
    return run()
  } finally {
    guards.forEach(({ holder, key }, position) => {
      const descriptor = before[position]
      if (descriptor === undefined) Reflect.deleteProperty(holder, key)
      else Object.defineProperty(holder, key, descriptor)
    })
  }
}
