/** What is said of a long run while it goes, where there is no terminal. Its clock is fast, so that nobody has to wait. */
import { describe, expect, it } from "vitest"
import { big } from "./programs.ts"
import { repository, scratch, shootdown } from "./run.ts"

const put = scratch()

/** How many seconds pass in a second. */
const speed = 10

put(
  "clock.mts",
  `const { now } = Date
   const begin = now()
   Date.now = () => begin + ${speed} * (now() - begin)`,
)
const script = put(
  "check.mts",
  `import "./clock.mts"\nimport { main } from "${repository}/checker/cli/main.ts"\nmain([])`,
)
const file = put("big.ts", big)

/** The lines on standard error of a run of 100 seconds. */
const linesOf = async (...flags: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const { stderr, stdout, status } = await shootdown(["explore", file, "--time", "100s", ...flags], { script })
  expect(stdout).toContain("the time of 100 s ran out")
  expect(status).toBe(3)
  // To load the program takes long by this clock: a line may come before there is a speed to tell.
  const lines = stderr.split("\n").filter((line) => /^big: .*\/s, [1-9]\d*\.\d s/.test(line))
  expect(lines.length).toBeGreaterThanOrEqual(1)
  // A line says when its figures were taken. How long it was on its way is much by this clock, and differs.
  const times = lines.map((line) => Number(/, ([\d.]+) s, /.exec(line)?.[1]))
  for (const [at, time] of times.entries()) if (at > 0) expect(time - (times[at - 1] ?? 0)).toBeGreaterThan(5)
  return lines
}

describe.concurrent("a long run", () => {
  it("says how it gets on every ten seconds, in states", async () => {
    const number = "[\\d,]+"
    const figures = `${number} states, ${number} transitions, depth ${number}, ${number} open branch(es)?, 1 worker, ${number} states/s`
    for (const line of await linesOf()) {
      expect(line).toMatch(new RegExp(`^big: ${figures}, \\d+\\.\\d s, about [\\d.]+ % of the time$`))
    }
  })

  it("estimates how much of the search is done", async () => {
    for (const line of await linesOf("--strategy", "dfs")) {
      expect(line).toMatch(/ executions\/s, [\d.]+ s, less than 0\.1 % done, about [\d.]+ % of the time$/)
    }
  })

  it("knows how much of a sample is drawn", async () => {
    for (const line of await linesOf("--strategy", "random", "--executions", "1000000")) {
      const [, done, share] = / ([\d,]+) executions, .* ([\d.]+) % done, /.exec(line) ?? []
      expect(Math.abs(Number(done?.replaceAll(",", "")) / 10_000 - Number(share))).toBeLessThanOrEqual(1)
    }
  })
})
