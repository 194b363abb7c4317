import type { Hindrance, Holder } from "../../checker/program/index.ts"

/** Who holds what another waits for; nobody where the name is empty. */
export const holding = (holder: string, how = "holds"): ReadonlyArray<Hindrance> =>
  holder === "" ? [] : [{ fiber: holder, how }]

/** The holder of a lock that one fiber holds alone, as properties are told of it. */
export const alone = (holder: string): ReadonlyArray<Holder> =>
  holder === "" ? [] : [{ fiber: holder, shared: false }]
