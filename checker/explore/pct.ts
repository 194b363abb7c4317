/**
 * Strategy `pct`: probabilistic concurrency testing. Burckhardt, Kothari, Musuvathi and Nagarakatte, "A randomized
 * scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010, section 3.
 *
 * The fiber with the highest priority goes on. Priorities are drawn at the start; before d - 1 steps, drawn as well, the
 * fiber whose step it is gets a priority below all of those, by the number of the draw. Of n fibers that take k steps
 * together, a bug that shows whenever d steps come in the right order is hit by each schedule with odds of at least
 * 1/(n*k^(d-1)).
 *
 * Where it differs: n and k are not given but measured, as the greatest of the schedules so far, and the odds are said
 * only of those drawn after both were last found greater. They leave out the options of choices, which are drawn
 * uniformly. A fiber that goes on for a thousand steps while others could is put last, so that a loop that waits by
 * trying again ends; of longer schedules no odds are said.
 */
import { Priorities } from "./priorities.ts"
import { type Chance, defaultExecutions, type Sampler, sampling } from "./sampling.ts"

const defaultDepth = 3

/** So many steps in a row one fiber may take while others could. */
const patience = 1_000

class Pct implements Sampler {
  private readonly random: () => number
  private readonly depth: number
  private readonly priorities: Priorities
  /** n and k, and how many schedules were drawn since they became what they are. */
  private fibers = 1
  private steps = 1
  private settled = 0
  /** How many steps come before each change. */
  private readonly changes: Array<number> = []
  /** In this schedule: steps taken, and by the last fiber in a row; the lowest priority. */
  private taken = 0
  private last = -1
  private inARow = 0
  private lowest = 0

  constructor({ random, options }: Chance) {
    this.random = random
    this.depth = options.depth ?? defaultDepth
    this.priorities = new Priorities(random)
  }

  begin(): void {
    this.priorities.begin()
    for (let i = 0; i < this.depth - 1; i++) this.changes[i] = Math.floor(this.random() * this.steps)
    this.taken = 0
    this.last = -1
    this.inARow = 0
    this.lowest = -this.depth
  }

  pick(ways: ReadonlyArray<number>, able: number): number {
    const { changes, priorities } = this
    if (ways.length > this.fibers) this.measure(ways.length, this.steps)
    let fiber = priorities.highest(ways)
    for (let i = 0; i < changes.length; i++) {
      if (changes[i] !== this.taken) continue
      priorities.set(fiber, i - changes.length)
      fiber = priorities.highest(ways)
    }
    this.inARow = fiber === this.last && able > 1 ? this.inARow + 1 : 0
    this.last = fiber
    if (this.inARow > patience) priorities.set(fiber, --this.lowest)
    this.taken++
    return fiber
  }

  end(): void {
    if (this.taken > this.steps) this.measure(this.fibers, this.taken)
    this.settled++
  }

  private measure(fibers: number, steps: number): void {
    this.fibers = fibers
    this.steps = steps
    this.settled = -1
  }

  odds(): string | undefined {
    const { depth, fibers, settled, steps } = this
    if (settled < 1 || steps > patience) return undefined
    const odds = 1 / (fibers * steps ** (depth - 1))
    const missed = (1 - odds) ** settled
    return `none had more than ${fibers} fibers and ${steps} steps, and of those that are like that each hits a bug of depth ${depth} with odds of at least 1/(${fibers}*${steps}^${depth - 1}), so the last ${settled} missed one with odds of at most ${missed.toPrecision(2)}`
  }
}

export const pct = sampling(
  {
    name: "pct",
    summary: `nothing is proved, but odds are known: --executions N schedules (default ${defaultExecutions}) were drawn so that a bug that shows whenever d steps come in the right order (--depth d, default ${defaultDepth}) is hit by each with odds of at least 1/(n*k^(d-1)), for n fibers and k steps; they are printed with the numbers put in`,
    takes: ["depth"],
  },
  (chance) => new Pct(chance),
)
