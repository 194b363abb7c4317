/** Wakeup trees (Abdulla, Aronis, Jonsson, Sagonas, JACM 64(4), 2017, section 5): sequences that are still to be explored. */
import { conflict, type Footprint } from "../../engine/dependence.ts"

/** A step of a fiber in a sequence. */
export interface Step {
  /** The fiber, as `Footprints` numbers them. */
  readonly id: number
  /** Which option of a choice; 0 for other steps. */
  readonly option: number
  readonly footprint: Footprint
}

/** A step of a sequence, and the ways on behind it, the one to explore first at the front. A leaf leaves all open. */
export interface Branch extends Step {
  readonly children: Array<Branch>
}

/** Whether a step is a weak initial of a sequence; if so, its position there, or -1 where it is independent of all. */
const positionIn = ({ id, option, footprint }: Step, sequence: ReadonlyArray<Step>): number | undefined => {
  for (let position = 0; position < sequence.length; position++) {
    const step = sequence[position] as Step // within
    if (step.id === id) return step.option === option ? position : undefined
    if (conflict(footprint, step.footprint)) return undefined
  }
  return -1
}

/**
 * Whether a step could come first in the sequence, or before it: a weak initial. What begins with the sequence is then
 * explored where what begins with the step is.
 */
export const isWeakInitial = (step: Step, sequence: ReadonlyArray<Step>): boolean =>
  positionIn(step, sequence) !== undefined

/**
 * Makes sure that an execution that begins with a sequence will be explored, or an equivalent one: adds the rest of the
 * sequence behind the branches that agree with it, unless that comes to a leaf.
 *
 * @param strictly goes along no branch whose step is no part of the sequence: that one might not agree with a longer
 * sequence of the same beginning
 * @returns false where nothing could be done so strictly
 */
export const insert = (branches: Array<Branch>, sequence: ReadonlyArray<Step>, strictly: boolean): boolean => {
  let rest = sequence
  let at = branches
  for (;;) {
    let next: Branch | undefined
    for (const branch of at) {
      const position = positionIn(branch, rest)
      if (position === undefined) continue
      if (strictly && position < 0) return false
      next = branch
      if (position >= 0) rest = rest.filter((_, other) => other !== position)
      break
    }
    if (next === undefined) {
      at.push(...chainOf(rest))
      return true
    }
    if (next.children.length === 0) return true
    at = next.children
  }
}

/** The branch without forks that is a sequence. */
const chainOf = (sequence: ReadonlyArray<Step>): ReadonlyArray<Branch> => {
  let children: Array<Branch> = []
  for (let position = sequence.length - 1; position >= 0; position--) {
    const { id, option, footprint } = sequence[position] as Step // within
    children = [{ id, option, footprint, children }]
  }
  return children
}
