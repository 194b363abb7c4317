import { type Benchmark, type Bound, protocol } from "../../checker/index.ts"
import { intervalNotifier } from "../notifier/interval/index.ts"
import { reducedNotifier, reducedNotifierAnyOrder } from "./reducedNotifier.ts"

/** Scenarios that are there for their speed alone: `npm run check` leaves them out. */
export const benchmarkProtocol = protocol({
  id: "benchmark",
  title: "Scenarios whose speed is measured",
  scenarios: [reducedNotifier, reducedNotifierAnyOrder],
})

const scenarioOf = (id: string): Benchmark["scenario"] => {
  const scenarios = [...benchmarkProtocol.scenarios, ...intervalNotifier.scenarios]
  const found = scenarios.find((scenario) => scenario.id === id)
  if (found === undefined) throw new Error(`there is no scenario ${id}`)
  return found
}

const benchmark = (
  id: string,
  size: Benchmark["size"],
  bound: Bound,
  more: Pick<Benchmark, "expected" | "perSuspension" | "twoWorkers"> = {},
): Benchmark => ({ scenario: scenarioOf(id), size, bound, ...more })

/** What `npm run check -- bench` measures. */
export const benchmarks: ReadonlyArray<Benchmark> = [
  benchmark(
    "benchmark/reduced-notifier",
    "quick",
    { devices: 2, pages: 2, invalidations: 2 },
    { expected: { states: 11_037, transitions: 28_011 } },
  ),
  benchmark(
    "notifier/interval/one-fault",
    "usual",
    { devices: 2, pages: 2, invalidations: 2, removals: 0 },
    { perSuspension: 2 },
  ),
  benchmark(
    "benchmark/reduced-notifier",
    "usual",
    { devices: 3, pages: 2, invalidations: 2 },
    { expected: { states: 387_267, transitions: 1_325_714 } },
  ),
  benchmark(
    "notifier/interval/two-devices",
    "usual",
    { devices: 3, pages: 2, invalidations: 2, removals: 0 },
    { perSuspension: 2, twoWorkers: 1.6 },
  ),
  benchmark("benchmark/reduced-notifier-any-order", "usual", { devices: 3, pages: 2, invalidations: 2 }),
  benchmark("benchmark/reduced-notifier-any-order", "usual", { devices: 4, pages: 2, invalidations: 2 }),
  benchmark(
    "benchmark/reduced-notifier",
    "full",
    { devices: 4, pages: 2, invalidations: 2 },
    { expected: { states: 14_209_213, transitions: 61_268_289 } },
  ),
]
