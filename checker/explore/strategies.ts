import type { Program } from "../scenario/program.ts"
import { auto } from "./auto.ts"
import { bounded } from "./bounded.ts"
import { dfs } from "./dfs.ts"
import { optimal } from "./optimal/optimal.ts"
import { pct } from "./pct.ts"
import { pos } from "./pos.ts"
import { random } from "./random.ts"
import { states } from "./states.ts"
import type { SearchOptions, Strategy, StrategyOption } from "./strategy.ts"
import { surw } from "./surw.ts"

/** Every strategy, by name; the first is the default. */
export const strategies: ReadonlyArray<Strategy> = [states, optimal, auto, bounded, dfs, random, pct, pos, surw]

/** What explores a program when nobody says how: all of it, whatever it takes. */
export const defaultStrategy = ({ inSteps }: Pick<Program, "inSteps">): Strategy => (inSteps ? states : bounded)

/** Why a strategy cannot explore a program, in a sentence; nothing where it can. */
export const unfit = (
  strategy: Strategy,
  { scenario, inSteps }: Pick<Program, "scenario" | "inSteps">,
  { paranoid = false }: Pick<SearchOptions, "paranoid">,
): string | undefined => {
  if (inSteps) return undefined
  if (paranoid) {
    return `paranoid compares what is learnt of steps with plain re-execution, and ${scenario} is an Effect that knows nothing of steps and is executed again and again as it is`
  }
  if (!strategy.needsSteps) return undefined
  const able = list(strategies.flatMap(({ name, needsSteps }) => (needsSteps ? [] : name)))
  return `strategy ${strategy.name} needs a program written in steps, and ${scenario} is an Effect that knows nothing of them; ${able} can explore it`
}

const list = (names: ReadonlyArray<string>): string => names.join(", ").replace(/, ([^,]*)$/, " and $1")

/** The names of the strategies that can be told something, as a list: `dfs`, `dfs and random`, `dfs, bounded and random`. */
export const takers = (option: StrategyOption): string =>
  list(strategies.flatMap(({ name, takes }) => (takes.has(option) ? name : [])))
