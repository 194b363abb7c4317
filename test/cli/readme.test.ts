import { mkdtemp, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "vitest"
import { blockAfter } from "./readmeBlocks.ts"
import { shootdown } from "./run.ts"

const timeless = (text: string) => text.replace(/\d+\.\d s/g, "0.0 s").trim()

it.each([
  ["lost-update.ts", "say `lost-update.ts`"],
  ["starving.ts", "Put this into `starving.ts`"],
  ["last-item.ts", "Put this into `last-item.ts`"],
])("explores %s as the README says", async (name, where) => {
  const file = join(await mkdtemp(join(tmpdir(), "readme-")), name)
  await writeFile(file, blockAfter(where))
  const explored = await shootdown(["explore", file])
  expect(explored.status).toBe(1)
  expect(timeless(explored.stdout)).toBe(timeless(blockAfter(`npm run check -- explore ${name}\n\`\`\`\n`)))
})

it("checks my-driver.ts, and what it becomes without a line, as the README says", async () => {
  const file = join(await mkdtemp(join(tmpdir(), "readme-")), "my-driver.ts")
  const driver = blockAfter("Put this into `my-driver.ts`")
  await writeFile(file, driver)
  const explored = await shootdown(["explore", file])
  expect(explored.status).toBe(0)
  expect(timeless(explored.stdout)).toBe(timeless(blockAfter("npm run check -- explore my-driver.ts\n```\n")))

  const forgetful = driver.replace(/^.*mmuIntervalSetSeq\(subscription.*\n/m, "")
  expect(forgetful).not.toBe(driver)
  await writeFile(file, forgetful)
  const broken = await shootdown(["explore", file])
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
