/** The command line as a user meets it: a process with arguments, output and an exit status. */
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath, pathToFileURL } from "node:url"
import { afterAll } from "vitest"

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../..")
const loader = pathToFileURL(join(repository, "node_modules/tsx/dist/loader.mjs")).href

export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

interface Options {
  readonly cwd?: string
  /** The script that calls `main`, if not the repository's own. */
  readonly script?: string
  readonly env?: Readonly<Record<string, string>>
  /** Sent half a second after `started` stands on standard error. */
  readonly signal?: NodeJS.Signals
  /** Send it, instead, as soon as this is true. */
  readonly when?: () => boolean
  /** Send it so often, every five milliseconds. */
  readonly times?: number
  /** Stop reading standard output at the first byte. */
  readonly closeOutput?: boolean
}

/** What npm and vitest put into the environment would make the command line look elsewhere, or paint. */
const { npm_lifecycle_event: _event, INIT_CWD: _cwd, FORCE_COLOR: _colour, ...environment } = process.env

const collect = (command: string, args: ReadonlyArray<string>, options: Options): Promise<Ran> =>
  new Promise((done, failed) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? repository,
      env: { ...environment, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    })
    const { when, signal } = options
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => {
      stdout += chunk
      if (options.closeOutput) child.stdout.destroy()
    })
    child.stderr.on("data", (chunk) => {
      const before = stderr
      stderr += chunk
      if (signal !== undefined && when === undefined && stderr.includes("started") && !before.includes("started")) {
        for (let nth = 0; nth < (options.times ?? 1); nth++) setTimeout(() => child.kill(signal), 500 + 5 * nth)
      }
    })
    const watch = setInterval(() => {
      if (when === undefined || !when()) return
      clearInterval(watch)
      child.kill(signal)
    }, 10)
    child.on("error", failed)
    child.on("close", (status) => {
      clearInterval(watch)
      done({ status, stdout, stderr })
    })
  })

/** Runs the command line. */
export const shootdown = (args: ReadonlyArray<string>, options: Options = {}): Promise<Ran> =>
  collect(process.execPath, ["--import", loader, options.script ?? join(repository, "spec/check.ts"), ...args], options)

const noScenarios = join(repository, "test/cli/noScenarios.ts")

/**
 * Runs it over programs of the user's own, which it does in the same way without the repository's scenarios: that takes
 * a third of the time less.
 */
export const shootdownAlone = (args: ReadonlyArray<string>, options: Options = {}): Promise<Ran> =>
  shootdown(args, { script: noScenarios, ...options })

/**
 * Runs it many times in one process, one after the other, for what does not depend on having a process of its own: to
 * start one takes a second. A program's file is loaded once, as it is the first time.
 *
 * @param script one that begins as inTurn.ts says; by default without the repository's scenarios
 */
export const shootdownInTurn = (script = noScenarios): ((args: ReadonlyArray<string>) => Promise<Ran>) => {
  const child = spawn(process.execPath, ["--import", loader, script, "--in-turn"], {
    cwd: repository,
    env: environment,
    stdio: ["pipe", "pipe", "inherit"],
  })
  afterAll(() => void child.kill())
  child.stdin.on("error", () => undefined) // that it has ended is told by its replies
  const replies = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return async (args) => {
    child.stdin.write(`${JSON.stringify(args)}\n`)
    // Replies come in the order of the lines, and iterators hand them out in the order in which they were asked for.
    const { value, done } = await replies.next()
    if (done === true) throw new Error(`the process ended with ${child.exitCode ?? child.signalCode}`)
    return JSON.parse(value)
  }
}

/** Runs it the way the README says. */
export const npmRunCheck = (args: ReadonlyArray<string>, options: Options = {}): Promise<Ran> =>
  collect("npm", ["run", "--silent", "check", "--", ...args], options)

/** A directory of this test file's own, outside the repository, gone when its tests are. */
export const scratch = (): ((path: string, text: string) => string) & { readonly directory: string } => {
  const directory = mkdtempSync(join(tmpdir(), "shootdown-"))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  const put = (path: string, text: string): string => {
    const file = join(directory, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    return file
  }
  return Object.assign(put, { directory })
}
