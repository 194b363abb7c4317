/**
 * Interchangeable names: states that differ by a permutation of them have one fingerprint (Ip and Dill, "Better
 * verification through symmetry", FMSD 1996; the names of a group are one scalarset).
 *
 * Every cell and every fiber whose own name mentions exactly one of the names, and whose content or history mentions no
 * other, belongs to that name: its hash is computed with the name left out, and the hashes of all that belongs to one
 * name are XORed into that name's signature. Whatever else mentions names adds to each signature how it mentions that
 * name, all others being alike. The names are ranked by their signatures, and what mentions several is hashed with each
 * name replaced by its rank; where names tie and it matters, every order of them is tried and the least hash counts.
 * Two states with one fingerprint are thus (but for collisions) two for which a permutation of the names turns one into
 * the other: it maps names to names of equal signature, and what mentions several to what mentions their images.
 *
 * That the program does not treat one of the names specially is checked by `twins.ts`.
 */
import { canonicalText, digestText, type Hash, hashText, type Plain } from "../program/plain.ts"
import { breakRule } from "../program/runtime.ts"
import { contributionOf, mix, type Part, type Place, type Store, type StoredCell } from "../program/store.ts"
import type { Instance } from "../scenario/program.ts"
import type { History } from "./history.ts"
import { Mention } from "./mention.ts"
import { isName, mentionedIn, type Renaming, renamingOf, sameNames } from "./renaming.ts"

/** How many names a group has at most: their orders are tried one by one where they tie. */
const mostNames = 6

interface Name {
  readonly group: number
  readonly name: string
  /** Its place among all names. */
  readonly position: number
  /** The signature: of all that belongs to the name. */
  readonly part: Part
}

/** Where a fiber after a history belongs. */
export interface FiberPlace {
  /** The signature that it adds to; `undefined` where it belongs to no name. */
  readonly part: Part | undefined
  readonly low: number
  readonly high: number
  readonly mention: Mention | undefined
}

const nothing: Hash = { low: 0, high: 0 }

/** What stands in the place of a name: in what belongs to it, and where it has a rank. No name looks like these. */
const own = (group: number) => `\u0001${group}`
const ranked = (group: number, rank: number) => `\u0001${group}.${rank}`

export class Interchange {
  /** Neighbours of a group change places: together these make all permutations. */
  readonly swaps: ReadonlyArray<readonly [string, string]>
  private readonly names: ReadonlyArray<Name>
  private readonly groups: ReadonlyArray<ReadonlyArray<Name>>
  private readonly all: ReadonlySet<string>
  private readonly byName: ReadonlyMap<string, Name>
  /** Cells that have had contents that mention names beyond their own, and those, by the index of the entry. */
  private readonly mentioning: Array<{
    readonly cell: StoredCell
    readonly known: ReadonlyArray<Mention | undefined>
  }> = []
  private readonly renamings = new Map<number, Renaming>()
  private readonly swappings = new Map<number, Renaming>()
  /** For each name, those that tell it from all others. */
  private readonly colourings: ReadonlyArray<Renaming>
  /** For each name, by position, what says of it only whose it is. */
  private readonly leavings: ReadonlyArray<Renaming>
  /** The names of each group, by position. */
  private readonly ranges: ReadonlyArray<Range>
  private readonly groupOf: ReadonlyArray<number>
  /** By position: the signatures of the state that is being looked at. */
  private readonly lows: Int32Array
  private readonly highs: Int32Array
  /** What each signature adds to the fingerprint, and the sums of that. */
  private readonly mixedLows: Int32Array
  private readonly mixedHighs: Int32Array
  private sumLow = 0
  private sumHigh = 0
  /** Whether signatures have changed since the names were ranked. */
  private isUnranked = true
  /** The positions, group by group in the order of their signatures; and the rank of each in its group. */
  private readonly order: Int32Array
  private readonly ranks: Int32Array
  /** The first `count` are what mentions names beyond its own in the state that is being looked at. */
  private readonly mentions: Array<Mention> = []
  private count = 0
  /** The fingerprint that was computed last. */
  low = 0
  high = 0

  /** @param groups disjoint sets of two names or more: see `checkGroups` */
  constructor(store: Store, groups: ReadonlyArray<ReadonlyArray<string>>) {
    let position = 0
    this.groups = groups.map((names, group) =>
      names.map((name) => ({ group, name, position: position++, part: { low: 0, high: 0 } })),
    )
    this.names = this.groups.flat()
    this.all = new Set(this.names.map(({ name }) => name))
    this.byName = new Map(this.names.map((name) => [name.name, name]))
    this.swaps = this.groups.flatMap((names) =>
      names.slice(1).map((name, before) => [names[before]?.name ?? "", name.name] as const),
    )
    const names = this.names.length
    this.groupOf = this.names.map(({ group }) => group)
    this.colourings = this.names.map((one) =>
      renamingOf(
        new Map(this.names.map((name) => [name.name, name === one ? own(name.group) : ranked(name.group, 0)])),
      ),
    )
    this.leavings = this.names.map(({ name, group }) => renamingOf(new Map([[name, own(group)]])))
    this.ranges = this.groups.map((group) => {
      const first = group[0]?.position ?? 0
      return { first, end: first + group.length }
    })
    this.lows = new Int32Array(names)
    this.highs = new Int32Array(names)
    this.mixedLows = new Int32Array(names)
    this.mixedHighs = new Int32Array(names)
    this.order = new Int32Array(names)
    this.ranks = new Int32Array(names)
    for (const { position } of this.names) this.mix(position)
    for (const cell of store.cells) this.settle(store, cell)
  }

  private settle(store: Store, cell: StoredCell): void {
    const owner = this.ownerOf(cell.name)
    const mentioned = mentionedIn(cell.name, this.all)
    const leaveOut = this.leavingOut(owner)
    const salt = hashText(`cell ${String(leaveOut(cell.name))}`)
    const part = owner?.part ?? store
    const known: Array<Mention | undefined> = []
    const contributionTo: Place["contributionOf"] = (content, index) => {
      if (mentioned.size <= 1 && this.isOwn(content, owner)) return contributionOf(salt, leaveOut(content))
      if (known.length === 0) this.mentioning.push({ cell, known })
      known[index] = this.mention((rename) => `cell ${String(rename(cell.name))}\n${canonicalText(rename(content))}`)
      return nothing
    }
    cell.settle({ part, contributionOf: contributionTo })
  }

  /** Where a fiber belongs after a history. */
  placeOf(fiber: string, history: History): FiberPlace {
    const owner = this.ownerOf(fiber)
    let isOwn = mentionedIn(fiber, this.all).size <= 1
    history.forEach((value) => {
      isOwn &&= this.isOwn(value, owner)
    })
    if (!isOwn) return { part: owner?.part, ...nothing, mention: this.mention((rename) => history.text(rename)) }
    return { part: owner?.part, ...digestText(history.text(this.leavingOut(owner))), mention: undefined }
  }

  /**
   * Computes the fingerprint of a state, into `low` and `high`.
   *
   * @param low fingerprint of what belongs to no name; likewise `high`
   * @param fibers where they stand
   */
  fingerprint(low: number, high: number, fibers: ReadonlyArray<Pick<FiberPlace, "mention">>): void {
    this.count = 0
    for (let i = 0; i < fibers.length; i++) this.note(fibers[i]?.mention)
    for (const { cell, known } of this.mentioning) this.note(known[cell.entry.index])
    const changed = this.sign()
    low = (low + this.sumLow) | 0
    high = (high + this.sumHigh) | 0
    if (this.count > 0) {
      if (changed) this.rank()
      const hash = this.isTied() ? this.least() : this.hash()
      low ^= hash.low
      high ^= hash.high
    }
    this.low = low
    this.high = high
  }

  private note(mention: Mention | undefined): void {
    if (mention !== undefined) this.mentions[this.count++] = mention
  }

  /**
   * Brings the signatures and their sums up to date: what belongs to a name, and how everything else mentions it. Most
   * steps change one of them at most. Returns whether the names may have to be ranked again.
   */
  private sign(): boolean {
    const { mentions, count } = this
    let changed = this.isUnranked
    for (let position = 0; position < this.names.length; position++) {
      const { part } = this.names[position] as Name // within the names
      let a = part.low
      let b = part.high
      for (let i = 0; i < count; i++) {
        const mention = mentions[i] as Mention // within the count
        a = (a + (mention.coloursLow[position] ?? 0)) | 0
        b = (b + (mention.coloursHigh[position] ?? 0)) | 0
      }
      if (a === this.lows[position] && b === this.highs[position]) continue
      changed = true
      this.lows[position] = a
      this.highs[position] = b
      this.mix(position)
    }
    this.isUnranked = changed && count === 0
    return changed
  }

  /** Brings up to date what the signature of a name adds. */
  private mix(position: number): void {
    const a = this.lows[position] ?? 0
    const b = this.highs[position] ?? 0
    const group = this.groupOf[position] ?? 0
    const low = mix(a ^ mix(b ^ group))
    const high = mix(b ^ mix(a + 0x9e3779b9 + group))
    this.sumLow = (this.sumLow - (this.mixedLows[position] ?? 0) + low) | 0
    this.sumHigh = (this.sumHigh - (this.mixedHighs[position] ?? 0) + high) | 0
    this.mixedLows[position] = low
    this.mixedHighs[position] = high
  }

  /** Puts the names of each group in the order of their signatures. */
  private rank(): void {
    const { order, ranks } = this
    for (const { first, end } of this.ranges) {
      for (let i = first; i < end; i++) {
        let at = i
        for (; at > first && this.compare(i, order[at - 1] ?? 0) < 0; at--) order[at] = order[at - 1] ?? 0
        order[at] = i
      }
      for (let i = first; i < end; i++) ranks[order[i] ?? 0] = i - first
    }
  }

  private compare(a: number, b: number): number {
    const { lows, highs } = this
    return (highs[a] ?? 0) - (highs[b] ?? 0) || (lows[a] ?? 0) - (lows[b] ?? 0)
  }

  /** Whether two names have one signature, and it matters to a mention which comes first. */
  private isTied(): boolean {
    for (const { first, end } of this.ranges) {
      for (let i = first + 1; i < end; i++) {
        const a = this.order[i - 1] ?? 0
        const b = this.order[i] ?? 0
        if (this.compare(a, b) !== 0) continue
        for (let m = 0; m < this.count; m++) {
          const mention = this.mentions[m] as Mention // within the count
          if (!mention.isSymmetric(a, b, this.swapping)) return true
        }
      }
    }
    return false
  }

  private readonly swapping = (a: number, b: number): Renaming => {
    const key = a * this.names.length + b
    let renaming = this.swappings.get(key)
    if (renaming === undefined) {
      const [first = "", second = ""] = [this.names[a]?.name, this.names[b]?.name]
      renaming = renamingOf(
        new Map([
          [first, second],
          [second, first],
        ]),
      )
      this.swappings.set(key, renaming)
    }
    return renaming
  }

  /** The least hash of the mentions, over all rankings that put the signatures in order. */
  private least(): Hash {
    let least: Hash | undefined
    const blocks = this.ranges.flatMap((range) => this.blocksOf(range))
    const rankFrom = (block: number): void => {
      const tied = blocks[block]
      if (tied === undefined) {
        const hash = this.hash()
        if (least === undefined || isLess(hash, least)) least = hash
        return
      }
      for (const order of ordersOf(tied.positions.length)) {
        for (const [i, position] of tied.positions.entries()) this.ranks[position] = tied.first + (order[i] ?? 0)
        rankFrom(block + 1)
      }
    }
    rankFrom(0)
    return least ?? nothing
  }

  private blocksOf({ first, end }: Range): ReadonlyArray<Block> {
    const blocks: Array<{ first: number; positions: Array<number> }> = []
    for (let i = first; i < end; i++) {
      const position = this.order[i] ?? 0
      const last = blocks.at(-1)
      if (last !== undefined && this.compare(last.positions[0] ?? 0, position) === 0) last.positions.push(position)
      else blocks.push({ first: i - first, positions: [position] })
    }
    return blocks
  }

  /** The hash of the mentions under the present ranking. */
  private hash(): Hash {
    let key = 0
    for (let position = 0; position < this.names.length; position++) {
      key = key * mostNames + (this.ranks[position] ?? 0)
    }
    let low = 0
    let high = 0
    for (let i = 0; i < this.count; i++) {
      const hash = (this.mentions[i] as Mention).hashAt(key, this.renamingTo) // within the count
      low ^= hash.low
      high ^= hash.high
    }
    return { low, high }
  }

  /** Replaces names by their ranks; `key` stands for the present ranking. */
  private readonly renamingTo = (key: number): Renaming => {
    let renaming = this.renamings.get(key)
    if (renaming === undefined) {
      const ranks = this.names.map(
        ({ name, group, position }) => [name, ranked(group, this.ranks[position] ?? 0)] as const,
      )
      renaming = renamingOf(new Map(ranks))
      this.renamings.set(key, renaming)
    }
    return renaming
  }

  /** The one name that a text mentions. */
  private ownerOf(text: string): Name | undefined {
    const mentioned = [...mentionedIn(text, this.all)]
    return mentioned.length === 1 ? this.byName.get(mentioned[0] ?? "") : undefined
  }

  private isOwn(value: Plain, owner: Name | undefined): boolean {
    for (const name of mentionedIn(value, this.all)) if (name !== owner?.name) return false
    return true
  }

  private mention(textOf: (rename: Renaming) => string): Mention {
    return new Mention(textOf, this.colourings)
  }

  private leavingOut(owner: Name | undefined): Renaming {
    return owner === undefined ? sameNames : (this.leavings[owner.position] ?? sameNames)
  }
}

/** The interchangeable names of a program, if it has any and they are to count. */
export const interchangeOf = (instance: Instance, symmetry: boolean): Interchange | undefined =>
  symmetry && instance.interchangeable.length > 0
    ? new Interchange(instance.store, instance.interchangeable)
    : undefined

/** Where a fiber belongs, whether names are interchangeable or not. */
export const placeOf = (interchange: Interchange | undefined, fiber: string, history: History): FiberPlace =>
  interchange?.placeOf(fiber, history) ?? { part: undefined, ...digestText(history.text()), mention: undefined }

/** @throws RuleBroken when the groups are no disjoint sets of two names or more */
export const checkGroups = (groups: ReadonlyArray<ReadonlyArray<string>>): void => {
  const seen = new Set<string>()
  for (const names of groups) {
    if (names.length < 2) breakRule(`${names.join()} cannot be interchangeable alone: a group has two names or more`)
    if (names.length > mostNames) breakRule(`${names.length} names are interchangeable; at most ${mostNames} can be`)
    for (const name of names) {
      if (!isName(name))
        breakRule(`${JSON.stringify(name)} cannot be interchangeable: a name is letters, digits, _ and -`)
      if (seen.has(name)) breakRule(`${name} is declared interchangeable twice`)
      seen.add(name)
    }
  }
}

/** Names of one group: from a position up to another. */
interface Range {
  readonly first: number
  readonly end: number
}

/** Names of one group that tie, and the first of their ranks. */
interface Block {
  readonly first: number
  readonly positions: ReadonlyArray<number>
}

const isLess = (a: Hash, b: Hash): boolean => a.high < b.high || (a.high === b.high && a.low < b.low)

/** All orders of the numbers below `count`. */
const ordersOf = (count: number): ReadonlyArray<ReadonlyArray<number>> => {
  const known = orders[count]
  if (known !== undefined) return known
  const made = ordersOf(count - 1).flatMap((order) =>
    Array.from({ length: count }, (_, at) => [...order.slice(0, at), count - 1, ...order.slice(at)]),
  )
  orders[count] = made
  return made
}
const orders: Array<ReadonlyArray<ReadonlyArray<number>>> = [[[]]]
