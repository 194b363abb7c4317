import { dfs } from "./dfs.ts"
import { optimal } from "./optimal/optimal.ts"
import { random } from "./random.ts"
import { states } from "./states.ts"
import type { Strategy } from "./strategy.ts"

/** Every strategy, by name; the first is the default. */
export const strategies: ReadonlyArray<Strategy> = [states, optimal, dfs, random]
