import { type Struct, struct } from "./cell.ts"

/** One place for an object that comes and goes. */
export type Slot<A> = Struct<A> & { live: boolean; generation: number; readonly index: number }

/** A bounded set of places for objects of one kind. */
export interface Arena<A> {
  readonly name: string
  readonly slots: ReadonlyArray<Slot<A>>
  /**
   * Takes the lowest free slot that fits, one generation younger than before; `undefined` when there is none. Within a
   * step.
   */
  allocate(fits?: (slot: Slot<A>) => boolean): Slot<A> | undefined
  /** Gives a slot back and its fields their first contents. Its generation stays, so that stale references show. */
  free(slot: Slot<A>): void
}

/**
 * Makes a bounded arena. Lowest free slot first, so that runs that allocated in different orders can meet in one state;
 * a generation per slot, so that a recycled object is told from the old one.
 *
 * @param initial the fields of a fresh object
 * @param lives how many generations of a slot are told apart, for programs that go on for ever: the next is the first again
 */
export const arena = <A extends object>(
  name: string,
  size: number,
  initial: A,
  lives = Number.POSITIVE_INFINITY,
): Arena<A> => {
  const slots = Array.from({ length: size }, (_, index) => {
    const fields = struct(`${name}${index}`, initial)
    const life = struct(`${name}${index}`, { live: false, generation: 0 })
    const slot = Object.defineProperties(fields, Object.getOwnPropertyDescriptors(life))
    return Object.defineProperty(slot, "index", { value: index }) as Slot<A> // all its fields were just defined
  })
  return {
    name,
    slots,
    allocate: (fits = () => true) => {
      const slot = slots.find((candidate) => !candidate.live && fits(candidate))
      if (slot === undefined) return undefined
      slot.live = true
      slot.generation = slot.generation === lives ? 1 : slot.generation + 1
      return slot
    },
    free: (slot) => {
      Object.assign(slot, initial)
      slot.live = false
    },
  }
}
