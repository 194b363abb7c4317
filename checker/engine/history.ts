/** What a fiber's future depends on. */

import type { Operation } from "../program/operation.ts"
import { canonicalText, digestText, type Hash, type Plain } from "../program/plain.ts"
import type { NamedFiber } from "../scenario/program.ts"
import { type Renaming, sameNames } from "./renaming.ts"

/** What stands in the place of a result where a fiber was interrupted. */
export const interruption: unique symbol = Symbol("interruption")

/** What a fiber was told where it was parked. */
export type Answer = Plain | typeof interruption

/** How a fiber came to where it is. */
export interface Way {
  readonly fiber: NamedFiber
  /** Where it was before, and what it was told there. */
  readonly parent: Way | undefined
  readonly answer: Answer
  /** For a fiber that was forked: how the one that did came there. */
  readonly forkedBy: Way | undefined
}

/** What a fiber was told on its way. */
export const answersTo = (way: Way): ReadonlyArray<Answer> => {
  const answers: Array<Answer> = []
  for (let at = way; at.parent !== undefined; at = at.parent) answers.push(at.answer)
  return answers.reverse()
}

/**
 * A place that a fiber's future may depend on instead of all that came before it: the head of a loop or a checkpoint, or
 * where a procedure was called or has returned. To a call the fiber came by all that is said of `entry`.
 */
export interface Since {
  readonly kind: "head" | "call" | "return"
  /** Which checkpoint or loop it is: `checkpoint retry`, `loop retry`. */
  readonly label: string
  /** What is still needed of what came before; of a procedure, what it returned. */
  readonly live: Plain
  /** In how many calls it is; behind a checkpoint, which of those that were open there it is. */
  readonly calls: number
  /** Whether the fiber was interrupted before: it may end so where a region ends that cannot be. */
  readonly interrupted: boolean
  /** How the fiber came to the loop that it is at the head of, or to the call. */
  readonly entry: History | undefined
  /** The last operation before a return, for its name: it is not told apart by that. */
  readonly last: Operation | undefined
}

const nothingSince: Since = {
  kind: "call",
  label: "",
  live: undefined,
  calls: 0,
  interrupted: false,
  entry: undefined,
  last: undefined,
}

/**
 * The history of a fiber: who it is, the last checkpoint, call or return that it passed, and what it was told since. Until
 * the first, also how the fiber came to be, if it was forked.
 */
export class History {
  private readonly fiber: string
  private readonly origin: History | undefined
  readonly since: Since | undefined
  private readonly answers: ReadonlyArray<Answer>
  /** What `digest` came to: a loop is gone round again and again, and entered once. */
  private digests: Map<Renaming, string> | undefined
  /** How many answers the fiber was told in all, those before the checkpoint included. */
  readonly told: number
  /** How many checkpoints and heads of loops the fiber passed in all. */
  readonly heads: number

  private constructor(
    fiber: string,
    origin: History | undefined,
    since: Since | undefined,
    answers: ReadonlyArray<Answer>,
    told: number,
    heads: number,
  ) {
    this.fiber = fiber
    this.origin = origin
    this.since = since
    this.answers = answers
    this.told = told
    this.heads = heads
  }

  /** @param origin the history of the fiber that forked it */
  static of(fiber: string, origin: History | undefined): History {
    return new History(fiber, origin, undefined, [], 0, 0)
  }

  after(answer: Answer): History {
    return new History(this.fiber, this.origin, this.since, [...this.answers, answer], this.told + 1, this.heads)
  }

  /** Behind a checkpoint, or the head of a loop, nothing older counts but this. */
  passing(head: Pick<Since, "label" | "live" | "entry" | "calls" | "interrupted">): History {
    return this.goingOn({ ...nothingSince, ...head, kind: "head" }, this.heads + 1)
  }

  /** In a procedure that is called here. A head at which several calls were open has one of these for each, by number. */
  calling(calls = 0): History {
    return this.goingOn({ ...nothingSince, entry: this, calls }, this.heads)
  }

  /** Behind a procedure that was called at `entry` nothing counts but that and what it returned. */
  returning(call: Pick<Since, "live" | "interrupted" | "last"> & { readonly entry: History }): History {
    return this.goingOn({ ...nothingSince, ...call, kind: "return" }, this.heads)
  }

  private goingOn(since: Since, heads: number): History {
    return new History(this.fiber, undefined, since, [], this.told, heads)
  }

  /** One text per history: equal ones give equal texts, different ones different texts. */
  text(rename: Renaming = sameNames): string {
    const { since, origin } = this
    const start = since === undefined ? "" : textOf(since, rename)
    const forked = origin === undefined ? "" : `forked at ${origin.digest(rename)}`
    const answers = this.answers.map((answer) =>
      answer === interruption ? "interrupted" : canonicalText(rename(answer)),
    )
    return `${String(rename(this.fiber))}\n${start}${forked}\n${answers.join("\n")}`
  }

  /** Looks at each value that the text is made of. */
  forEach(look: (value: Plain) => void): void {
    const { since, origin } = this
    look(this.fiber)
    if (since !== undefined) look(since.live)
    since?.entry?.forEach(look)
    origin?.forEach(look)
    for (const answer of this.answers) if (answer !== interruption) look(answer)
  }

  digest(rename: Renaming): string {
    this.digests ??= new Map()
    let digest = this.digests.get(rename)
    if (digest === undefined) {
      const { low, high }: Hash = digestText(this.text(rename))
      digest = `${low},${high}`
      this.digests.set(rename, digest)
    }
    return digest
  }
}

/** Its parts are told apart whatever they contain. */
const textOf = ({ kind, label, live, calls, interrupted, entry }: Since, rename: Renaming): string =>
  [
    kind,
    canonicalText(label),
    canonicalText(rename(live)),
    calls,
    interrupted ? "interrupted" : "",
    entry === undefined ? "" : entry.digest(rename),
  ].join(" ")
