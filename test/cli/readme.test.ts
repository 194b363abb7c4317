/** What the README shows is what comes out. */
import { expect, it } from "vitest"
import { blockAfter } from "./readmeBlocks.ts"
import { scratch, shootdown, shootdownInTurn } from "./run.ts"

const put = scratch()
const inTurn = shootdownInTurn()

const timeless = (text: string) => text.replace(/\d+\.\d s/g, "0.0 s").trim()

it.each([
  ["lost-update.ts", "say `lost-update.ts`"],
  ["starving.ts", "Put this into `starving.ts`"],
  ["last-item.ts", "Put this into `last-item.ts`"],
])("explores %s as the README says", async (name, where) => {
  const explored = await inTurn(["explore", put(name, blockAfter(where))])
  expect(explored.status).toBe(1)
  expect(timeless(explored.stdout)).toBe(timeless(blockAfter(`npm run check -- explore ${name}\n\`\`\`\n`)))
})

it("checks my-driver.ts, and what it becomes without a line, as the README says", async () => {
  const driver = blockAfter("Put this into `my-driver.ts`")
  const explored = await inTurn(["explore", put("my-driver.ts", driver)])
  expect(explored.status).toBe(0)
  expect(timeless(explored.stdout)).toBe(timeless(blockAfter("npm run check -- explore my-driver.ts\n```\n")))

  const forgetful = driver.replace(/^.*mmuIntervalSetSeq\(subscription.*\n/m, "")
  expect(forgetful).not.toBe(driver)
  const broken = await inTurn(["explore", put("forgetful/my-driver.ts", forgetful)])
  expect(broken.status).toBe(1)
  expect(timeless(broken.stdout)).toBe(
    timeless(blockAfter("Forget\nthe call of `mmuIntervalSetSeq` in the callback, and:")),
  )
})

it("finds the seeded bug as the README says", async () => {
  const explored = await shootdown(["explore", "--mutant", "hmm-valid-flag-aba"])
  expect(explored.status).toBe(1)
  expect(timeless(explored.stdout)).toBe(
    timeless(blockAfter("npm run check -- explore --mutant hmm-valid-flag-aba\n```\n")),
  )
})
