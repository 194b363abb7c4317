/**
 * Long explorations as users run them: several threads, checkpoints, and what ends a process. SHOOTDOWN_LONG=1 kills more
 * of them, one three times, and refuses a checkpoint for more reasons.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { Report, type ScenarioReport } from "../../checker/index.ts"
import { long } from "../long.ts"
import * as programs from "./programs.ts"
import { type Ran, scratch, shootdown, shootdownAlone, shootdownInTurn } from "./run.ts"

const put = scratch()
const inTurn = shootdownInTurn()
const file = put("grid.ts", programs.grid)
const other = put("other.ts", programs.lostUpdate)
const at = (name: string) => join(put.directory, name)

/** What does not depend on who explores and in how many goes. */
const totals = ({ outcome, states, transitions, exercised }: ScenarioReport) => ({
  outcome,
  states,
  transitions,
  exercised,
})
const expected = {
  outcome: "holds",
  states: 9 ** 6,
  transitions: 6 * 8 * 9 ** 5,
  exercised: { small: 9 ** 5 },
}

const reportOf = ({ stdout }: Ran): ScenarioReport => {
  const [report] = Schema.decodeUnknownSync(Report)(JSON.parse(stdout)).scenarios
  if (report === undefined) throw new Error("the document has no scenario")
  return report
}

/** Whether the checkpoint has become another file so many times. */
const written = (checkpoint: string, times: number) => {
  const seen = new Set<number>()
  return () => {
    if (existsSync(checkpoint)) seen.add(statSync(checkpoint).ino * 1e6 + statSync(checkpoint).size)
    return seen.size >= times
  }
}

const often = ["--checkpoint-every", "20ms"]

describe("workers", () => {
  it("come to the same as one thread, and are counted", async () => {
    const args = ["explore", file, "--json", "-"]
    const one = reportOf(await shootdownAlone(args))
    // With a checkpoint, workers explore from the beginning.
    const two = reportOf(await shootdownAlone([...args, "--workers", "2", "--checkpoint", at("two-workers")]))
    expect(totals(one)).toEqual(expected)
    expect(totals(two)).toEqual(expected)
    expect([one.workers, two.workers]).toEqual([1, 2])
    expect(one.peakMemory).toBeGreaterThan(10_000_000)
  })

  it("load scenarios of the registry too", async () => {
    const bound = ["devices=1", "pages=1", "invalidations=2", "removals=0"].flatMap((each) => ["--set", each])
    const args = ["explore", "notifier/interval/overlapping", "--json", "-", "--checkpoint", at("registry"), ...bound]
    const ran = await shootdown([...args, "--workers", "2"])
    expect(reportOf(ran)).toMatchObject({ outcome: "holds", states: 26_603, transitions: 66_979, workers: 2 })
  })
})

describe("a run that is killed", () => {
  const ways: ReadonlyArray<[times: number, before: number, after: number]> = [[1, 1, 2]]
  it.each(long ? [...ways, [2, 2, 1] as const, [4, 1, 1] as const] : ways)(
    "after %i checkpoints, with %i workers, ends the same with %i later",
    async (times, before, after) => {
      const checkpoint = at(`killed-${times}`)
      const args = ["explore", file, "--checkpoint", checkpoint, ...often, "--workers", String(before)]
      const killed = await shootdownAlone(args, { signal: "SIGKILL", when: written(checkpoint, times) })
      expect(killed.status).toBe(null)
      const resumed = await shootdownAlone([
        ...["explore", file, "--resume", checkpoint, "--json", "-", "--workers", String(after)],
      ])
      expect(totals(reportOf(resumed))).toEqual(expected)
      expect(resumed.status).toBe(0)
    },
  )

  it("can be killed again and again", async () => {
    const checkpoint = at("again")
    await shootdownAlone(["explore", file, "--checkpoint", checkpoint, ...often], {
      signal: "SIGKILL",
      when: written(checkpoint, 2),
    })
    for (const times of long ? [3, 4] : [3]) {
      const args = ["explore", file, "--resume", checkpoint, ...often, "--workers", "2"]
      await shootdownAlone(args, { signal: "SIGKILL", when: written(checkpoint, times) })
    }
    const resumed = await shootdownAlone(["explore", file, "--resume", checkpoint, "--json", "-"])
    expect(totals(reportOf(resumed))).toEqual(expected)
  })
})

describe("a run that is stopped", () => {
  it("by ctrl-C leaves a checkpoint of what it reached", async () => {
    const checkpoint = at("interrupted")
    const args = ["explore", file, "--checkpoint", checkpoint, "--workers", "2", "--json", "-"]
    const statesIn = () => Number(/"states":(\d+)/.exec(readFileSync(checkpoint, "latin1"))?.[1])
    const second = { states: 0, at: Number.POSITIVE_INFINITY }
    const ran = await shootdownAlone([...args, "--checkpoint-every", "150ms"], {
      signal: "SIGINT",
      // Between the second, which is the first that the workers come to, and the third.
      when: () => {
        if (second.states === 0 && existsSync(checkpoint) && statesIn() > 1) {
          second.states = statesIn()
          second.at = Date.now()
        }
        return Date.now() - second.at > 50
      },
    })
    expect(ran.status).toBe(130)
    expect(ran.stderr).toContain(`go on from the checkpoint with: npm run check -- explore --resume ${checkpoint}`)
    expect(statesIn()).toBeGreaterThan(second.states)
    expect(statesIn()).toBeLessThan(9 ** 6)
    const resumed = await shootdownAlone(["explore", file, "--resume", checkpoint, "--json", "-"])
    expect(totals(reportOf(resumed))).toEqual(expected)
  })

  it("by its time leaves one too", async () => {
    const checkpoint = at("late")
    const args = ["explore", file, "--checkpoint", checkpoint, "--time", "400ms", "--checkpoint-every", "1h"]
    const ran = await shootdownAlone(args)
    expect(ran.stdout).toContain("the time of 0.4 s ran out")
    expect(ran.stdout).toContain("--resume")
    expect(ran.status).toBe(3)
    const resumed = await shootdownAlone(["explore", file, "--resume", checkpoint, "--json", "-"])
    expect(totals(reportOf(resumed))).toEqual(expected)
  })

  it.each([["1"], ["2"]])("by the limit of memory ends inconclusive, with %s workers", async (workers) => {
    const ran = await shootdownAlone(["explore", file, "--memory", "20MB", "--workers", workers, "--json", "-"])
    expect(reportOf(ran)).toMatchObject({ outcome: "inconclusive" })
    expect(reportOf(ran).reason).toBe("the memory that may be used is full; --memory SIZE sets the limit")
    expect(ran.status).toBe(3)
  })
})

describe("a checkpoint", () => {
  const finished = async () => {
    const checkpoint = at("of-grid")
    if (!existsSync(checkpoint)) {
      const args = ["explore", file, "--checkpoint", checkpoint, ...often]
      await shootdownAlone(args, { signal: "SIGKILL", when: written(checkpoint, 3) })
    }
    return checkpoint
  }

  const refused = async (args: ReadonlyArray<string>, why: RegExp) => {
    const ran = await inTurn(["explore", ...args])
    expect(ran.stderr).toMatch(why)
    expect(ran.stderr.trim().split("\n")).toHaveLength(1)
    expect(ran.stdout).toBe("")
    expect(ran.status).toBe(2)
  }

  // In what other ways one can be damaged is tested where they are read: test/checker/campaign.test.ts.
  it("that will not do is refused, in one sentence", async () => {
    const bytes = readFileSync(await finished())
    writeFileSync(at("short"), bytes.subarray(0, bytes.length - 9))
    await Promise.all([
      refused(["--resume", at("short"), file], /short is truncated$/m),
      refused(["--resume", at("nowhere"), file], /nowhere does not exist$/m),
      refused(["--resume", put.directory, file], /is not a regular file$/m),
    ])
  })

  it("is of one program at one bound", async () => {
    const checkpoint = await finished()
    await refused(["--resume", checkpoint], /is of a program of your own; name it: explore .*grid\.ts --resume FILE/)
    await refused(["--resume", checkpoint, other], /is of grid, and lost-update is to be explored/)
    await refused(
      ["--resume", checkpoint, file, "--set", "fibers=3"],
      /--set fibers=3 contradicts .*, which has fibers=2/,
    )
    if (long) {
      await refused(["--resume", checkpoint, file, "--mutant", "x"], /--mutant x contradicts .*, which is without one/)
      await refused(["--resume", checkpoint, file, "--steps", "9"], /--steps 9 contradicts .*, which has 10000/)
    }
    const changed = put("changed.ts", programs.grid.replace("count.value = i", "count.value = i * 2"))
    await refused(["--resume", checkpoint, changed], /grid has changed since it was written/)
  })

  it("is for one scenario, and must be writable", async () => {
    await refused([file, other, "--checkpoint", at("two")], /--checkpoint is for one scenario, and these are 2/)
    await refused([file, "--checkpoint", at("no/where")], /the checkpoint .*where cannot be written: NotFound/)
  })
})
