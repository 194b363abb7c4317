/** What an exploration by states may use, and what it keeps: threads, memory, and a file to be taken up again. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { Remainder, Resources } from "../campaign/campaign.ts"
import { type Header, identityOf, readCheckpoint, type Subject, saveCheckpoint } from "../campaign/checkpoint.ts"
import { MemoryGuard } from "../campaign/memory.ts"
import { attempt } from "../engine/supervised.ts"
import type { SearchOptions } from "../explore/strategy.ts"
import { ownSupply, Visited } from "../explore/visited.ts"
import { printable } from "../report/text.ts"
import { tool } from "../report/tool.ts"
import type { Program } from "../scenario/program.ts"
import { type BadInput, BadUsage, badInput } from "./errors.ts"
import { resolvePath } from "./place.ts"
import { sourceOf } from "./programSource.ts"

/** The flags about this. */
export interface ResourceFlags {
  readonly workers: number
  /** In bytes. */
  readonly memory: number | undefined
  readonly checkpoint: string | undefined
  /** Milliseconds between two checkpoints. */
  readonly checkpointEvery: number
  readonly resume: string | undefined
}

/** A checkpoint that is to be taken up. */
export interface Resumed {
  readonly header: Header
  /** As the user called it. */
  readonly file: string
}

/** What a task by states needs. */
type Needs = Resources<BadInput, FileSystem.FileSystem>

/** The resources of a scenario that is explored with these flags. */
export const resourcesOf = Effect.fnUntraced(function* (
  program: Program,
  options: SearchOptions,
  file: string | undefined,
  flags: ResourceFlags,
  resumed: Resumed | undefined,
) {
  const memory = new MemoryGuard(flags.memory)
  const source = yield* sourceOf(program, file)
  const checkpoint = flags.checkpoint ?? resumed?.file
  if (source === undefined && (flags.workers > 1 || checkpoint !== undefined)) {
    return yield* badInput(`worker threads cannot load ${printable(program.scenario)}: main was not told of its module`)
  }
  const alone: Needs = {
    workers: flags.workers,
    memory,
    handover: 0,
    ...(source === undefined ? {} : { source }),
  }
  if (checkpoint === undefined) return alone
  const { survey: _, ...plainOptions } = options
  const subject: Subject = {
    tool,
    ...(file === undefined ? {} : { program: file }),
    scenario: program.scenario,
    bound: program.bound,
    ...(program.mutant === undefined ? {} : { mutant: program.mutant }),
    options: plainOptions,
    identity: yield* attempt(() => identityOf(program)),
  }
  const path = yield* resolvePath(checkpoint)
  const save = (remainder: Remainder) =>
    Effect.mapError(saveCheckpoint(path, subject, remainder), ({ reason }) =>
      badInput(`the checkpoint ${printable(checkpoint)} cannot be written: ${reason._tag}`),
    )
  const checkpoints = { every: flags.checkpointEvery, save }
  if (resumed === undefined) return { ...alone, checkpoints } satisfies Needs
  const { header, file: shown } = resumed
  if (subject.identity !== header.identity) {
    return yield* badInput(
      `${printable(shown)} cannot be taken up: ${printable(program.scenario)} has changed since it was written; its properties or first states are others now`,
    )
  }
  const visited = new Visited(ownSupply(memory.room))
  const from = yield* Effect.mapError(readCheckpoint(yield* resolvePath(shown), shown, visited), ({ message }) =>
    badInput(message),
  )
  return { ...alone, checkpoints, from } satisfies Needs
})

/** What the flags say, where they agree with the checkpoint that is taken up: the rest is as it was. */
export const agreeing = Effect.fnUntraced(function* <
  F extends {
    readonly set: ReadonlyArray<string>
    readonly mutant: string | undefined
    readonly steps: number | undefined
  },
>(flags: F, { header, file }: Resumed) {
  const contradicts = (flag: string, said: string) =>
    new BadUsage({ message: `${flag} contradicts ${printable(file)}, which ${said}`, command: "explore" })
  for (const setting of flags.set) {
    const [name = "", value] = setting.split("=")
    const there = Object.hasOwn(header.bound, name) ? header.bound[name] : undefined
    if (String(there) !== value) {
      const said = there === undefined ? "has no such bound" : `has ${printable(name)}=${there}`
      return yield* contradicts(`--set ${printable(setting, 60)}`, said)
    }
  }
  if (flags.mutant !== undefined && flags.mutant !== header.mutant) {
    const said = header.mutant === undefined ? "is without one" : `is with ${printable(header.mutant)}`
    return yield* contradicts(`--mutant ${printable(flags.mutant)}`, said)
  }
  if (flags.steps !== undefined && flags.steps !== header.options.maxSteps) {
    return yield* contradicts(`--steps ${flags.steps}`, `has ${header.options.maxSteps}`)
  }
  const set = Object.entries(header.bound).map(([name, value]) => `${name}=${value}`)
  return { ...flags, set, mutant: header.mutant, steps: header.options.maxSteps }
})
