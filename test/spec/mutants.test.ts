/** The protocols whose mutants are all killed, proved equivalent or explained, one by one. */
import { describe, expect, it } from "vitest"
import { shootdown } from "../cli/run.ts"
import { long } from "../long.ts"

/** `SHOOTDOWN_LONG=1 npx vitest run test/spec/mutants.test.ts` asks all of them. */
const many = [
  "sync",
  "notifier/interval",
  "notifier/mmu",
  "notifier/2008",
  "driver/kvm",
  "driver/nouveau",
  "driver/odp",
  "driver/odp2014",
  "driver/test-hmm",
  "driver/gru",
  "driver/i915-userptr",
  "driver/gntdev",
  "driver/ttm",
  "hugetlb",
  "device",
  "device/live",
  "hmm/range-fault",
  "hmm/requests",
  "hmm/dma",
  "hmm/seed001",
  "hmm/huge",
  "hmm/2019",
  "device-memory/free",
  "dax",
  "device-map",
  "lease/fcntl",
  "lease/setlease",
  "lease/context",
  "lease/layout",
  "lease/mapped",
  "lease/drain",
  "lease/blocks",
]
const settled = ["lease/client", ...(long ? many : [])]

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
