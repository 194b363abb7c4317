/** Huge pages whose page table is shared. */
import { describe, expect, it } from "vitest"
import { hugetlb } from "../../spec/hugetlb/index.ts"
import { brokenIn, expectSourced, foundAsRecorded, holdAndExercise, missingFrom, statedIn } from "./support.ts"

describe("huge pages of a file", () => {
  it("hold in every state, and exercise all that is stated", async () => {
    await holdAndExercise(hugetlb.scenarios.map(({ program }) => program()))
  })

  it("break in each of their properties by some seeded bug", () => {
    expectSourced(hugetlb)
    expect(missingFrom(brokenIn(hugetlb), statedIn(hugetlb))).toEqual([])
  })

  foundAsRecorded(hugetlb)
})
