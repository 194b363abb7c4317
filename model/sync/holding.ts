import type { Hindrance } from "../../checker/program/index.ts"

/** Who holds what another waits for; nobody where the name is empty. */
export const holding = (holder: string, how = "holds"): ReadonlyArray<Hindrance> =>
  holder === "" ? [] : [{ fiber: holder, how }]
