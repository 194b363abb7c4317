/**
 * Interchangeable names: states that differ by a permutation of them have one fingerprint (Ip and Dill, "Better
 * verification through symmetry", FMSD 1996; the names of a group are one scalarset).
 *
 * Every cell and every fiber whose own name mentions exactly one of the names, and whose content or history mentions no
 * other, belongs to that name: its hash is computed with the name left out, and the hashes of all that belongs to one
 * name are XORed into that name's signature. The names are ranked by their signatures. Whatever else mentions names is
 * hashed with each name replaced by its rank; where names tie, every order of them is tried and the least hash counts.
 * Two states with one fingerprint are thus (but for collisions) two for which a permutation of the names turns one into
 * the other: it maps names to names of equal signature, and what mentions several to what mentions their images.
 *
 * That the program does not treat one of the names specially is checked by `twins.ts`.
 */
import { canonicalText, digestText, type Hash, hashText, type Plain } from "../program/plain.ts"
import { breakRule } from "../program/runtime.ts"
import {
  contributionOf,
  type Entry,
  mix,
  type Part,
  type Place,
  type Store,
  type StoredCell,
} from "../program/store.ts"
import type { Instance } from "../scenario/program.ts"
import type { History } from "./history.ts"
import { isName, mentionedIn, type Renaming, renamingOf } from "./renaming.ts"

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

/** Something that mentions names beyond its own: hashed by their ranks. */
export interface Mention {
  /** The hash, with the names replaced by ranks; `ranks` has the rank of each name by position. */
  hashAt(ranks: ReadonlyArray<number>): Hash
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
  /** Cells with contents that mention names beyond their own, and those contents. */
  private readonly mentions = new Map<StoredCell, Map<Entry["content"], Mention>>()
  private readonly renamings = new Map<number, Renaming>()

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
    for (const cell of store.cells) this.settle(store, cell)
  }

  private settle(store: Store, cell: StoredCell): void {
    const owner = this.ownerOf(cell.name)
    const mentioned = mentionedIn(cell.name, this.all)
    const leaveOut = this.leavingOut(owner)
    const salt = hashText(`cell ${String(leaveOut(cell.name))}`)
    const part = owner?.part ?? store
    const contributionTo: Place["contributionOf"] = (content) => {
      if (mentioned.size <= 1 && this.isOwn(content, owner)) return contributionOf(salt, leaveOut(content))
      const known = this.mentions.get(cell) ?? new Map<Plain, Mention>()
      known.set(
        content,
        this.mention((rename) => `cell ${String(rename(cell.name))}\n${canonicalText(rename(content))}`),
      )
      this.mentions.set(cell, known)
      return nothing
    }
    cell.settle({ part, contributionOf: contributionTo })
  }

  /** Where a fiber belongs after a history. */
  placeOf(fiber: string, history: History): FiberPlace {
    const owner = this.ownerOf(fiber)
    let isOwn = mentionedIn(fiber, this.all).size <= 1
    history.text((value) => {
      isOwn &&= this.isOwn(value, owner)
      return value
    })
    if (!isOwn) return { part: owner?.part, ...nothing, mention: this.mention((rename) => history.text(rename)) }
    return { part: owner?.part, ...digestText(history.text(this.leavingOut(owner))), mention: undefined }
  }

  /**
   * Computes the fingerprint of a state.
   *
   * @param rest the fingerprint of what belongs to no name
   * @param fibers the mentions of fibers
   */
  fingerprint(rest: Hash, fibers: ReadonlyArray<Mention>): Hash {
    let { low, high } = rest
    for (const { part, group } of this.names) {
      low = (low + mix(part.low ^ mix(part.high ^ group))) | 0
      high = (high + mix(part.high ^ mix(part.low + 0x9e3779b9 + group))) | 0
    }
    const mentions = [...fibers]
    for (const [cell, known] of this.mentions) {
      const mention = known.get(cell.entry.content)
      if (mention !== undefined) mentions.push(mention)
    }
    if (mentions.length > 0) {
      const least = this.least(mentions)
      low ^= least.low
      high ^= least.high
    }
    return { low, high }
  }

  /** The least hash of the mentions, over all rankings that put the signatures in order. */
  private least(mentions: ReadonlyArray<Mention>): Hash {
    let least: Hash | undefined
    const ranks: Array<number> = []
    const blocks = this.groups.flatMap(blocksOf)
    const rankFrom = (block: number): void => {
      const tied = blocks[block]
      if (tied === undefined) {
        const hash = hashOf(mentions, ranks)
        if (least === undefined || isLess(hash, least)) least = hash
        return
      }
      for (const order of ordersOf(tied.names.length)) {
        tied.names.forEach((name, i) => {
          ranks[name.position] = tied.first + (order[i] ?? 0)
        })
        rankFrom(block + 1)
      }
    }
    rankFrom(0)
    return least ?? nothing
  }

  private mention(textOf: (rename: Renaming) => string): Mention {
    const hashes = new Map<number, Hash>()
    return {
      hashAt: (ranks) => {
        const key = keyOf(ranks)
        let hash = hashes.get(key)
        if (hash === undefined) {
          hash = digestText(textOf(this.renamingTo(key, ranks)))
          hashes.set(key, hash)
        }
        return hash
      },
    }
  }

  private renamingTo(key: number, ranks: ReadonlyArray<number>): Renaming {
    let renaming = this.renamings.get(key)
    if (renaming === undefined) {
      renaming = renamingOf(
        new Map(this.names.map(({ name, group, position }) => [name, ranked(group, ranks[position] ?? 0)])),
      )
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

  private leavingOut(owner: Name | undefined): Renaming {
    return renamingOf(new Map(owner === undefined ? [] : [[owner.name, own(owner.group)]]))
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

/** Names of one group that tie, and the first of their ranks. */
interface Block {
  readonly first: number
  readonly names: ReadonlyArray<Name>
}

const blocksOf = (group: ReadonlyArray<Name>): ReadonlyArray<Block> => {
  const sorted = group.toSorted((a, b) => (isLess(a.part, b.part) ? -1 : isLess(b.part, a.part) ? 1 : 0))
  const blocks: Array<{ first: number; names: Array<Name> }> = []
  for (const [rank, name] of sorted.entries()) {
    const last = blocks.at(-1)
    const tied = last?.names[0]
    if (last !== undefined && tied?.part.low === name.part.low && tied.part.high === name.part.high) {
      last.names.push(name)
    } else blocks.push({ first: rank, names: [name] })
  }
  return blocks
}

const isLess = (a: Hash, b: Hash): boolean => a.high < b.high || (a.high === b.high && a.low < b.low)

const hashOf = (mentions: ReadonlyArray<Mention>, ranks: ReadonlyArray<number>): Hash => {
  let low = 0
  let high = 0
  for (const mention of mentions) {
    const hash = mention.hashAt(ranks)
    low ^= hash.low
    high ^= hash.high
  }
  return { low, high }
}

/** One number for a ranking. */
const keyOf = (ranks: ReadonlyArray<number>): number => ranks.reduce((key, rank) => key * mostNames + rank, 0)

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
