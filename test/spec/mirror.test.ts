/** The invariants of mirrors and the record of invalidations, where devices mirror two processes. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  actionInvariant,
  explore,
  leaveOut,
  type Property,
  protocol,
  type Replacements,
  scenario,
  strategies,
} from "../../checker/index.ts"
import { mirrorDevice, mirrorFault } from "../../model/driver/mirror.ts"
import { madvise } from "../../model/mm/madvise.ts"
import { addressSpace } from "../../model/mm/mm.ts"
import { mprotect } from "../../model/mm/protect.ts"
import { system } from "../../model/mm/system.ts"
import { treeInsert } from "../../model/notifier/interval.ts"
import { type MirrorWorld, mirrorProperties } from "../../spec/mirror/properties.ts"
import { populate } from "../../spec/notifier/interval/world.ts"
import { recordWindows } from "../../spec/notifier/windows.ts"

const page = { start: 0, end: 1 }

/** Two processes with a page each: the first becomes read-only, the second goes, while a device writes to each. */
const twoProcesses = (properties: ReadonlyArray<Property<MirrorWorld>>) =>
  scenario({
    id: "mirror/two-processes",
    summary: "two devices mirror a process each while the processes change",
    setup: () => {
      const machine = system({ folios: 4, cgroups: ["a", "b"] })
      const [a, b] = [addressSpace(machine, "a", 1, ["cpu0"]), addressSpace(machine, "b", 1, ["cpu1"])]
      const devices = [mirrorDevice(a, "gpu0", page), mirrorDevice(b, "gpu1", page)] as const
      for (const { mm, name } of devices) {
        populate(mm, 0)
        treeInsert(mm.subscriptions, name)
      }
      const { windows, monitor } = recordWindows(devices, ["cpu0", "cpu1"])
      const world: MirrorWorld = { folios: machine.folios, devices, windows }
      const fibers = {
        cpu0: mprotect(a, page, "r"),
        cpu1: madvise(b, page, "MADV_DONTNEED"),
        gpu0: mirrorFault(devices[0]),
        gpu1: mirrorFault(devices[1]),
      }
      return { world, fibers, monitors: [monitor] }
    },
    properties,
  })

const run = (
  properties: ReadonlyArray<Property<MirrorWorld>>,
  bug: { readonly breaks: string; readonly at: Replacements } = { breaks: "", at: {} },
) => {
  const [entry] = protocol({
    id: "mirror",
    title: "",
    scenarios: [twoProcesses(properties)],
    bugs: [
      { id: "bug", title: "", source: "", scenario: "mirror/two-processes", breaks: bug.breaks, at: () => bug.at },
    ],
  }).scenarios
  const [states] = strategies
  if (entry === undefined || states === undefined) throw new Error("there is no such scenario")
  const program = entry.program({}, bug.breaks === "" ? undefined : "bug")
  const target = bug.breaks === "" ? {} : { target: bug.breaks }
  return Effect.runPromise(explore(program, states, { maxSteps: 10_000, seed: 1, ...target }, {}))
}

describe("mirrors of two processes", () => {
  it("keep their invariants, each of which is exercised", async () => {
    const result = await run(mirrorProperties)
    expect(result.violation).toBeUndefined()
    expect(result.outcome).toBe("holds")
    expect(result.exercised.filter(({ times }) => times === 0)).toEqual([])
  })

  it.each([
    ["MIRROR-PERM", { device_unmap: leaveOut() }],
    ["MIRROR-AGREE", { mmu_interval_set_seq: leaveOut() }],
    ["MIRROR-NO-UAF", { mmu_interval_read_retry: leaveOut(false) }],
    ["MIRROR-NO-INSTALL-IN-WINDOW", { mmu_interval_read_retry: leaveOut(false) }],
  ])("break %s when they may", async (breaks, at) => {
    expect((await run(mirrorProperties, { breaks, at })).violation?.property).toBe(breaks)
  })

  it("have windows in their own address space, opened and closed in turn", async () => {
    const phases = actionInvariant({
      id: "phases",
      statement: "Each window belongs to the process of its fiber, and goes from phase to phase.",
      source: "spec/notifier/windows.ts",
      observe: ({ windows }: MirrorWorld) => [...windows].map(([fiber, { mm, phase }]) => ({ fiber, mm, phase })),
      holds: (before, after) =>
        after.every(({ fiber, mm, phase }, position) => {
          const from = before[position]?.phase ?? ""
          const expected = phase === "closed" || phase === "waking" ? "" : fiber === "cpu0" ? "a" : "b"
          return mm === expected && (phase === from || phase === next[from])
        }),
    })
    const next: Record<string, string> = { closed: "starting", starting: "open", open: "waking", waking: "closed" }
    const paired: Property<MirrorWorld> = {
      kind: "invariant",
      id: "paired",
      statement: "No window is unpaired.",
      source: "spec/notifier/windows.ts",
      premise: ({ windows }) => [...windows.values()].every(({ phase }) => phase === "open"),
      holds: ({ windows }) => [...windows.values()].every(({ unpaired }) => !unpaired),
    }
    const result = await run([phases, paired])
    expect(result.violation).toBeUndefined()
    expect(result.exercised.every(({ times }) => times > 0)).toBe(true)
  })
})
