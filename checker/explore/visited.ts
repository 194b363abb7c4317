/**
 * A set of 64-bit fingerprints: open addressing with linear probing, 8 bytes a place, at most half full.
 *
 * Representation: place i is free iff both its halves are 0; the fingerprint 0 is stored as (0, 1).
 */
export class Visited {
  private places = 1 << 16
  private table = new Int32Array(2 * this.places)
  size = 0

  /** Adds a fingerprint; false if it was there. */
  add(low: number, high: number): boolean {
    if (!this.insert(low, (low | high) === 0 ? 1 : high)) return false
    if (++this.size * 2 > this.places) this.grow()
    return true
  }

  has(low: number, high: number): boolean {
    const place = this.find(low, (low | high) === 0 ? 1 : high)
    return this.table[2 * place] !== 0 || this.table[2 * place + 1] !== 0
  }

  /** The place of the fingerprint, or the free one where it belongs. */
  private find(low: number, high: number): number {
    const { table, places } = this
    let place = (low ^ Math.imul(high, 0x9e3779b1)) & (places - 1)
    for (;;) {
      const there = table[2 * place] ?? 0
      const above = table[2 * place + 1] ?? 0
      if ((there | above) === 0 || (there === low && above === high)) return place
      place = (place + 1) & (places - 1)
    }
  }

  private insert(low: number, high: number): boolean {
    const place = this.find(low, high)
    if (this.table[2 * place] !== 0 || this.table[2 * place + 1] !== 0) return false
    this.table[2 * place] = low
    this.table[2 * place + 1] = high
    return true
  }

  private grow(): void {
    const old = this.table
    this.places *= 2
    this.table = new Int32Array(2 * this.places)
    for (let i = 0; i < old.length; i += 2) {
      const low = old[i] ?? 0
      const high = old[i + 1] ?? 0
      if ((low | high) !== 0) this.insert(low, high)
    }
  }
}

/**
 * The odds that a search of this many states missed one because two fingerprints of 64 bits were equal: at most
 * n² / 2⁶⁵ (as TLC reports it), if fingerprints are as good as random.
 */
export const missedStateOdds = (states: number): number => (states * states) / 2 ** 65
