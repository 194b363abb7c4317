/** A list of small numbers in a typed array that grows. */
export class Column<A extends Uint8Array | Int32Array | Uint32Array> {
  length = 0
  private numbers: A
  private readonly make: new (
    length: number,
  ) => A

  constructor(make: new (length: number) => A) {
    this.make = make
    this.numbers = new make(1024)
  }

  push(value: number): void {
    if (this.length === this.numbers.length) {
      const grown = new this.make(2 * this.length)
      grown.set(this.numbers)
      this.numbers = grown
    }
    this.numbers[this.length++] = value
  }

  /** The number at a position that is taken. */
  at(position: number): number {
    return this.numbers[position] ?? 0
  }

  set(position: number, value: number): void {
    this.numbers[position] = value
  }
}
