import type { Move } from "../engine/system.ts"

/** A path with a move at its end that was left for later, as the difference from the one before. */
export interface Branch {
  /** How many moves from the start are those of the branch before. */
  readonly common: number
  /** The others. */
  readonly moves: ReadonlyArray<Move>
}

/** How many numbers stand together. */
const size = 0x4000

/**
 * Branches of a depth-first search that wait, first in, first out. One that follows another shares most of its path, so
 * it costs some numbers only: how many moves are shared, how many are not, and these.
 */
export class Branches {
  private readonly chunks: Array<Int32Array> = []
  private written = 0
  private read = 0
  /** When the last one was added. */
  private last = -1

  get isEmpty(): boolean {
    return this.read === this.written
  }

  /**
   * Adds a branch: the path and one more move.
   *
   * @param stamps by depth, when the move of the path was made: later ones have greater numbers
   * @param now the greatest of them so far
   * @returns how many moves it stores: those not shared with the branch added before
   */
  add(path: ReadonlyArray<Move>, stamps: ReadonlyArray<number>, now: number, move: Move): number {
    let common = path.length
    while (common > 0 && (stamps[common - 1] ?? 0) > this.last) common--
    this.last = now
    this.push(common)
    this.push(path.length - common + 1)
    for (let depth = common; depth < path.length; depth++) this.push(path[depth] ?? 0)
    this.push(move)
    return path.length - common + 1
  }

  /** Takes the branch out that was added first. */
  next(): Branch {
    const common = this.shift()
    const length = this.shift()
    return { common, moves: Array.from({ length }, () => this.shift()) }
  }

  private push(value: number): void {
    const place = this.written++ % size
    if (place === 0) this.chunks.push(new Int32Array(size))
    const chunk = this.chunks.at(-1) as Int32Array // pushed above, at the latest
    chunk[place] = value
  }

  private shift(): number {
    const place = this.read++ % size
    const value = this.chunks[0]?.[place] ?? 0
    if (place === size - 1) this.chunks.shift()
    return value
  }
}
