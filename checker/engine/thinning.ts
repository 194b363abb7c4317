/**
 * Picks a sample of things that come one after the other: the first so many, and then one whenever there are more of them
 * by a factor. So what comes late is still looked at, and looking costs no more than the logarithm of their number.
 */
export class Thinning {
  private readonly atFirst: number
  private readonly factor: number
  private count = 0
  private wanted = 1

  constructor(atFirst: number, factor: number) {
    this.atFirst = atFirst
    this.factor = factor
  }

  /** Whether the next one is of the sample. */
  next(): boolean {
    if (++this.count < this.wanted) return false
    this.wanted = this.count < this.atFirst ? this.count + 1 : Math.ceil(this.count * this.factor)
    return true
  }
}
