/** The protocols whose mutants are all killed, proved equivalent or explained, one by one. */
import { describe, expect, it } from "vitest"
import { shootdown } from "../cli/run.ts"

/** `SHOOTDOWN_LONG=1 npx vitest run test/spec/mutants.test.ts` asks all of them. */
const long = process.env.SHOOTDOWN_LONG !== undefined
const settled = ["lease/client", ...(long ? ["lease/blocks", "lease/fcntl", "device-memory/free", "sync", "dax"] : [])]

describe("every mutant is killed, equivalent or explained", () => {
  it.each(settled)("of %s", { timeout: 3_600_000 }, async (protocol) => {
    const { stdout, stderr, status } = await shootdown(["mutants", protocol])
    expect([
      stdout.replace(/^\S+ {2}\d+ mutants: .*\n/, ""),
      stderr.replaceAll(/^.*(learning|mutants, ).*\n/gm, ""),
    ]).toEqual(["", ""])
    expect(status).toBe(0)
  })
})
