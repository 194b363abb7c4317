/**
 * Numbers 64-bit fingerprints in the order in which they come, from 0: as `Visited`, open addressing with linear probing,
 * at most half full, and 12 bytes a place.
 *
 * Representation: place i holds the halves of a fingerprint and its number plus one, or 0 where it is free.
 */
export class Numbering {
  private places = 1 << 12
  private table = new Int32Array(3 * this.places)
  private size = 0

  /** The number of a fingerprint: its own, or the next one if it is new. */
  of(low: number, high: number): number {
    const place = this.find(low, high)
    const number = this.table[3 * place + 2] ?? 0
    if (number !== 0) return number - 1
    this.put(place, low, high, this.size + 1)
    if (++this.size * 2 > this.places) this.grow()
    return this.size - 1
  }

  /** The place of the fingerprint, or the free one where it belongs. */
  private find(low: number, high: number): number {
    const { table, places } = this
    let place = (low ^ Math.imul(high, 0x9e3779b1)) & (places - 1)
    while (table[3 * place + 2] !== 0 && (table[3 * place] !== low || table[3 * place + 1] !== high)) {
      place = (place + 1) & (places - 1)
    }
    return place
  }

  private put(place: number, low: number, high: number, number: number): void {
    this.table[3 * place] = low
    this.table[3 * place + 1] = high
    this.table[3 * place + 2] = number
  }

  private grow(): void {
    const old = this.table
    this.places *= 2
    this.table = new Int32Array(3 * this.places)
    for (let i = 0; i < old.length; i += 3) {
      const [low, high, number] = [old[i] ?? 0, old[i + 1] ?? 0, old[i + 2] ?? 0]
      if (number !== 0) this.put(this.find(low, high), low, high, number)
    }
  }
}
