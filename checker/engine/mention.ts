import { digestText, type Hash } from "../program/plain.ts"
import { type Renaming, sameNames } from "./renaming.ts"

/** Something that mentions names beyond its own: a fiber after a history, or a cell with a content. */
export class Mention {
  /** By the position of a name: the hash of the text with that name told from all others, and no other. */
  readonly coloursLow: Int32Array
  readonly coloursHigh: Int32Array
  private readonly textOf: (rename: Renaming) => string
  private readonly text: string
  private readonly hashes = new Map<number, Hash>()
  private readonly symmetric = new Map<number, boolean>()

  constructor(textOf: (rename: Renaming) => string, colourings: ReadonlyArray<Renaming>) {
    this.textOf = textOf
    this.text = textOf(sameNames)
    const colours = colourings.map((colouring) => digestText(textOf(colouring)))
    this.coloursLow = Int32Array.from(colours, ({ low }) => low)
    this.coloursHigh = Int32Array.from(colours, ({ high }) => high)
  }

  /** The hash of the text with the names replaced by ranks. `key` stands for the ranking. */
  hashAt(key: number, renamingTo: (key: number) => Renaming): Hash {
    let hash = this.hashes.get(key)
    if (hash === undefined) {
      hash = digestText(this.textOf(renamingTo(key)))
      this.hashes.set(key, hash)
    }
    return hash
  }

  /** Whether the text stays the same when the names at two positions change places. */
  isSymmetric(a: number, b: number, swapping: (a: number, b: number) => Renaming): boolean {
    const key = a < b ? a * this.coloursLow.length + b : b * this.coloursLow.length + a
    let symmetric = this.symmetric.get(key)
    if (symmetric === undefined) {
      symmetric = this.textOf(swapping(a, b)) === this.text
      this.symmetric.set(key, symmetric)
    }
    return symmetric
  }
}
