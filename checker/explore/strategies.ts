import { auto } from "./auto.ts"
import { bounded } from "./bounded.ts"
import { dfs } from "./dfs.ts"
import { optimal } from "./optimal/optimal.ts"
import { pct } from "./pct.ts"
import { pos } from "./pos.ts"
import { random } from "./random.ts"
import { states } from "./states.ts"
import type { Strategy, StrategyOption } from "./strategy.ts"
import { surw } from "./surw.ts"

/** Every strategy, by name; the first is the default. */
export const strategies: ReadonlyArray<Strategy> = [states, optimal, auto, bounded, dfs, random, pct, pos, surw]

/** The names of the strategies that can be told something, as a list: `dfs`, `dfs and random`, `dfs, bounded and random`. */
export const takers = (option: StrategyOption): string =>
  strategies
    .flatMap(({ name, takes }) => (takes.has(option) ? name : []))
    .join(", ")
    .replace(/, ([^,]*)$/, " and $1")
