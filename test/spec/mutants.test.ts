/** The protocols whose mutants are all killed, proved equivalent or explained, one by one. */
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { MutationReport } from "../../checker/index.ts"
import { registry } from "../../spec/registry.ts"
import { shootdown } from "../cli/run.ts"
import { long } from "../long.ts"

/** `SHOOTDOWN_LONG=1 npx vitest run test/spec/mutants.test.ts` asks all of them. */
const settled = long ? registry.map(({ id }) => id) : ["lease/client"]

describe("every mutant is killed, equivalent or explained", () => {
  it.each(settled)("of %s", { timeout: 3_600_000 }, async (protocol) => {
    const { stdout, status } = await shootdown(["mutants", protocol, "--json", "-"])
    const [only, ...others] = Schema.decodeUnknownSync(MutationReport)(JSON.parse(stdout)).protocols
    expect(others).toEqual([])
    expect(only?.protocol).toBe(protocol)
    expect(only?.trouble).toEqual([])
    const open = (only?.mutants ?? []).filter(({ verdict }) => verdict === "survived" || verdict === "inconclusive")
    expect(open.filter(({ explanation }) => explanation === undefined)).toEqual([])
    expect(only?.counts.killed).toBeGreaterThan(0)
    expect(status).toBe(0)
  })
})
