/** Something that must not happen, and did. */
export interface Violation {
  /** The id of the property that broke: one of the scenario's own, or one of `builtIn`. */
  readonly property: string
  /** What happened, in a sentence or two. */
  readonly message: string
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
  /** The program broke a rule of the language of programs, so that its exploration would mean nothing. */
  rules: "rules",
} as const
