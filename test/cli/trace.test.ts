/** The two-column trace at several widths. */
import { describe, expect, it } from "vitest"
import { type ScheduledStep, traceLines } from "../../checker/index.ts"
import { noPaint } from "../../checker/report/text.ts"
import { sizeLines, violationLines } from "../../checker/report/violation.ts"

const step = (fiber: string, label: string, more: Partial<ScheduledStep> = {}): ScheduledStep => ({
  fiber,
  label,
  choice: undefined,
  result: undefined,
  changed: false,
  ...more,
})

const steps = [
  step("cpu0", "mmu_interval_read_begin", { result: 2 }),
  step("gpu", "alloc", { choice: 1, result: "ENOMEM" }),
  step("cpu0", "zap_pte_range", { result: { page: 1 } }),
]

describe("the trace", () => {
  it("keeps columns apart where there is room", () => {
    expect(traceLines(steps, 80)).toEqual([
      "cpu0                          gpu",
      "----                          ---",
      "mmu_interval_read_begin -> 2",
      "                              alloc = ENOMEM",
      "zap_pte_range -> {page: 1}",
    ])
  })
  it("lets a text run over empty columns where there is less", () => {
    expect(traceLines(steps, 30)).toEqual([
      "cpu0            gpu",
      "----            ---",
      "mmu_interval_read_begin -> 2",
      "                alloc = ENOMEM",
      "zap_pte_range -> {page: 1}",
    ])
  })
  it("names the fiber in each line where columns do not fit", () => {
    expect(traceLines(steps, 20)).toEqual([
      "cpu0: mmu_interval_read_begin -> 2",
      "gpu: alloc = ENOMEM",
      "cpu0: zap_pte_range -> {page: 1}",
    ])
  })
  it("leaves out results that do not fit before it gives up columns", () => {
    expect(traceLines(steps, 27)).toEqual([
      "cpu0         gpu",
      "----         ---",
      "mmu_interval_read_begin",
      "             alloc = ENOMEM",
      "zap_pte_range -> {page: 1}",
    ])
  })
  it("never exceeds a width at which columns fit, however many fibers there are", () => {
    const many = Array.from({ length: 8 }, (_, i) => step(`cpu${i}`, "flush_tlb_mm_range"))
    for (const line of traceLines(many, 64)) expect(line.length).toBeLessThanOrEqual(64)
    expect(traceLines(many, 64)).toHaveLength(10)
  })
  it("leaves long results out, and gives a column to fibers that only wait", () => {
    const long = step("cpu0", "load", { result: "x".repeat(100) })
    expect(traceLines([long], 80, { others: ["gpu"] })).toEqual(["cpu0  gpu", "----  ---", "load"])
  })
  it("marks the steps that a seeded bug changed", () => {
    const changed = [step("cpu0", "load", { result: 2, changed: true }), step("cpu0", "store", { changed: true })]
    expect(traceLines(changed, 80)).toEqual(["cpu0", "----", "load* -> 2", "store*"])
    const scenario = { properties: [] }
    const broken = { property: "deadlock", message: "stuck", steps: changed, fibers: ["cpu0"], mutant: "no-lock" }
    expect(violationLines(scenario, broken, 80, noPaint).slice(0, 6)).toEqual([
      "  cpu0",
      "  ----",
      "  load* -> 2",
      "  store*",
      "",
      "  * changed by no-lock",
    ])
  })
  it("shows where a seeded bug left steps out, and whose doing that is", () => {
    const leftOut = [
      { fiber: "gpu", label: "lock", after: 0 },
      { fiber: "cpu0", label: "flush_tlb_page(0)", after: 1 },
      { fiber: "cpu0", label: "put_page", after: 1 },
      { fiber: "cpu1", label: "wake_up", after: 3 },
    ]
    const lines = [
      "cpu0                          gpu             cpu1",
      "----                          ---             ----",
      "                              (no lock)*",
      "mmu_interval_read_begin -> 2",
      "(no flush_tlb_page(0))*",
      "(no put_page)*",
      "                              alloc = ENOMEM",
      "zap_pte_range -> {page: 1}",
      "                                              (no wake_up)*",
    ]
    expect(traceLines(steps, 80, { leftOut })).toEqual(lines)
    expect(traceLines(steps, 20, { leftOut }).slice(0, 3)).toEqual([
      "gpu: (no lock)*",
      "cpu0: mmu_interval_read_begin -> 2",
      "cpu0: (no flush_tlb_page(0))*",
    ])
    const broken = { property: "deadlock", message: "stuck", steps, leftOut, fibers: ["cpu0"], mutant: "no-flush" }
    expect(violationLines({ properties: [] }, broken, 82, noPaint).slice(0, 12)).toEqual([
      ...lines.map((line) => `  ${line}`),
      "",
      "  * changed by no-flush",
      "",
    ])
  })
  it("shows what is left out on a round with the steps that repeat", () => {
    const leftOut = [0, 1, 3].map((after) => ({ fiber: "cpu0", label: `lock(${after})`, after }))
    expect(traceLines(steps, 80, { leftOut, cycle: 1 }).slice(2)).toEqual([
      "(no lock(0))*",
      "mmu_interval_read_begin -> 2",
      "(no lock(1))*",
      "== for ever: ==",
      "                              alloc = ENOMEM",
      "zap_pte_range -> {page: 1}",
      "(no lock(3))*",
    ])
  })
  it("keeps a hostile label on its line", () => {
    const leftOut = [{ fiber: "cpu0", label: "a\nb", after: 0 }]
    expect(traceLines([], 80, { leftOut })).toEqual(["cpu0", "----", "(no a\\u{a}b)*"])
  })
  it("says where the steps begin that repeat for ever", () => {
    expect(traceLines(steps, 80, { cycle: 1 }).slice(2)).toEqual([
      "mmu_interval_read_begin -> 2",
      "== for ever: ==",
      "                              alloc = ENOMEM",
      "zap_pte_range -> {page: 1}",
    ])
    expect(traceLines(steps, 20, { cycle: 0 })).toEqual([
      "== for ever: ==",
      "cpu0: mmu_interval_read_begin -> 2",
      "gpu: alloc = ENOMEM",
      "cpu0: zap_pte_range -> {page: 1}",
    ])
  })
  it("is empty for an empty schedule", () => {
    expect(traceLines([], 80)).toEqual([])
  })
})

describe("the size of a schedule", () => {
  it("says how many steps repeat", () => {
    const size = { steps: 4, preemptions: 1, minimal: false, atBound: "" }
    expect(sizeLines({ ...size, cycle: 1 }, 100)).toEqual([
      "  4 steps, the last 3 of which repeat for ever, with 1 preemption; there may be a simpler schedule",
    ])
    expect(sizeLines({ ...size, cycle: 0 }, 100)).toEqual([
      "  4 steps that repeat for ever, with 1 preemption; there may be a simpler schedule",
    ])
  })
  it("keeps to the width", () => {
    expect(sizeLines({ steps: 4, preemptions: 1, minimal: true, atBound: ", at the smaller bound a=1" }, 40)).toEqual([
      "  4 steps with 1 preemption, as few as",
      "  possible, at the smaller bound a=1",
    ])
  })
})
