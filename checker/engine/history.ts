/** What a fiber's future depends on. */
import { canonicalText, digestText, type Hash, type Plain } from "../program/plain.ts"
import type { Renaming } from "./renaming.ts"

/** What stands in the place of a result where a fiber was interrupted. */
export const interruption: unique symbol = Symbol("interruption")

/** What a fiber was told where it was parked. */
export type Answer = Plain | typeof interruption

const sameNames: Renaming = (value) => value

/** A place that a fiber's future may depend on instead of all that came before it. */
interface Since {
  readonly label: string
  readonly live: Plain
  /** How the fiber came to the loop, for the head of a loop that was entered. */
  readonly entry: History | undefined
}

/**
 * The history of a fiber: who it is, the last checkpoint that it passed, and what it was told since. Until the first
 * checkpoint, also how the fiber came to be, if it was forked.
 */
export class History {
  private readonly fiber: string
  private readonly origin: History | undefined
  private readonly since: Since | undefined
  private readonly answers: ReadonlyArray<Answer>

  private constructor(
    fiber: string,
    origin: History | undefined,
    since: Since | undefined,
    answers: ReadonlyArray<Answer>,
  ) {
    this.fiber = fiber
    this.origin = origin
    this.since = since
    this.answers = answers
  }

  /** @param origin the history of the fiber that forked it */
  static of(fiber: string, origin: History | undefined): History {
    return new History(fiber, origin, undefined, [])
  }

  after(answer: Answer): History {
    return new History(this.fiber, this.origin, this.since, [...this.answers, answer])
  }

  /** Behind a checkpoint nothing older counts but the live values. */
  passing(label: string, live: Plain, entry: History | undefined): History {
    return new History(this.fiber, undefined, { label, live, entry }, [])
  }

  /** One text per history: equal ones give equal texts, different ones different texts. */
  text(rename: Renaming = sameNames): string {
    const { since, origin } = this
    const entry = since?.entry === undefined ? "" : ` entered at ${since.entry.digest(rename)}`
    const start = since === undefined ? "" : `${since.label}${canonicalText(rename(since.live))}${entry}`
    const forked = origin === undefined ? "" : `forked at ${origin.digest(rename)}`
    const answers = this.answers.map((answer) =>
      answer === interruption ? "interrupted" : canonicalText(rename(answer)),
    )
    return `${String(rename(this.fiber))}\n${start}${forked}\n${answers.join("\n")}`
  }

  private digest(rename: Renaming): string {
    const { low, high }: Hash = digestText(this.text(rename))
    return `${low},${high}`
  }
}
