/** What a run costs, counted from outside: how long a revocation takes, faults, copies, calls. */
import { type Monitor, type Struct, struct, type Taken } from "../../../checker/index.ts"

/** What a run of a scenario has come to. */
export type Bill = {
  /** Who revokes, while the first revocation of the run goes on; whether somebody had direct access at its beginning, and whether it is over. */
  revoker: string
  held: boolean
  revoked: boolean
  /** Steps from its first to its last: of who revokes, and of everybody. */
  own: number
  all: number
  /** Ticks of the clock from its beginning, and then: how many it took. */
  ticks: number
  faults: number
  copies: number
  calls: number
}

/** Which steps of a design are what. */
export interface Tariff {
  /** With which steps a revocation begins, and whether it does; with which of the same fiber it ends. */
  readonly begins: { readonly [step: string]: (taken: Taken) => boolean }
  readonly ends: { readonly [step: string]: (taken: Taken) => boolean }
  /** Page faults, of devices and CPUs. */
  readonly faults: ReadonlyArray<string>
  /** How often the page is copied between its block and memory. */
  readonly copies: { readonly [step: string]: (taken: Taken) => number }
  /** What a program has to ask for and to give back, besides loads and stores. */
  readonly calls: ReadonlyArray<string>
}

/**
 * Makes an empty bill, and what fills it.
 *
 * @param steps the names of all steps of the scenario: each counts
 * @param held whether somebody has direct access: else there is not much to revoke
 * @param now the time, in ticks
 */
export const billOf = (
  tariff: Tariff,
  steps: Iterable<string>,
  held: () => boolean,
  now: () => number,
): { readonly bill: Struct<Bill>; readonly monitor: Monitor } => {
  const begin: Bill = {
    revoker: "",
    held: false,
    revoked: false,
    own: 0,
    all: 0,
    ticks: 0,
    faults: 0,
    copies: 0,
    calls: 0,
  }
  const bill = struct("bill", begin)
  const count = (name: string) => (taken: Taken) => {
    if (tariff.faults.includes(name)) bill.faults++
    if (tariff.calls.includes(name)) bill.calls++
    bill.copies += tariff.copies[name]?.(taken) ?? 0
    if (bill.revoked) return
    if (bill.revoker === "") {
      if (tariff.begins[name]?.(taken) !== true) return
      bill.revoker = taken.fiber
      bill.held = held()
      bill.ticks = now()
    }
    bill.all++
    if (bill.revoker !== taken.fiber) return
    bill.own++
    if (tariff.ends[name]?.(taken) !== true) return
    bill.revoker = ""
    bill.revoked = true
    bill.ticks = now() - bill.ticks
  }
  return { bill, monitor: Object.fromEntries([...steps].map((name) => [name, count(name)])) }
}

/** The least and the most of something that runs come to. */
export type Span = readonly [least: number, most: number]

/** What all complete runs of a scenario come to. */
export interface Costs {
  /**
   * Of the first revocation of those runs in which somebody had direct access when it began, and it was through: steps of
   * who revokes, steps of everybody meanwhile, and ticks; `null` where there is no such run.
   */
  readonly revocation: { readonly own: Span; readonly all: Span; readonly ticks: Span } | null
  readonly faults: Span
  readonly copies: Span
  readonly calls: Span
}

/** Of all bills. */
export const costsOf = (bills: Iterable<Bill>): Costs => {
  const every = [...bills]
  const revoked = every.filter((bill) => bill.held && bill.revoked)
  const span = (among: ReadonlyArray<Bill>, of: "own" | "all" | "ticks" | "faults" | "copies" | "calls"): Span => {
    const counts = among.map((bill) => bill[of])
    return [Math.min(...counts), Math.max(...counts)]
  }
  return {
    revocation:
      revoked.length === 0
        ? null
        : { own: span(revoked, "own"), all: span(revoked, "all"), ticks: span(revoked, "ticks") },
    faults: span(every, "faults"),
    copies: span(every, "copies"),
    calls: span(every, "calls"),
  }
}
