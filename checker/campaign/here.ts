/** The part that the main thread takes in a search by several: it began alone, and goes on as one of them. */
import * as Effect from "effect/Effect"
import { attempt } from "../engine/supervised.ts"
import type { Piece } from "../explore/piece.ts"
import type { StatesSearch } from "../explore/states.ts"
import { type Ending, endingOf } from "../explore/strategy.ts"
import { Bell } from "./messages.ts"
import { exploreSlice } from "./slice.ts"

export class Here {
  readonly search: StatesSearch
  /** Rung by the workers when they say something: the main thread has it between two slices. */
  readonly bell = new SharedArrayBuffer(8)
  /** False once its piece has ended. */
  isExploring = true
  private readonly attention = new Int32Array(this.bell)
  /** A piece that is to be taken up in the next slice. */
  private coming: Piece | undefined

  /** @param search is going on */
  constructor(search: StatesSearch) {
    this.search = search
  }

  explore(piece: Piece): void {
    this.coming = piece
    this.isExploring = true
  }

  /** Part of what is left, if there is enough. */
  share(): Piece | undefined {
    return this.isExploring && this.coming === undefined ? this.search.give() : undefined
  }

  /** Explores for a while. Returns how the whole search ends, if it does. */
  readonly slice = (stallMilliseconds: number) =>
    Effect.catchTag(
      attempt(() => this.run(), stallMilliseconds),
      "Stalled",
      ({ message }) => Effect.succeed<Ending>({ kind: "unsound", message }),
    )

  private run(): Ending | undefined {
    Atomics.store(this.attention, Bell.attention, 0)
    const ending = this.takeUp() ?? exploreSlice(this.search, this.attention)
    if (ending?.kind !== "exhausted") return ending
    this.isExploring = false
    return undefined
  }

  private takeUp(): Ending | undefined {
    const piece = this.coming
    this.coming = undefined
    try {
      if (piece !== undefined) this.search.begin(piece)
      return undefined
    } catch (error) {
      return endingOf(error)
    }
  }
}
