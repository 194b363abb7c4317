/** A piece of an exploration as a value: it can be sent to another thread, or written down and taken up another day. */
import { isReserved, type OpenMove } from "../engine/lookahead.ts"
import type { Move } from "../engine/system.ts"

/**
 * Part of a depth-first search: a path from the initial state, and at each state on it the moves that nobody has made
 * yet. All states on the path have been visited, and those that reserved moves lead to are in the table. Moves mean the same along the same path in every thread and process.
 */
export interface Piece {
  readonly path: ReadonlyArray<Move>
  /** By how many moves of the path lead to the state: one list more than the path has moves. */
  readonly open: ReadonlyArray<ReadonlyArray<OpenMove>>
}

/** How many moves are open in a piece. */
export const openIn = ({ open }: Piece): number => open.reduce((sum, moves) => sum + moves.length, 0)

/** How many of them are reserved: states that are in the table and have not been visited. */
export const reservedIn = ({ open }: Piece): number =>
  open.reduce((sum, moves) => sum + moves.filter(isReserved).length, 0)
