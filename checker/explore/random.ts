/**
 * Strategy `random`: a uniform random choice among the fibers that can go on, at every step. Schedules are not equally
 * likely: those in which few fibers could go on are more so.
 */
import { type Chance, defaultExecutions, type Sampler, sampling } from "./sampling.ts"

class RandomWalk implements Sampler {
  private readonly random: () => number

  constructor({ random }: Chance) {
    this.random = random
  }

  begin(): void {}

  pick(ways: ReadonlyArray<number>, able: number): number {
    let wanted = able === 1 ? 0 : Math.floor(this.random() * able)
    for (let fiber = 0; ; fiber++) if (ways[fiber] !== 0 && wanted-- === 0) return fiber
  }
}

export const random = sampling(
  {
    name: "random",
    summary: `nothing is ever proved: --executions N schedules (default ${defaultExecutions}) drawn from --seed N, at every step uniformly among the fibers that can go on, showed no violation, and the exit status is 3`,
  },
  (chance) => new RandomWalk(chance),
)
