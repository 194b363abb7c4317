/**
 * Strategy `pos`: partial-order sampling. Yuan, Yang and Gu, "Partial order aware concurrency sampling", CAV 2018,
 * algorithm 1.
 *
 * Each step that a fiber is about to take has a priority of its own, and the one with the highest is taken; those that
 * race with it get new ones, so that which of several comes first stays as open as it was before one was put first.
 *
 * Where it differs: two steps race where they have a cell in common that one of them writes, reads of guards included.
 * Cells beyond the first 64 share their marks, so some steps get a new priority without need.
 */

import type { Memoised } from "../engine/memoised.ts"
import { conflict } from "../engine/roughFootprint.ts"
import { moveOf } from "../engine/system.ts"
import { Priorities } from "./priorities.ts"
import { type Chance, defaultExecutions, type Sampler, sampling } from "./sampling.ts"

class Pos implements Sampler {
  private readonly engine: Memoised
  private readonly priorities: Priorities

  constructor({ random, engine }: Chance) {
    this.engine = engine
    this.priorities = new Priorities(random)
  }

  begin(): void {
    this.priorities.begin()
  }

  pick(ways: ReadonlyArray<number>, able: number): number {
    const { engine, priorities } = this
    const fiber = priorities.highest(ways)
    if (able > 1) {
      const taken = engine.footprint(moveOf(fiber, 0))
      for (let other = 0; other < ways.length; other++) {
        if (other === fiber || ways[other] === 0) continue
        if (conflict(taken, engine.footprint(moveOf(other, 0)))) priorities.draw(other)
      }
    }
    priorities.draw(fiber)
    return fiber
  }
}

export const pos = sampling(
  {
    name: "pos",
    needsSteps: true,
    summary: `nothing is ever proved: --executions N schedules (default ${defaultExecutions}) drawn from --seed N showed no violation; each step has a random priority, and gets another whenever one that races with it is taken, so orders that differ are drawn more evenly than by random`,
  },
  (chance) => new Pos(chance),
)
