/**
 * How the scripts here begin that tests run: as the command line's own does; or, told `--in-turn`, they answer command
 * lines again and again in one process. A line of standard input is the arguments, as JSON, and a line of standard output
 * what a process of their own would have printed and ended with.
 */
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import { main, runCommandLine } from "../../checker/cli/main.ts"

/** Where what is written goes instead of to the stream. */
const heard = (stream: NodeJS.WriteStream): { text: string } => {
  const said = { text: "" }
  stream.write = (chunk: unknown, ...rest: ReadonlyArray<unknown>) => {
    said.text += String(chunk)
    for (const then of rest) if (typeof then === "function") then()
    return true
  }
  return said
}

/** Begins, with what `main` is given. */
export const begin = async (...[registry, surroundings]: Parameters<typeof main>): Promise<void> => {
  if (process.argv[2] !== "--in-turn") return main(registry, surroundings)
  const reply = process.stdout.write.bind(process.stdout)
  for await (const line of createInterface({ input: process.stdin })) {
    const stdout = heard(process.stdout)
    const stderr = heard(process.stderr)
    const status = await Effect.runPromise(runCommandLine(JSON.parse(line), registry, surroundings))
    reply(`${JSON.stringify({ status, stdout: stdout.text, stderr: stderr.text })}\n`)
  }
}
