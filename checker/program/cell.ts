import { type Hash, hashText, intern, NotPlain, type Plain } from "./plain.ts"
import { breakRule, runtime } from "./runtime.ts"
import { contributionOf, type Entry, type Part, type Place, type Store, type StoredCell } from "./store.ts"

/** A shared variable. Read or written inside steps only; guards and properties may read it. */
export interface Cell<A> {
  readonly name: string
  value: A
}

/** The place of a cell among all others. */
class Salted implements Place {
  readonly part: Part
  private readonly salt: Hash

  constructor(part: Part, salt: Hash) {
    this.part = part
    this.salt = salt
  }

  contributionOf(content: Plain): Hash {
    return contributionOf(this.salt, content)
  }
}

class CellOf<A> implements Cell<A>, StoredCell {
  readonly name: string
  readonly invariants: Array<number> = []
  readonly actionInvariants: Array<number> = []
  position = 0
  bitsLow = 0
  bitsHigh = 0
  entry: Entry
  recording = 0
  collected = 0
  readonly isData: boolean
  private readonly store: Store
  private place: Place
  /** By content, from the second one on: most cells of most executions never change. */
  private entries: Map<Plain, Entry> | undefined

  constructor(store: Store, name: string, initial: A, isData: boolean) {
    this.place = new Salted(store, hashText(`cell ${name}`))
    this.store = store
    this.name = name
    this.isData = isData
    this.entry = this.newEntry(plain(name, initial), 0)
    store.add(this)
  }

  get part(): Part {
    return this.place.part
  }

  get value(): A {
    return this.store.read(this) as A // only `value` writes the content, and it takes an A
  }

  set value(value: A) {
    this.store.write(this, plain(this.name, value))
  }

  entryOf(content: Plain): Entry {
    this.entries ??= new Map([[this.entry.content, this.entry]])
    let entry = this.entries.get(content)
    if (entry === undefined) {
      entry = this.newEntry(content, this.entries.size)
      this.entries.set(content, entry)
    }
    return entry
  }

  settle(place: Place): void {
    const { content, low, high } = this.entry
    this.part.low ^= low
    this.part.high ^= high
    this.place = place
    this.entries = undefined
    this.entry = this.newEntry(content, 0)
    this.part.low ^= this.entry.low
    this.part.high ^= this.entry.high
  }

  private newEntry(content: Plain, index: number): Entry {
    const { low, high } = this.place.contributionOf(content, index)
    return { content, index, low, high }
  }
}

const plain = (name: string, value: unknown): Plain => {
  try {
    return intern(value)
  } catch (error) {
    if (!(error instanceof NotPlain)) throw error
    return breakRule(`cell ${name} cannot hold that value: ${error.message}; cells hold plain data`)
  }
}

/**
 * Makes a shared variable of the program that is being set up.
 *
 * @param name how traces and messages call it; unique in the program
 * @param initial its content in the first state; plain data, as everything that it will hold
 */
export const cell = <A>(name: string, initial: A): Cell<A> => newCell(name, initial, false)

/**
 * Makes a shared variable that orders nothing: a plain `int` of C where `cell` is an `atomic_t`. The property
 * `dataRaces` asks that its accesses are ordered by something else; without that property it is a cell like any other.
 */
export const dataCell = <A>(name: string, initial: A): Cell<A> => newCell(name, initial, true)

const newCell = <A>(name: string, initial: A, isData: boolean): Cell<A> => {
  const store = runtime.setup
  if (store === undefined) return breakRule(`cell ${name} is made outside the setup of a scenario`)
  if (store.has(name)) return breakRule(`two cells are called ${name}`)
  return new CellOf(store, name, initial, isData)
}

/** A record whose fields are cells: read and assigned like those of a C struct. */
export type Struct<A> = { -readonly [Field in keyof A]: A[Field] }

/**
 * Makes a record of shared variables, one cell per field, named `name.field`.
 *
 * @example
 * const subs = struct("subs", { seq: 2, active: 0 })
 * // inside a step: subs.active++; subs.seq |= 1
 */
export const struct = <A extends object>(name: string, initial: A): Struct<A> => structOf(cell, name, initial)

/** As `struct`, of fields that order nothing: see `dataCell`. */
export const dataStruct = <A extends object>(name: string, initial: A): Struct<A> => structOf(dataCell, name, initial)

const structOf = <A extends object>(make: typeof cell, name: string, initial: A): Struct<A> => {
  const target = {}
  for (const [field, value] of Object.entries(initial)) {
    const stored = make<unknown>(`${name}.${field}`, value)
    Object.defineProperty(target, field, {
      enumerable: true,
      // Methods: of functions that are values the loader would name each, and every instance of a program has thousands.
      get() {
        return stored.value
      },
      set(next: unknown) {
        stored.value = next
      },
    })
  }
  return target as Struct<A> // one accessor per field of A was just defined
}
