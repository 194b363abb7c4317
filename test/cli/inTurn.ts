/**
 * The command line over no scenarios but those in files that it is given, again and again in one process: a line of
 * standard input is the arguments, as JSON, and a line of standard output what a process of their own would have printed
 * and ended with.
 */
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import { runCommandLine } from "../../checker/cli/main.ts"

const reply = process.stdout.write.bind(process.stdout)

const heard = (stream: NodeJS.WriteStream): { text: string } => {
  const said = { text: "" }
  stream.write = (chunk: unknown, ...rest: ReadonlyArray<unknown>) => {
    said.text += String(chunk)
    for (const then of rest) if (typeof then === "function") then()
    return true
  }
  return said
}

for await (const line of createInterface({ input: process.stdin })) {
  const stdout = heard(process.stdout)
  const stderr = heard(process.stderr)
  const status = await Effect.runPromise(runCommandLine(JSON.parse(line), []))
  reply(`${JSON.stringify({ status, stdout: stdout.text, stderr: stderr.text })}\n`)
}
