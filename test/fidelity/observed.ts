/** Observations from what is seen of a machine that names its frames. */
import { type Area, areaPages, type Observation, type Result } from "./sequence.ts"

/** What is at one page: nothing, the zero page, or a frame by a name that no other has, or had before. */
export type Seen = null | "zero" | { readonly frame: string; readonly anonymous: boolean }

/** What is seen when an operation is done; processes that are gone, or were never there, are `null`. */
export interface Looks {
  readonly result: Result
  readonly processes: ReadonlyArray<{
    readonly pages: ReadonlyArray<Seen>
    readonly areas: ReadonlyArray<Area>
  } | null>
}

const firstLetters = { anonymous: "a".charCodeAt(0), cache: "A".charCodeAt(0) }

/** Gives letters to frames, in the order in which they come. */
const letters = (first: number): ((frame: string) => string) => {
  const given = new Map<string, string>()
  return (frame) => {
    const letter = given.get(frame) ?? String.fromCharCode(first + given.size)
    given.set(frame, letter)
    return letter
  }
}

const framesOf = ({ processes }: Looks): Observation["frames"] => {
  const anonymous = letters(firstLetters.anonymous)
  const cache = letters(firstLetters.cache)
  const letterOf = (seen: Seen): string => {
    if (seen === null) return "-"
    if (seen === "zero") return "0"
    return seen.anonymous ? anonymous(seen.frame) : cache(seen.frame)
  }
  return processes.map((process) => (process === null ? null : process.pages.map(letterOf).join("")))
}

const nothing: ReadonlyArray<Seen> = Array.from({ length: areaPages }, () => null)

const frameOf = (seen: Seen): string | null => (seen === null || seen === "zero" ? seen : seen.frame)

const changedIn = (before: ReadonlyArray<Seen>, now: ReadonlyArray<Seen>): string =>
  now
    .map((seen, page) => {
      const old = frameOf(before[page] ?? null)
      return seen !== null && old !== null && frameOf(seen) !== old ? "!" : "-"
    })
    .join("")

/** What is observed, from what is seen after each operation of a sequence. */
export const observed = (looks: ReadonlyArray<Looks>): ReadonlyArray<Observation> =>
  looks.map((now, position) => ({
    result: now.result,
    frames: framesOf(now),
    changed: now.processes.map(
      (process, which) => process && changedIn(looks[position - 1]?.processes[which]?.pages ?? nothing, process.pages),
    ),
    areas: now.processes.map((process) => (process === null ? null : process.areas)),
  }))
