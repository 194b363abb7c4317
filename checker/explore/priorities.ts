/** Priorities of fibers, for samplers that let the one with the highest go on. */
export class Priorities {
  private readonly random: () => number
  /** By fiber. */
  private readonly priorities: Array<number> = []
  /** How many fibers have one. */
  private length = 0

  constructor(random: () => number) {
    this.random = random
  }

  /** No fiber has one. */
  begin(): void {
    this.length = 0
  }

  /** Draws a fiber's priority anew: from 0 to 1. */
  draw(fiber: number): void {
    this.priorities[fiber] = this.random()
  }

  /** Gives a fiber one that is not drawn: below 0, if it is to be put last. */
  set(fiber: number, priority: number): void {
    this.priorities[fiber] = priority
  }

  /**
   * The fiber with the highest priority of those that can go on. Of a fiber that has none it is drawn now.
   *
   * @param passed by fiber: whether it is passed over
   * @returns -1 where all are passed over
   */
  highest(ways: ReadonlyArray<number>, passed?: ReadonlyArray<boolean>): number {
    const { priorities } = this
    while (this.length < ways.length) this.draw(this.length++)
    let best = -1
    let most = Number.NEGATIVE_INFINITY
    for (let fiber = 0; fiber < ways.length; fiber++) {
      const priority = priorities[fiber] as number // drawn above, at the latest
      if (ways[fiber] === 0 || priority <= most || passed?.[fiber] === true) continue
      best = fiber
      most = priority
    }
    return best
  }
}
