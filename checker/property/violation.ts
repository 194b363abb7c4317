/** Something that must not happen, and did. */
export interface Violation {
  /** The id of the property that broke: one of the scenario's own, or one of `builtIn`. */
  readonly property: string
  /** What happened, in a sentence or two. */
  readonly message: string
}

const none: ReadonlyArray<Violation> = []

/** One list of two, which mostly are empty: that costs nothing then. */
export const together = (
  some: ReadonlyArray<Violation>,
  others: ReadonlyArray<Violation>,
): ReadonlyArray<Violation> => {
  if (some.length === 0) return others.length === 0 ? none : others
  return others.length === 0 ? some : [...some, ...others]
}

/** The properties that every program has, whether it states any or not. */
export const builtIn = {
  /** No fiber can go on and not all have ended. */
  deadlock: "deadlock",
  /** `assert` failed inside a step. */
  assertion: "assertion",
  /** A fiber ended with an error in Effect's error channel. */
  failure: "failure",
  /** A fiber died, or code in a step, guard or property threw. */
  defect: "defect",
  /** A step waits for what the code that it is taken in, a callback say, may not wait for. */
  context: "context",
  /** The program broke a rule of the language of programs, so that its exploration would mean nothing. */
  rules: "rules",
} as const
